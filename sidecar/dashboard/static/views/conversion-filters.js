// The search box and the filters of the list; the address holds what they say. A text is set when the address changes,
// not at each drawing, which would take away what the reader is typing.
import { at, reasonWords } from "../lib/format.js";
import { link } from "../lib/router.js";
import { html, live, nothing } from "../lib/view.js";

const STATES = ["pending", "delivered", "skipped", "dead", "canceled"];
const REASONS = {
  pending: ["not_yet", "awaiting_click", "click_settling", "retrying", "not_connected", "account_paused", "throttled",
    "goal_not_found", "goal_settling", "goal_paused", "unmapped"],
  skipped: ["no_click", "goal_not_enhanced", "outside_window", "erased"],
  dead: ["too_old", "poison"],
  canceled: ["discarded", "retracted"],
};
const PERIODS = { "1h": "last hour", "24h": "last 24 hours", "7d": "last 7 days", "30d": "last 30 days" };

/** The form; `rows` and the overview say which reasons and events there are. */
export function filterForm(params, overview, rows) {
  const { account } = params;
  const configured = (overview?.accounts ?? []).flatMap((one) => one.goals.map((goal) => goal.event));
  const events = [...configured, ...rows.map((row) => row.event)];
  const set = (name) => (event) => go({ ...params, cursor: null, [name]: event.target.value, ...(name === "state" ? { reason: null } : {}) });
  const since = { ...PERIODS, ...(params.since && !PERIODS[params.since] ? { [params.since]: `since ${at(params.since)}` } : {}) };
  return html`<form class="card stack filters" role="search" aria-label="Conversions" @submit=${(event) => submit(event, params)}>
    <div class="row search">
      <label class="grow">Order id, conv_ id, click id or visitor
        <input type="search" name="q" maxlength="200" autocomplete="off" spellcheck="false" .value=${params.q ?? ""}></label>
      <button class="primary">Search</button>
    </div>
    <div class="row">
      ${choice("State", params.state, options(STATES, params.state), set("state"))}
      ${choice("Reason", params.reason, reasonsFor(params, rows), set("reason"))}
      ${choice("Event", params.event, options(events, params.event), set("event"))}
      ${choice("Received", params.since, since, set("since"), "any time")}
      ${Object.entries(params).some(([name, value]) => value && name !== "account")
        ? html`<a class="button quiet" href=${link("conversions", { account })}>Clear</a>` : nothing}
    </div>
  </form>`;
}

function choice(label, value, known, change, any = "any") {
  return html`<label>${label}
    <select @change=${change}>
      <option value="" .selected=${live(!value)}>${any}</option>
      ${Object.entries(known).map(([key, words]) => html`<option value=${key} .selected=${live(key === value)}>${words}</option>`)}
    </select></label>`;
}

const options = (names, chosen) => Object.fromEntries([...new Set([...names, ...(chosen ? [chosen] : [])])].map((name) => [name, name]));

function reasonsFor({ state, reason }, rows) {
  const known = state ? (REASONS[state] ?? []) : Object.values(REASONS).flat();
  const names = new Set([...known, ...rows.map((row) => row.reason), reason].filter(Boolean));
  return Object.fromEntries([...names].map((name) => [name, reasonWords(name)]));
}

function submit(event, params) {
  event.preventDefault();
  const q = new FormData(event.target).get("q").trim();
  go({ ...params, q, cursor: null });
}

function go(params) {
  window.location.hash = link("conversions", params);
}
