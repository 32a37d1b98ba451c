// One line of the log: what it looks like, the fields it opens to, and its text to copy.
import { clockTime, count, day, utc } from "../lib/format.js";
import { copy } from "../lib/dialog.js";
import { link } from "../lib/router.js";
import { html, nothing } from "../lib/view.js";
import { prose } from "./prose.js";

const LOOK = { debug: "none", info: "", warning: "wait", error: "bad" };
const FIELDS = ["account", "order_id", "conversion_id", "batch_id", "tracking_id", "error", "count"];
const LABELS = {
  account: "Account", order_id: "Order", conversion_id: "Conversion", batch_id: "Batch", tracking_id: "TrackingId", error: "Error",
  count: "Count",
};

/** Neighbours that say the same as one entry: {line, times, first}, where `first` is the oldest of them. */
export function folded(lines) {
  const groups = [];
  for (const line of lines) {
    const last = groups.at(-1);
    if (last && sameWords(last.line.fields, line.fields)) {
      last.times += 1;
      last.first = line;
    } else {
      groups.push({ line, times: 1, first: line });
    }
  }
  return groups;
}

const sameWords = (one, other) =>
  ["level", "name", "message", ...FIELDS].every((field) => one[field] === other[field]);

/** The line as text, with all its fields. */
export function textOf({ fields }) {
  const { time, level, name, message, fix, ...rest } = fields;
  const known = Object.entries(rest).map(([key, value]) => `${key}=${value}`);
  return [time, level.toUpperCase(), name, message, ...known, ...(fix ? [`fix: ${fix}`] : [])].join(" ");
}

/** `onToggle(key, open)` is called when the reader opens or closes it; its fields are drawn only while it is open. */
export function logLine({ line, times, first }, isOpen, params, onToggle) {
  const { time, level, name, message } = line.fields;
  return html`<li class="log-line">
    <details .open=${isOpen} @toggle=${(event) => onToggle(first.key, event.currentTarget.open)}>
      <summary>
        <time datetime=${time} title=${utc(time)}>${moment(time)}</time>
        <span class="state ${LOOK[level] ?? ""}">${level}</span>
        <span class="mono name">${name}</span>
        <span class="message">${message}${times > 1 ? html` <span class="tag">${count(times, "time")}</span>` : nothing}</span>
      </summary>
      ${isOpen ? body({ line, times, first }, params) : nothing}
    </details>
  </li>`;
}

function moment(time) {
  const today = new Date(time).toDateString() === new Date().toDateString();
  return today ? clockTime(time) : `${day(time)}, ${clockTime(time)}`;
}

function body({ line, times, first }, params) {
  const { fields } = line;
  return html`<div class="log-body stack">
    ${fields.fix ? html`<p><strong>What to do:</strong> ${prose(fields.fix, fields.account)}</p>` : nothing}
    <dl class="facts">
      <dt>Time</dt><dd>${utc(fields.time)}</dd>
      ${times > 1 ? html`<dt>Repeated</dt><dd>${count(times, "time")} since ${utc(first.fields.time)}</dd>` : nothing}
      ${FIELDS.filter((field) => fields[field] != null).map((field) => html`<dt>${LABELS[field]}</dt><dd>${value(field, fields[field])}</dd>`)}
    </dl>
    <div class="row">
      <button @click=${() => copy(textOf(line), "The line was")}>Copy the line</button>
      <a class="button" href=${link("logs", { ...params, name: fields.name })}>Only ${fields.name}</a>
    </div>
  </div>`;
}

function value(field, content) {
  if (field === "conversion_id") return html`<a href=${link(`conversions/${encodeURIComponent(content)}`)}>${content}</a>`;
  if (field === "order_id") return html`<a href=${link("conversions", { q: content })}>${content}</a>`;
  if (field === "account") return html`<a href=${link("logs", { account: content })}>${content}</a>`;
  return html`<span class="mono">${content}</span>`;
}
