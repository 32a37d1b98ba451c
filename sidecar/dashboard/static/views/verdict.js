// What Microsoft attributed to a goal, day by day: why not all of it, and what to do. One goal is open at a time.
import { get } from "../lib/api.js";
import { now } from "../lib/clock.js";
import { at, count, day, number, share, utc } from "../lib/format.js";
import { location, replaceParams } from "../lib/router.js";
import { html, nothing } from "../lib/view.js";
import { advice, prose } from "./prose.js";

const DAYS = 14;
const FRESH_MS = 60_000;
const PANEL = "why-not";

/** Reads the days of the goal that the address names as `why` and `of`; `changed` is called when they are there. */
export class Verdicts {
  constructor(changed) {
    this.changed = changed;
    this.open = null; // {account, goal, items, problem, readAt}
  }

  see({ why, of }) {
    const { open } = this;
    if (!why || open?.goal !== why || open.account !== of) this.open = why ? { goal: why, account: of, items: null, readAt: 0 } : null;
    if (this.open && now() - this.open.readAt > FRESH_MS) this.read(this.open);
  }

  async read(open) {
    open.readAt = now();
    const since = new Date(now() - (DAYS - 1) * 86_400_000).toISOString().slice(0, 10);
    try {
      const { account, goal } = open;
      open.items = (await get("v1/verdicts", { account, goal, since, limit: DAYS })).items;
      open.problem = null;
    } catch (error) {
      open.problem = error; // days that were read before are still shown
    }
    if (this.open === open) this.changed();
  }

  isOpen(account, goal) {
    return this.open?.goal === goal && this.open.account === account;
  }

  /** The share, with the button that opens the days. */
  cell(account, { goal, attributed_share: part }) {
    if (part == null) return html`<span>–</span>`;
    const open = this.isOpen(account, goal);
    const toggle = () => {
      const { params } = location();
      replaceParams({ ...params, why: open ? null : goal, of: open ? null : account });
    };
    return html`<div class="verdict"><span>${share(part)}</span>
      <button class="quiet" aria-expanded=${open} aria-controls=${open ? PANEL : nothing} @click=${toggle}>
        <span aria-hidden="true">${open ? "▾" : "▸"}</span> why not?<span class="visually-hidden"> ${goal}</span></button></div>`;
  }

  /** The row below that goal's, where it is open. */
  panel(account, goal, columns) {
    if (!this.isOpen(account, goal)) return nothing;
    return html`<tr class="why"><td colspan=${columns}>
      <section id=${PANEL} class="stack-s" aria-label=${`What Microsoft attributed to ${goal}`} aria-busy=${this.open.items || this.open.problem ? nothing : "true"}>
        ${this.open.items ? days(this.open.items) : this.open.problem ? html`<p role="alert">${this.open.problem.message}</p>` : html`<span class="skeleton">Loading</span>`}
      </section></td></tr>`;
  }
}

function days(items) {
  if (!items.length) return html`<p>Nothing was sent to this goal in the last ${DAYS} days.</p>`;
  const reasons = together(items);
  const next = items.map((item) => item.next_reading_at).find(Boolean);
  return html`<h3>Why not all? The last ${DAYS} days</h3>
    ${reasons.length
      ? html`<ul class="reasons">${reasons.map((one) => html`<li><strong>${count(one.rows, "row")}</strong> ${one.words}
          <span class="muted small">${one.reason}</span><p class="small">${advice(one.fix)}</p></li>`)}</ul>`
      : html`<p>No row went without an ad for a reason that Microsoft names.</p>`}
    <h3>Day by day</h3>
    <ol class="reasons">${items.map((item) => html`<li><strong><time datetime=${item.day}>${day(`${item.day}T12:00:00Z`)}</time></strong>
      <span class="muted small">${number(item.sent)} sent</span>
      <p class="small">${prose([item.message, ...item.differences].join(" "))}</p></li>`)}</ol>
    <p class="muted small">Microsoft says this by goal and by the day (UTC) on which it took the rows, within 6 hours.
      ${next ? html`It is asked again at <time datetime=${next} title=${utc(next)}>${at(next)}</time>.` : nothing}</p>`;
}

/** Rows by reason over all days, the most frequent first. */
function together(items) {
  const found = new Map();
  for (const one of items.flatMap((item) => item.advice)) {
    found.set(one.reason, { ...one, rows: one.rows + (found.get(one.reason)?.rows ?? 0) });
  }
  return [...found.values()].sort((a, b) => b.rows - a.rows);
}
