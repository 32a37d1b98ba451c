// Values to text for people: numbers, money, times, states and reasons. Times are in the reader's zone.
import { now } from "./clock.js";

const plain = new Intl.NumberFormat("en");
const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 0 });
const timeOfDay = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const seconds = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayAndMonth = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dayMonthYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

export const number = (value) => (value == null ? "–" : plain.format(value));
export const share = (value) => (value == null ? "–" : percent.format(value));

/** `1,204 conversions`; `many` where an s is not enough. */
export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

/** `48,210.50 USD`: the amount with the currency's own number of decimals, more where the amount has more. */
export function money(amount, currency) {
  if (amount == null) return "–";
  if (!currency) return number(amount);
  let digits = 2;
  try {
    digits = new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
  } catch {
    // not a currency that this browser knows: two decimals
  }
  const format = new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: Math.max(digits, 3) });
  return `${format.format(amount)} ${currency}`;
}

/** Sums by currency, the largest first: `{USD: 3, EUR: 5}` is `5.00 EUR, 3.00 USD`. */
export function sums(values) {
  const parts = Object.entries(values ?? {}).filter(([, amount]) => amount !== 0);
  return parts.sort(([, a], [, b]) => b - a).map(([currency, amount]) => money(amount, currency)).join(", ") || "–";
}

/** Today's times as `14:05`, others as `27 Feb, 14:05`. */
export function at(instant) {
  if (!instant) return "–";
  const date = new Date(instant);
  if (date.toDateString() === new Date(now()).toDateString()) return timeOfDay.format(date);
  return `${day(instant)}, ${timeOfDay.format(date)}`;
}

/** `27 Feb`, with the year where it is another one. */
export function day(instant) {
  if (!instant) return "–";
  const date = new Date(instant);
  return (date.getFullYear() === new Date(now()).getFullYear() ? dayAndMonth : dayMonthYear).format(date);
}

export const clockTime = (instant) => (instant ? seconds.format(new Date(instant)) : "–");

/** The exact instant in UTC, for a tooltip. */
export const utc = (instant) => (instant ? new Date(instant).toISOString().replace("T", " ").replace("Z", " UTC") : "");

/** `3 s`, `12 min`, `5 h`, `3 days`. */
export function duration(value) {
  if (value == null) return "–";
  if (value < 1) return "less than 1 s";
  if (value < 90) return `${Math.round(value)} s`;
  if (value < 5400) return `${Math.round(value / 60)} min`;
  if (value < 129_600) return `${Math.round(value / 3600)} h`;
  return count(Math.round(value / 86_400), "day");
}

export const ago = (instant) => `${duration(Math.max(0, (now() - new Date(instant)) / 1000))} ago`;

/** A goal's window: `90d` is `90 days`. */
export const days = (window) => window?.replace(/^(\d+)d$/, "$1 days");

/** The look of each state of a row. */
export const stateLook = { pending: "wait", delivered: "good", skipped: "none", dead: "bad", canceled: "none" };

const reasons = {
  not_yet: "its time lies ahead",
  awaiting_click: "waits for a click",
  click_settling: "its click is younger than an hour",
  awaiting_original: "waits for its conversion",
  retrying: "will be tried again",
  not_connected: "not signed in",
  account_paused: "the account is paused",
  throttled: "Microsoft asked to wait",
  goal_not_found: "the goal is missing at Microsoft",
  goal_settling: "the goal is too new",
  goal_paused: "the goal is paused",
  unmapped: "its event or account is not configured",
  no_click: "no click was found",
  goal_not_enhanced: "the goal does not match by e‑mail or phone",
  outside_window: "the click is outside the goal's window",
  erased: "the person was erased",
  original_not_sent: "its conversion was not sent",
  too_old: "older than 90 days",
  poison: "Microsoft refused the whole request for it",
  retracted: "retracted",
  superseded: "replaced by a later adjustment",
  applied_before_upload: "applied before the upload",
  discarded: "discarded",
  consent_denied: "no consent",
  no_identifier: "nothing to match it by",
};

/** A reason in plain words; Microsoft's own code as it is; "" for none. */
export const reasonWords = (reason) => reasons[reason] ?? reason ?? "";

/** The state of a row in words, with its reason. */
export function stateWords(row) {
  const words = reasonWords(row.reason);
  if (row.state === "pending") return words || "on its way";
  return words ? `${row.state}: ${words}` : row.state;
}

const identifiers = { msclkid: "click id", visitor: "visitor", email: "e‑mail", phone: "phone", none: "nothing" };
export const identifierWords = (name) => identifiers[name] ?? name;
