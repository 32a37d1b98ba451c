// The list of conversions: search, filters, rows that appear by themselves, and sending again what the filter shows.
import { focusLater } from "../lib/focus.js";
import { at, count, identifierWords, money, number, reasonWords, stateLook, utc } from "../lib/format.js";
import { link } from "../lib/router.js";
import { html, nothing, render, repeat } from "../lib/view.js";
import { conversionOf, filtersOf, numberOf, PAGE, readRows, search } from "./conversion-search.js";
import { filterForm } from "./conversion-filters.js";
import { receiptLink } from "./conversions.js";
import { prose } from "./prose.js";
import { replayAll } from "./row-actions.js";

const QUIET_PX = 160;
const LATE_MS = 120_000;
const REFUSED_FIX = "Correct the request, and send it again with the same order id.";
const CONFLICT_FIX = "To change what is stored, refund it or take it back. Another sale needs another order id.";
const SKIPPED_FIX = {
  consent_denied: "Nothing to do: the person did not agree.",
  no_identifier: "Nothing to do for a sale without an ad click. Else send its click id, visitor, e-mail or phone.",
};

export function openList(root, context) {
  return new List(root, context);
}

class List {
  #root;
  #context;
  #asked = null;
  #turn = 0;
  #seen = "";
  #busy = false;
  #reading = false;
  #found = null; // {rows, cursor, traces, clicks}
  #newer = null; // the newest page, while it is not shown yet
  #problem = null;
  #focusOn = null;
  #focus = null;

  constructor(root, context) {
    this.#root = root;
    this.update(context);
  }

  update(context) {
    this.#context = context;
    const asked = JSON.stringify(context.params);
    const seen = JSON.stringify([context.overview?.counts_24h, context.overview?.waiting, context.overview?.dead]);
    if (asked !== this.#asked) {
      this.#asked = asked;
      this.#problem = null;
      this.#read();
    } else if (this.#problem && isPassing(this.#problem)) {
      this.#read();
    } else if ((seen !== this.#seen || !context.overview) && this.#isLive()) {
      this.#refresh();
    }
    this.#seen = seen;
    this.#draw();
  }

  close() {
    this.#turn += 1;
  }

  /** Focuses the row of that id as soon as it is shown, unless the person has gone elsewhere by then. */
  focus(id) {
    this.#focusOn = id;
    this.#focus = focusLater();
    this.#refresh();
    this.#draw();
  }

  get #filters() {
    return filtersOf(this.#context.params);
  }

  /** Whether new rows belong at the top: not on a later page, nor where an id was searched for. */
  #isLive() {
    return !this.#context.params.cursor && !this.#context.params.q;
  }

  /** Reads what the address asks for. */
  async #read() {
    const turn = (this.#turn += 1);
    const { q, cursor } = this.#context.params;
    this.#found = null;
    this.#newer = null;
    this.#reading = true;
    try {
      const found = q ? await this.#searched(q.trim(), cursor) : await readRows(this.#filters, cursor);
      if (turn !== this.#turn) return;
      this.#found = found;
      this.#problem = null;
    } catch (error) {
      if (turn === this.#turn) this.#problem = error;
    }
    if (turn !== this.#turn) return;
    this.#reading = false;
    this.#draw();
  }

  async #searched(text, cursor) {
    const id = await conversionOf(text);
    if (!id) return search(text, this.#filters, cursor);
    window.location.replace(receiptLink(id, { ...this.#context.params, q: null }));
    return { rows: [], cursor: null };
  }

  /** Reads the newest rows again: shown at once, or offered where that would move what is being read. */
  async #refresh() {
    if (!this.#found || this.#reading) return;
    const turn = this.#turn;
    try {
      const newest = this.#isLive() ? await readRows(this.#filters, null, 1) : await this.#again();
      if (turn !== this.#turn || !this.#found) return;
      this.#newer = newest;
      if (this.#isAtRest()) this.#apply();
      else this.#replaceKnown(newest.rows);
    } catch {
      // the frame says that the sidecar is away; the list keeps what it has
    }
    this.#draw();
  }

  /** The same page again, where it is a search or a later page. */
  #again() {
    const { q, cursor } = this.#context.params;
    return q ? search(q.trim(), this.#filters, cursor) : readRows(this.#filters, cursor);
  }

  #isAtRest() {
    const table = this.#root.querySelector("tbody");
    return !table || (window.scrollY < QUIET_PX && !table.contains(document.activeElement) && !table.matches(":hover"));
  }

  #replaceKnown(rows) {
    const known = new Map(rows.map((row) => [row.id, row]));
    this.#found = { ...this.#found, rows: this.#found.rows.map((row) => known.get(row.id) ?? row) };
  }

  /** Shows the newest page; a short one says nothing of the rows below it. */
  #apply() {
    const { rows, cursor } = this.#newer;
    const isShort = cursor && rows.length < PAGE && this.#isLive();
    const oldest = rows.length ? numberOf(rows.at(-1)) : Infinity;
    const below = isShort ? this.#found.rows.filter((row) => numberOf(row) < oldest) : [];
    this.#found = { ...this.#found, ...this.#newer, rows: [...rows, ...below], cursor: isShort ? this.#found.cursor : cursor };
    this.#newer = null;
  }

  #showNewer = () => {
    this.#apply();
    window.scrollTo(0, 0);
    this.#draw();
    this.#root.querySelector("tbody a")?.focus({ preventScroll: true });
  };

  #replay = async () => {
    this.#busy = true;
    this.#draw();
    try {
      if (await replayAll(this.#filters)) await this.#read();
    } finally {
      this.#busy = false;
      this.#draw();
    }
  };

  #draw() {
    render(this.#page(), this.#root);
    if (!this.#focusOn || this.#root.hidden || !this.#found) return;
    const row = this.#root.querySelector(`tr[data-id="${this.#focusOn}"] a`);
    this.#focus(row ?? this.#root.querySelector("h1"));
    this.#focusOn = null;
  }

  #page() {
    const { overview, params } = this.#context;
    const newer = this.#newCount();
    return html`<div class="stack">
      <h1 tabindex="-1">Conversions</h1>
      ${filterForm(params, overview, this.#found?.rows ?? [])}
      <div role="status" class="new-rows">${newer
        ? html`<button class="primary" @click=${this.#showNewer}>Show ${count(newer, "new conversion")}</button>` : nothing}</div>
      ${this.#bulk()}
      ${this.#problem ? problem(this.#problem, params) : this.#found ? this.#results() : skeleton()}
    </div>`;
  }

  #newCount() {
    if (!this.#newer || !this.#found) return 0;
    const known = new Set(this.#found.rows.map((row) => row.id));
    return this.#newer.rows.filter((row) => !known.has(row.id)).length;
  }

  #bulk() {
    const { state, q } = this.#context.params;
    if (q || !["dead", "skipped"].includes(state) || !this.#found?.rows.length) return nothing;
    return html`<div><button ?disabled=${this.#busy} @click=${this.#replay}>${this.#busy ? "Working…" : "Send all of these again…"}</button></div>`;
  }

  #results() {
    const { params, overview } = this.#context;
    const { rows, cursor, traces = [], clicks = [] } = this.#found;
    return html`
      ${traces.length ? notStored(traces) : nothing}
      ${rows.length ? table(rows, params, (overview?.accounts ?? []).length > 1) : nothing}
      ${rows.length || (traces.length && !isFiltered(params)) ? nothing : empty(params, cursor, clicks, traces)}
      ${clicks.length ? visitorClicks(clicks) : nothing}
      ${pager(params, rows, cursor)}`;
  }
}

function table(rows, params, several) {
  return html`<section class="card" aria-label="Conversions found"><div class="table-box"><table class="cards conversions">
    <thead><tr><th scope="col">Time</th><th scope="col">Order</th><th scope="col">Event</th><th scope="col" class="number">Value</th>
      <th scope="col">State</th><th scope="col">Matched by</th></tr></thead>
    <tbody>${repeat(rows, (row) => row.id, (row) => line(row, params, several))}</tbody>
  </table></div></section>`;
}

function line(row, params, several) {
  const href = receiptLink(row.id, params);
  const open = (event) => {
    if (!event.target.closest("a") && !String(window.getSelection())) window.location.hash = href;
  };
  const reason = stateReason(row);
  return html`<tr class="opens" data-id=${row.id} @click=${open}>
    <td data-label="Time" class="time"><div><time datetime=${row.time} title=${utc(row.time)}>${at(row.time)}</time>
      ${Date.parse(row.received_at) - Date.parse(row.time) > LATE_MS
        ? html`<br><span class="muted small" title=${utc(row.received_at)}>received ${at(row.received_at)}</span>` : nothing}</div></td>
    <td data-label="Order" class="order"><a class="mono" href=${href}><bdi>${row.order_id ?? row.id}</bdi></a></td>
    <td data-label="Event" class="event">${row.event}${several ? html`<br><span class="muted small">${row.account}</span>` : nothing}</td>
    <td data-label="Value" class="number">${money(row.value, row.currency)}</td>
    <td data-label="State" class="why"><div><span class="state ${stateLook[row.state]}">${row.state}</span>
      ${reason ? html`<br><span class="muted small clamp">${reason}</span>` : nothing}</div></td>
    <td data-label="Matched by" class="by">${row.matched_by.map(identifierWords).join(", ") || "nothing"}</td>
  </tr>`;
}

/** The reason in plain words; where it is a code of Microsoft, its own text beside it. */
function stateReason({ state, reason, message }) {
  const words = reasonWords(reason);
  return state === "dead" && words === reason && message ? `${message} (${reason})` : words;
}

/** Items of an order that left no row, with the reason. */
export function notStored(traces) {
  return html`<section class="card" aria-labelledby="traces-title">
    <h2 id="traces-title">Came with this order id, and was not stored</h2>
    <ul class="stack">${traces.map(traced)}</ul>
  </section>`;
}

function traced({ name, time, error, message }) {
  const codes = (error ?? "").split(", ").filter(Boolean);
  const fix = name === "skipped" ? SKIPPED_FIX[codes[0]] : codes.includes("conflict") ? CONFLICT_FIX : REFUSED_FIX;
  return html`<li><span class="state ${name === "skipped" ? "none" : "bad"}">${name}</span>
    <time class="muted" datetime=${time} title=${utc(time)}>${at(time)}</time>:
    <strong>${codes.map(codeWords).join(", ")}</strong>
    <br>${fix ?? ""}<br><span class="muted small">${prose(message)}</span></li>`;
}

const codeWords = (code) => (code === "conflict" ? "the order is stored with other content" : reasonWords(code).replaceAll("_", " "));

function visitorClicks(clicks) {
  return html`<section class="card" aria-labelledby="clicks-title">
    <h2 id="clicks-title">Clicks of this visitor</h2>
    <ul class="small">${clicks.map(
      (click) => html`<li><time datetime=${click.clicked_at} title=${utc(click.clicked_at)}>${at(click.clicked_at)}</time>
        <span class="mono">${click.msclkid}</span> <span class="muted">account ${click.account}</span></li>`,
    )}</ul>
  </section>`;
}

const isFiltered = (params) => ["state", "reason", "event", "account", "since"].some((name) => params[name]);

function empty(params, cursor, clicks, traces) {
  if (cursor) return html`<p class="card empty">Nothing yet among the conversions that were looked through.</p>`;
  const filtered = isFiltered(params);
  if (params.q) {
    return html`<div class="card empty stack"><p>No conversion ${filtered ? "that fits the filters " : ""}has “<bdi>${params.q}</bdi>” as order id,
      click id or visitor${clicks.length || traces.length ? "." : ", and nothing with it was refused or skipped in the last 30 days."}</p>
      ${filtered ? html`<p><a href=${link("conversions", { q: params.q })}>Search without filters</a></p>`
        : html`<p>Was it sent, with exactly this id? <a href=${link("logs")}>Look at the log</a></p>`}</div>`;
  }
  if (filtered) return html`<p class="card empty">No conversion fits. <a href=${link("conversions", { account: params.account })}>Show all</a></p>`;
  return html`<p class="card empty">Nothing was received yet. <a href=${link("overview")}>Send a first conversion</a></p>`;
}

function pager(params, rows, cursor) {
  return html`<nav class="row" aria-label="Pages">
    ${params.cursor ? html`<a class="button" href=${link("conversions", { ...params, cursor: null })}>Newest</a>` : nothing}
    ${cursor ? html`<a class="button" href=${link("conversions", { ...params, cursor })}>${rows.length < PAGE ? "Look further back" : "Older"}</a>` : nothing}
    <span class="muted small grow" role="status">${rows.length ? `${number(rows.length)} shown` : ""}</span>
  </nav>`;
}

function problem(error, params) {
  return html`<div class="card empty stack" role="alert"><p>${error.message}</p>
    ${(error.lines ?? []).map((text) => html`<p>${text}</p>`)}
    <p><a href=${link("conversions", { ...params, q: null, cursor: null })}>Show the list</a></p></div>`;
}

/** Whether the same call may succeed later: the sidecar was away, or stopping. */
const isPassing = (error) => error.status === 0 || error.status >= 500;

function skeleton() {
  return html`<div aria-busy="true"><span class="visually-hidden">Loading</span><span class="skeleton tall"></span></div>`;
}
