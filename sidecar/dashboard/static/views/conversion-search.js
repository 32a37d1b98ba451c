// What a list shows for its address: rows by filter, or all that is known of an id that somebody typed.
import { get } from "../lib/api.js";
import { now } from "../lib/clock.js";

export const PAGE = 50;
const READS = 5;
const TRACES = ["refused", "skipped"];
const HOURS = { "1h": 1, "24h": 24, "7d": 168, "30d": 720, "90d": 2160 };
const CLICK_ID = /^\s*(_uet)?([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})(-?[01]?N?)\s*$/i;

/** The filters of an address as the API takes them. */
export function filtersOf({ state, reason, event, account, since }) {
  const from = HOURS[since] ? new Date(now() - HOURS[since] * 3_600_000).toISOString() : since;
  return { state, reason, event, account, since: from };
}

/** Rows for these filters from a cursor on; several short pages in a row are one. */
export async function readRows(filters, cursor = null, reads = READS) {
  const rows = [];
  let next = cursor;
  for (let read = 0; read < reads && rows.length < PAGE && (next || read === 0); read += 1) {
    const page = await get("v1/conversions", { ...filters, limit: PAGE - rows.length, cursor: next });
    rows.push(...page.items);
    next = page.next_cursor;
  }
  return { rows, cursor: next };
}

/** Where an id of ours leads: the id of a conversion, or null where the text is no such id. */
export async function conversionOf(text) {
  if (/^conv_\d+$/.test(text)) return (await get(`v1/conversions/${text}`)).id;
  if (!/^adj_\d+$/.test(text)) return null;
  const { conversion_id: id, type, state } = await get(`v1/adjustments/${text}`);
  if (!id) throw new Error(`${text} (${type}, ${state}) adjusts a conversion that was uploaded elsewhere, so there is no receipt here.`);
  return id;
}

/** Everything with that order id, click id or visitor: rows, traces of what was not stored, clicks of the visitor. */
export async function search(text, filters, cursor = null) {
  if (text.length > 200) return { rows: [], cursor: null, traces: [], clicks: [] };
  const byClick = CLICK_ID.test(text);
  const walk = byClick ? { msclkid: text } : { visitor_id: text };
  if (cursor) return { ...(await readRows({ ...filters, ...walk }, cursor)), traces: [], clicks: [] };
  const [ofOrder, walked, traces, clicks] = await Promise.all([
    get("v1/conversions", { ...filters, order_id: text, limit: PAGE }),
    readRows({ ...filters, ...walk }),
    tracesOf(text),
    byClick ? [] : get("v1/clicks", { visitor_id: text, limit: 10 }).then((page) => page.items),
  ]);
  const rows = new Map([...ofOrder.items, ...walked.rows].map((row) => [row.id, row]));
  const sorted = [...rows.values()].sort((a, b) => numberOf(b) - numberOf(a));
  return { rows: sorted, cursor: walked.cursor, traces, clicks };
}

/** What came with that order id and was not stored, newest first. */
export async function tracesOf(orderId) {
  const page = await get("logs", { order_id: orderId, limit: 100 });
  return page.items.filter((entry) => TRACES.includes(entry.name));
}

/** The number in the id of a row: later rows have higher ones. */
export const numberOf = (row) => Number(row.id.split("_")[1]);
