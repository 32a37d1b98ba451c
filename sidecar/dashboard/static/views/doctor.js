// Every check of `GET /v1/doctor` as a table, the worst first, each with its cause and remedy.
import { clockTime, count } from "../lib/format.js";
import { html, nothing } from "../lib/view.js";
import { prose } from "./prose.js";

const LOOK = { ok: ["good", "ok"], warning: ["wait", "warning"], failed: ["bad", "failed"] };
const BADNESS = ["failed", "warning"];
const SUMMARY = { ok: "Every check is fine.", warning: "Nothing is lost now, but look at the warnings.", failed: "Something has to be fixed." };

/** `doctor` is {report, at, error, running, outdated}; `run` makes the checks again. */
export function doctorTable({ report, at, error, running, outdated }, run) {
  return html`<section class="card stack" id="step-doctor" tabindex="-1" aria-labelledby="doctor-title" aria-busy=${running ? "true" : "false"}>
    <header class="row">
      <h2 id="doctor-title" class="grow">Doctor</h2>
      ${at ? html`<span class="muted small">checked ${clockTime(at)}</span>` : nothing}
      <button @click=${run} ?disabled=${running}>${running ? "Checking…" : "Check again"}</button>
    </header>
    ${error ? html`<div class="problem"><p>The checks could not be made: ${error.message}</p>${error.fix ? html`<p>${prose(error.fix)}</p>` : nothing}</div>` : nothing}
    ${report ? result(report, outdated) : error ? nothing : html`<span class="skeleton tall"></span>`}
  </section>`;
}

function result({ status, checks, not_checked: left = [] }, outdated) {
  const wrong = BADNESS.flatMap((level) => checks.filter((check) => check.status === level));
  const fine = checks.filter((check) => check.status === "ok");
  return html`<p role="status">${outdated ? "Checking again…" : (SUMMARY[status] ?? status)}</p>
    ${wrong.length ? table(wrong) : nothing}
    ${fine.length ? html`<details><summary>${count(fine.length, "check is", "checks are")} fine</summary>${table(fine)}</details>` : nothing}
    ${left.length
      ? html`<details><summary>${left.length} not checked</summary>
          <ul class="stack small">${left.map((one) => html`<li><strong>${label(one)}</strong>: ${prose(one.message)}</li>`)}</ul></details>`
      : nothing}`;
}

function table(checks) {
  return html`<div class="table-box"><table class="cards">
    <thead><tr><th scope="col">Status</th><th scope="col">Check</th><th scope="col">What was found</th></tr></thead>
    <tbody>${checks.map(row)}</tbody>
  </table></div>`;
}

function row(check) {
  const [look, words] = LOOK[check.status] ?? ["none", check.status];
  return html`<tr class="check ${check.status}">
    <td data-label="Status"><span class="state ${look}">${words}</span></td>
    <td data-label="Check">${label(check)}</td>
    <td class="found"><div><p>${prose(found(check))}</p>
      ${check.status === "ok" ? nothing : html`
        ${check.cause ? html`<p class="muted small">${prose(check.cause, check.account)}</p>` : nothing}
        ${check.fix ? html`<p><strong>What to do:</strong> ${prose(check.fix, check.account)}</p>` : nothing}`}</div></td>
  </tr>`;
}

/** The message as a sentence; the account is in the label. */
const found = ({ account, message }) => capital(account && message.startsWith(`${account}: `) ? message.slice(account.length + 2) : message);

/** A capital for a word, not for a name such as invalid_grant. */
const capital = (text) => text.replace(/^[a-z](?=[a-z]*\b)/, (letter) => letter.toUpperCase());

function label({ name, account, goal }) {
  return [capital(name.replaceAll("_", " ")), [account, goal].filter(Boolean).join(", ")].filter(Boolean).join(": ");
}
