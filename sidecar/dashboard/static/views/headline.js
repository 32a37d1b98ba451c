// The first thing on the page: one sentence that says how things are, and each problem with its remedy.
import { ago, at, count, utc } from "../lib/format.js";
import { html, nothing } from "../lib/view.js";
import { advice, prose } from "./prose.js";
import { remedy } from "./remedies.js";

const SHOWN = 3;
const LOOK = { error: "bad", warning: "wait", advice: "advice" };
const STATE_LOOK = { ok: "good", degraded: "wait", down: "bad" };

/** How the whole looks: red only where somebody has to act, amber for what passes by itself. */
export function wholeLook(overview) {
  if (overview.troubles.some((trouble) => trouble.severity === "error")) return "bad";
  if (overview.state === "ok" && overview.first_received_at === null) return "none";
  return STATE_LOOK[overview.state] ?? "none";
}

/** The sentence with its problems; of one account only where one is chosen. */
export function headline(overview, account) {
  const concerns = (trouble) => !account || !trouble.account || trouble.account === account;
  const troubles = overview.troubles.filter(concerns);
  const [worst, ...others] = troubles;
  const elsewhere = overview.troubles.length - troubles.length;
  const look = worst ? LOOK[worst.severity] : elsewhere ? "good" : wholeLook(overview);
  const sentence = elsewhere ? (worst?.headline ?? `All is well in account ${account}.`) : overview.headline;
  return html`<section class="headline ${look}" aria-label="How things are">
      <h1><span class="state ${look}" aria-hidden="true"></span>${prose(sentence)}</h1>
      ${worst ? problem(worst) : nothing}
      ${elsewhere ? html`<p class="muted">${count(elsewhere, "problem")} in other accounts.</p>` : nothing}
    </section>
    ${others.length ? more(others) : nothing}`;
}

function problem(trouble) {
  return html`<p>${advice(trouble.fix)}</p>
    <div class="row">${remedy(trouble)}<span class="muted small">since
      <time datetime=${trouble.since} title=${utc(trouble.since)}>${at(trouble.since)}</time> (${ago(trouble.since)})</span></div>
    <details>
      <summary>What is this?</summary>
      <p>${trouble.title}. ${prose(trouble.cause)}</p>
    </details>`;
}

function more(others) {
  const problems = others.filter((other) => other.severity !== "advice").length;
  const words = problems ? count(others.length, "more problem") : "Worth a look, too";
  const rest = others.slice(SHOWN);
  return html`<section class="card" aria-labelledby="more-title">
    <h2 id="more-title">${words}</h2>
    <ul class="problems">${others.slice(0, SHOWN).map(item)}</ul>
    ${rest.length ? html`<details><summary>Show ${rest.length} more</summary><ul class="problems">${rest.map(item)}</ul></details>` : nothing}
  </section>`;
}

function item(trouble) {
  return html`<li class="stack-s">
    <h3><span class="state ${LOOK[trouble.severity]}" aria-hidden="true"></span>${prose(trouble.headline)}</h3>
    ${problem(trouble)}
  </li>`;
}
