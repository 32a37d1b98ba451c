// The numbers of a period, which add up: received is the sum of the five states.
import { duration, number, share, sums } from "../lib/format.js";
import { link } from "../lib/router.js";
import { html, nothing } from "../lib/view.js";

/** `counts` are rows by state, received in the period; null while they are not known. */
export function figures(counts, { dead, lag_seconds: lag, match_share: shares }, { words, since, account }) {
  const show = (state) => link("conversions", { state, since, account });
  const matched = shares?.none == null ? null : 1 - shares.none;
  return html`<section aria-label="The last ${words}">
    <ul class="figures">
      ${figure("received", counts?.received, show(), `in the last ${words}`)}
      ${figure("delivered", counts?.delivered, show("delivered"), "Microsoft took them")}
      ${figure("waiting", counts?.pending, show("pending"), lag == null ? "none is late" : `the oldest is ${duration(lag)} late`)}
      ${figure("skipped", counts?.skipped, show("skipped"), "by rule")}
      ${figure("canceled", counts?.canceled, show("canceled"), "before sending")}
      ${figure("dead", counts?.dead, show("dead"), dead.rows ? `${number(dead.rows)} in all: ${sums(dead.value)}` : "none is stored", dead.rows > 0)}
      <li class="card figure"><div><strong>${share(matched)}</strong><span>match share</span></div><span class="muted small">carry an identifier</span></li>
    </ul>
  </section>`;
}

function figure(label, value, to, note, bad = false) {
  return html`<li class="card figure">
    <a href=${to}><strong class=${value ? nothing : "muted"}>${number(value)}</strong><span>${label}</span></a>
    <span class="small ${bad ? "bad-text" : "muted"}">${note}</span></li>`;
}
