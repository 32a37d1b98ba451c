// What waits and why, what conversions are matched by, and how delivery stands.
import { at, day, duration, identifierWords, number, reasonWords, share, sums, utc } from "../lib/format.js";
import { link } from "../lib/router.js";
import { html, nothing } from "../lib/view.js";

const IDENTIFIERS = ["msclkid", "visitor", "email", "phone", "none"];

export function waiting({ waiting: parts }, account) {
  return html`<section class="card" aria-labelledby="waiting-title">
    <h2 id="waiting-title">What waits, and why</h2>
    ${parts.length ? html`<ul class="stack-s">${parts.map((part) => waitingPart(part, account))}</ul>` : html`<p class="empty">Nothing waits.</p>`}
  </section>`;
}

function waitingPart({ reason, rows, value, first_expiry_at: lost }, account) {
  const worth = sums(value) === "–" ? "" : `${sums(value)}. `;
  return html`<li>
    <a href=${link("conversions", { state: "pending", reason, account })}><strong>${number(rows)}</strong> ${reasonWords(reason) || "due, or on their way"}</a>
    <div class="muted small">${worth}${lost ? html`The first would be lost on <time datetime=${lost} title=${utc(lost)}>${day(lost)}</time>.` : nothing}</div>
  </li>`;
}

export function matched({ match_share: shares }) {
  const known = IDENTIFIERS.filter((name) => shares?.[name] != null);
  return html`<section class="card" aria-labelledby="matched-title">
    <h2 id="matched-title">Matched by</h2>
    ${known.length
      ? html`<ul class="bars">${known.map((name) => bar(identifierWords(name), shares[name], 1, share(shares[name])))}</ul>
        <p class="muted small">The share of recent conversions that carry it. One can carry several.</p>`
      : html`<p class="empty">Known after the first conversions.</p>`}
  </section>`;
}

function bar(label, value, most, words) {
  return html`<li><span>${label}</span><meter min="0" max=${most} value=${Math.min(value, most)} aria-label=${label}></meter>
    <span class="number">${words}</span></li>`;
}

export function delivery({ accounts, lag_seconds: lag }, account) {
  const shown = accounts.filter((one) => !account || one.account === account);
  const until = accounts.map((one) => one.signed_in_until).find(Boolean);
  return html`<section class="card stack-s" aria-labelledby="delivery-title">
    <h2 id="delivery-title">Delivery</h2>
    <p>${lag == null ? html`<span class="state good">nothing is late</span>` : html`<span class="state wait">the oldest row is ${duration(lag)} late</span>`}</p>
    <p>${until
      ? html`<span class="state good">signed in</span><br><span class="muted small" title=${utc(until)}>The token is renewed before ${at(until)}.</span>`
      : html`<span class="state bad">not signed in</span> (<a href="connect">sign in to Microsoft</a>)`}</p>
    <h3>Requests in the last minute</h3>
    <ul class="bars rates">${shown.map((one) =>
      bar(accounts.length > 1 ? one.account : "of the limit", one.requests_last_minute, one.requests_limit, `${number(one.requests_last_minute)} of ${number(one.requests_limit)}`))}</ul>
  </section>`;
}
