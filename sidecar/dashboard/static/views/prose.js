// Texts of the sidecar's catalogues: what is in backticks is code, and an instant is a time of the reader's zone.
import { at, utc } from "../lib/format.js";
import { html } from "../lib/view.js";

const INSTANT = /(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/;

const NAME = /<(?:name|account)>/g;

/** `account` is the name to use where the text has a place for one. */
export function prose(text, account = null) {
  const filled = (part) => (account ? part.replace(NAME, () => account) : part);
  return (text ?? "").split("`").map((part, place) => (place % 2 ? html`<code>${filled(part)}</code>` : withTimes(filled(part))));
}

const withTimes = (text) =>
  text.split(INSTANT).map((part, place) => (place % 2 ? html`<time datetime=${part} title=${utc(part)}>${at(part)}</time>` : part));

/** What to do about something, or that it passes by itself. */
export function advice(fix) {
  const calm = /^(?:Nothing to do|Wait)\b/.exec(fix)?.[0] ?? "";
  return html`<strong>${calm || "What to do: "}</strong>${prose(fix.slice(calm.length))}`;
}
