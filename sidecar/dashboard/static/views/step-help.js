// What each step of Set-up opens to: where things are found at Microsoft, and the button or the lines that do it.
import { copy } from "../lib/dialog.js";
import { html, nothing } from "../lib/view.js";

const GOAL_STATES = {
  ok: ["good", "takes conversions"],
  unknown: ["none", "not read yet"],
  goal_not_found: ["bad", "missing"],
  goal_paused: ["bad", "paused"],
  goal_wrong_type: ["bad", "of another type"],
  goal_settling: ["wait", "too new"],
  goal_not_enhanced: ["wait", "by click id only"],
};

/** The content of a step; `facts` as in set-up-steps.js, `act` has createGoals, and first, the watch for the first conversion. */
export const HELP = {
  application: ({ connection }) => html`<ol class="how">
      <li>Open <span class="mono">entra.microsoft.com</span>, <em>App registrations</em>, <em>New registration</em>. Accounts: any organizational directory and
        personal Microsoft accounts.</li>
      <li>Redirect URI: type <em>Web</em>, exactly <code>${connection.application.redirect_uri}</code>
        <button class="quiet" @click=${() => copy(connection.application.redirect_uri, "The redirect URI was")}>Copy</button></li>
      <li>Set <code>microsoft.client_id</code> to the <em>Application (client) ID</em>, and restart the sidecar.</li>
    </ol>`,
  secret: () => html`<ol class="how">
      <li>In the application open <em>Certificates &amp; secrets</em>, <em>New client secret</em>.</li>
      <li>Copy its <em>value</em>, not its id; it is shown once. Note its end date: delivery pauses on that day until there is a new one.</li>
      <li>Set <code>microsoft.client_secret</code> or <code>microsoft.client_secret_file</code>, and restart the sidecar.</li>
    </ol>`,
  "developer-token": () => html`<ol class="how">
      <li>Open Microsoft Advertising as a Super Admin: <em>Settings</em>, <em>Developer settings</em>, <em>Request token</em>.</li>
      <li>Set <code>microsoft.developer_token</code> or <code>microsoft.developer_token_file</code>, and restart the sidecar.</li>
    </ol>`,
  "sign-in": ({ connection }) => connection.environment === "emulator" && connection.connected ? html`<p>The stand-in signs itself in at each start of the sidecar.</p>` : html`<p>Sign in as a user with the role Super Admin, Standard or Advertiser Campaign Manager for the ad account. You come back
      here afterwards.</p>
    <p><a class="button ${connection.connected ? "" : "primary"}" href="connect">${connection.connected ? "Sign in as someone else" : "Sign in to Microsoft"}</a></p>`,
  account: accountHelp,
  goals: goalsHelp,
  "auto-tagging": () => html`<p>In Microsoft Advertising: <em>Settings</em>, <em>Account level options</em>, tick <em>Add Microsoft Click ID (MSCLKID) to URLs</em>, and save. It holds
      no conversion up, but without it only e-mail and phone can match. This step becomes green within a minute.</p>`,
  "first-conversion": ({ overview }, { first }) => (overview ? first.view(overview) : nothing),
};

function accountHelp({ accounts, connection }) {
  if (!accounts?.visible?.length) {
    return html`<p>${accounts?.trouble?.message ?? (connection.connected ? "No account was found." : "Sign in first: the accounts are then found, and need not be copied.")}</p>
      ${accounts?.trouble?.fix ? html`<p><strong>What to do:</strong> ${accounts.trouble.fix}</p>` : nothing}`;
  }
  return html`<p>These accounts the signed-in user can reach:</p>
    <div class="table-box"><table class="cards">
      <thead><tr><th scope="col">Account</th><th scope="col">Number</th><th scope="col">Customer id</th><th scope="col">Account id</th>
        <th scope="col">Currency</th><th scope="col">Status</th><th scope="col">Configured as</th></tr></thead>
      <tbody>${accounts.visible.map(visibleRow)}</tbody>
    </table></div>
    <p>Paste these lines into the configuration in place of <code>accounts:</code>, take the <code>#</code> off those that you want, and reload with SIGHUP.</p>
    <pre tabindex="0" role="region" aria-label="YAML to paste"><code>${accounts.yaml}</code></pre>
    <p><button @click=${() => copy(accounts.yaml, "The YAML was")}>Copy the YAML</button></p>`;
}

function visibleRow(one) {
  return html`<tr>
    <td data-label="Account">${one.name}</td>
    <td data-label="Number" class="mono">${one.number}</td>
    <td data-label="Customer id" class="mono">${one.customer_id}</td>
    <td data-label="Account id" class="mono">${one.account_id}</td>
    <td data-label="Currency">${one.currency ?? "–"}</td>
    <td data-label="Status">${one.status ?? "–"}</td>
    <td data-label="Configured as">${one.configured_as ? html`<span class="state good">${one.configured_as}</span>` : "–"}</td>
  </tr>`;
}

function goalsHelp({ goals, plan }, { createGoals }) {
  const rows = (goals ?? []).flatMap((item) => item.events.map((event) => ({ account: item.account, ...event })));
  const blocked = (plan ?? []).flatMap((item) => item.blocked);
  const isMissing = rows.some((event) => event.state === "goal_not_found" && !blocked.some((one) => one.goal === event.goal));
  const differences = (plan ?? []).flatMap((item) => item.differences);
  if (!rows.length) return html`<p>The goals are read after the sign-in.</p>`;
  return html`<div class="table-box"><table class="cards">
      <thead><tr><th scope="col">Account</th><th scope="col">Event</th><th scope="col">Goal at Microsoft</th><th scope="col">State</th></tr></thead>
      <tbody>${rows.map(goalRow)}</tbody>
    </table></div>
    ${isMissing ? html`<p><button class="primary" @click=${createGoals}>Create what is missing…</button></p>` : nothing}
    ${blocked.map((one) => html`<div class="problem"><p><strong>${one.goal}</strong> cannot be created: ${one.message}</p><p><strong>What to do:</strong> ${one.fix}</p></div>`)}
    ${differences.length ? html`<ul class="small muted">${differences.map(
      (one) => html`<li>${one.goal}: ${one.field} is ${String(one.found)} at Microsoft, ${String(one.wanted)} in the configuration. The sidecar changes no goal.</li>`,
    )}</ul>` : nothing}`;
}

function goalRow(event) {
  const [look, words] = GOAL_STATES[event.state] ?? ["none", event.state];
  return html`<tr>
    <td data-label="Account">${event.account}</td>
    <td data-label="Event">${event.event}</td>
    <td data-label="Goal">${event.goal}</td>
    <td data-label="State"><div><span class="state ${look}">${words}</span>
      ${event.did_you_mean ? html`<p class="small">There is a goal called <strong>${event.did_you_mean}</strong>. Did you mean it? Then correct <code>events:</code>.</p>` : nothing}</div></td>
  </tr>`;
}
