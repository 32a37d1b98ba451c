// The sign-in and the accounts as they are, and what a person can change of them: disconnect, pause, resume.
import { post, remove } from "../lib/api.js";
import { announce, ask, attempt } from "../lib/dialog.js";
import { at, utc } from "../lib/format.js";
import { html, nothing } from "../lib/view.js";
import { prose } from "./prose.js";

const ACCOUNT_STATES = {
  open: ["good", "delivers"],
  paused: ["wait", "paused by an operator"],
  account_paused: ["bad", "Microsoft refuses its requests"],
  no_ids: ["wait", "waits for its ids"],
  throttled: ["wait", "Microsoft asked to wait"],
  not_connected: ["bad", "not signed in"],
};

const moment = (instant) => (instant ? html`<time datetime=${instant} title=${utc(instant)}>${at(instant)}</time>` : "–");

export function connectionCard({ connection, accounts }, changed) {
  const { connected, trouble, since, expires_at: expiry, last_sign_in: last, application, environment } = connection;
  return html`<section class="card stack" aria-labelledby="connection-title">
    <h2 id="connection-title">Connection</h2>
    <dl class="facts">
      <dt>State</dt><dd><span class="state ${connected ? "good" : "bad"}">${connected ? "connected" : "not connected"}</span> since ${moment(since)}</dd>
      ${accounts?.user ? html`<dt>User</dt><dd>${accounts.user}</dd>` : nothing}
      ${expiry ? html`<dt>Token until</dt><dd>${moment(expiry)}, then renewed by itself</dd>` : nothing}
      <dt>Last sign-in</dt><dd>${last ? html`${moment(last.at)}, ${last.trouble ? `not successful: ${last.trouble.message}` : "successful"}` : "before the last start"}</dd>
      <dt>Environment</dt><dd>${environment}</dd>
      <dt>Client id</dt><dd class="mono">${application.client_id}</dd>
      <dt>Redirect URI</dt><dd class="mono">${application.redirect_uri}</dd>
    </dl>
    ${trouble ? html`<div class="problem"><p>${trouble.message}</p>${trouble.fix ? html`<p><strong>What to do:</strong> ${prose(trouble.fix)}</p>` : nothing}</div>` : nothing}
    ${connected ? actions(environment, changed) : nothing}
  </section>`;
}

function actions(environment, changed) {
  return html`<div class="row">
    ${environment === "emulator" ? nothing : html`<a class="button" href="connect">Sign in as someone else</a>`}
    <button class="danger" @click=${() => disconnect(changed)}>Disconnect…</button>
  </div>`;
}

async function disconnect(changed) {
  const agreed = await ask({
    title: "Disconnect from Microsoft Advertising?",
    body: html`<p>The stored sign-in is deleted. Conversions are taken and wait; nothing is sent until the next sign-in. Each can still
        be sent until 90 days after it happened.</p>
      <p class="muted">Microsoft is not told. To revoke the permission too, remove the application from the apps of the user's Microsoft account.</p>`,
    action: "Disconnect",
    danger: true,
  });
  if (!agreed) return;
  await attempt(async () => {
    await remove("v1/connection");
    announce("Disconnected. Conversions wait until the next sign-in.");
  });
  changed();
}

export function accountsCard({ accounts }, changed) {
  if (!accounts) return nothing;
  return html`<section class="card stack" aria-labelledby="accounts-title">
    <h2 id="accounts-title">Accounts</h2>
    <div class="table-box"><table class="cards">
      <thead><tr><th scope="col">Account</th><th scope="col">Customer id</th><th scope="col">Account id</th><th scope="col">State</th><th scope="col"><span class="visually-hidden">Change</span></th></tr></thead>
      <tbody>${accounts.configured.map((one) => accountRow(one, changed))}</tbody>
    </table></div>
  </section>`;
}

function accountRow(one, changed) {
  const state = one.paused ? "paused" : one.state === "account_paused" ? one.reach : one.state;
  const [look, words] = ACCOUNT_STATES[state] ?? ACCOUNT_STATES[one.state] ?? ["none", one.state];
  return html`<tr>
    <td data-label="Account">${one.name}</td>
    <td data-label="Customer id" class="mono">${one.customer_id || "–"}</td>
    <td data-label="Account id" class="mono">${one.account_id || "–"}</td>
    <td data-label="State"><span class="state ${look}">${words}</span></td>
    <td>${one.paused
      ? html`<button @click=${() => change(one.name, "resume", changed)}>Resume…</button>`
      : html`<button @click=${() => change(one.name, "pause", changed)}>Pause…</button>`}</td>
  </tr>`;
}

const CHANGES = {
  pause: {
    title: (name) => `Pause the account ${name}?`,
    body: "Nothing of it is sent until it is resumed, even after a restart. Conversions are taken and wait; each can still be sent until 90 days after it happened. Requests on their way finish.",
    action: "Pause",
    done: (name) => `The account ${name} is paused.`,
  },
  resume: {
    title: (name) => `Resume the account ${name}?`,
    body: "Everything that waits for it is sent at once.",
    action: "Resume",
    done: (name) => `Delivery for ${name} goes on.`,
  },
};

async function change(name, call, changed) {
  const { title, body, action, done } = CHANGES[call];
  if (!(await ask({ title: title(name), body: html`<p>${body}</p>`, action }))) return;
  await attempt(async () => {
    await post(`v1/accounts/${encodeURIComponent(name)}/${call}`);
    announce(done(name));
  });
  changed();
}
