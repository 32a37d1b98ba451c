// Follows the journal: its newest lines, those that arrive, and older ones on demand; never more than LIMIT.
//
// A new connection reads LIMIT lines and replaces what is shown, so it leaves neither a gap nor a double. A connection
// that the browser repeats by itself resumes after the last line (Last-Event-ID).
import { get, withQuery } from "../lib/api.js";

export const LIMIT = 1000;
const FIRST_PAGE = 100;
const RETRY_MS = 3_000;
const FULL_MS = 5_000; // each try that is refused is a line of the log itself
const EMPTY_PAGES = 20; // a page may be empty although older ones are not

/** A line of the log: `key` is unique, `seq` its number in the journal, 0 where it has none. */
const line = (fields, key, seq = 0) => ({ fields, key, seq });

export class LogFeed {
  lines = []; // the newest first
  held = []; // arrived while paused, the newest first
  paused = false;
  state = "loading"; // live, away, full (too many follow already), refused
  problem = null; // the answer that refused the filters
  cursor = null; // where older lines begin
  cut = false; // older lines were left out for the limit

  #query;
  #changed;
  #source = null;
  #timer = null;
  #lastId = "";
  #page = null; // the lines of a first page, until it is whole
  #olderPages = 0;

  constructor(query, changed) {
    this.#query = query;
    this.#changed = changed;
    document.addEventListener("visibilitychange", this.#onVisibility);
    this.#open();
  }

  close() {
    document.removeEventListener("visibilitychange", this.#onVisibility);
    this.#stop();
  }

  /** Keeps new lines back until `show` or `follow`. */
  pause() {
    this.paused = true;
    this.#changed();
  }

  /** Shows the lines that were kept back. */
  show() {
    this.#add(this.held);
    this.held = [];
    this.#changed();
  }

  follow() {
    this.paused = false;
    this.show();
  }

  /** Reads the next older page. Throws ApiError. */
  async older() {
    for (let page = 0; this.cursor && page < EMPTY_PAGES; page += 1) {
      const { items, next_cursor: next } = await get("logs", { ...this.#query, cursor: this.cursor });
      this.cursor = next;
      this.lines.push(...this.#withoutSeq(items));
      this.#trim();
      if (items.length) break;
    }
    this.#changed();
  }

  #onVisibility = () => (document.hidden ? this.#stop() : this.#open());

  #stop() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #open() {
    this.#stop();
    this.#lastId = "";
    const limit = this.lines.length ? LIMIT : FIRST_PAGE;
    const source = new EventSource(withQuery("logs", { ...this.#query, follow: 1, limit }));
    source.onopen = () => this.#opened();
    source.onmessage = (event) => this.#arrived(event);
    source.onerror = () => (source.readyState === EventSource.CLOSED ? this.#refused() : this.#become("away"));
    source.addEventListener("page", (event) => this.#pageIsWhole(JSON.parse(event.data).next_cursor));
    source.addEventListener("gap", () => this.#open()); // it reads again what was missed
    this.#source = source;
  }

  #opened() {
    if (!this.#lastId) this.#page = [];
    this.#become("live");
  }

  #arrived({ data, lastEventId }) {
    // An event without an id of its own repeats the last one: the trace of an order that was not stored.
    const isTrace = lastEventId === this.#lastId;
    this.#lastId = lastEventId;
    const arrived = isTrace ? line(JSON.parse(data), `trace ${data}`) : line(JSON.parse(data), lastEventId, Number(lastEventId));
    if (this.#page) {
      this.#page.unshift(arrived);
    } else if (this.paused) {
      this.held.unshift(arrived);
      this.held.length = Math.min(this.held.length, LIMIT);
      this.#changed();
    } else {
      this.#add([arrived]);
      this.#changed();
    }
  }

  #pageIsWhole(next) {
    const page = this.#page ?? [];
    this.#page = null;
    if (this.paused && this.lines.length) {
      const newest = Math.max(0, ...this.lines.map((one) => one.seq));
      this.held = page.filter((one) => one.seq > newest);
    } else {
      this.lines = page;
      this.cursor = next;
      this.cut = false;
    }
    this.#changed();
  }

  /** The stream cannot be had: the same question as a page says why. */
  async #refused() {
    this.#stop();
    try {
      const { items, next_cursor: next } = await get("logs", this.#query);
      Object.assign(this, { lines: this.#withoutSeq(items), cursor: next, cut: false });
      this.#become("full");
    } catch (error) {
      this.problem = error.status === 422 ? error : null;
      this.#become(this.problem ? "refused" : "away");
    }
    if (!this.problem && !document.hidden) this.#timer = setTimeout(() => this.#open(), this.state === "full" ? FULL_MS : RETRY_MS);
  }

  #become(state) {
    this.state = state;
    this.#changed();
  }

  #withoutSeq(items) {
    this.#olderPages += 1;
    return items.map((fields, place) => line(fields, `page ${this.#olderPages} ${place}`));
  }

  #add(arrived) {
    this.lines.unshift(...arrived);
    this.#trim();
  }

  #trim() {
    if (this.lines.length <= LIMIT) return;
    this.lines.length = LIMIT;
    this.cut = true;
  }
}
