// What happened, the newest first, while it happens.
import { attempt, copy } from "../lib/dialog.js";
import { count, number } from "../lib/format.js";
import { link } from "../lib/router.js";
import { html, nothing, render, repeat } from "../lib/view.js";
import { LIMIT, LogFeed } from "./log-feed.js";
import { filters, filtersIn } from "./log-filters.js";
import { folded, logLine, textOf } from "./log-line.js";

export const title = "Logs";

const STATES = {
  loading: ["none", "loading"],
  live: ["good", "live"],
  paused: ["wait", "paused"],
  away: ["bad", "not connected, trying again"],
  full: ["wait", "not live: too many follow the log already"],
  refused: ["bad", "these filters cannot be used"],
};

export function open(root, context) {
  let latest = context;
  let feed = null;
  let asked = "";
  let frame = 0;
  const opened = new Set();

  const draw = () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => render(page(latest, feed, opened, toggle), root));
  };
  const toggle = (key, isOpen) => {
    if (opened.has(key) === isOpen) return;
    if (isOpen) opened.add(key);
    else opened.delete(key);
    draw();
  };
  const update = (next) => {
    latest = next;
    const query = filtersIn(next.params);
    if (JSON.stringify(query) !== asked) {
      asked = JSON.stringify(query);
      feed?.close();
      opened.clear();
      feed = new LogFeed(query, draw);
    }
    draw();
  };
  update(context);
  return {
    update,
    close() {
      feed.close();
      cancelAnimationFrame(frame);
    },
  };
}

function page({ params }, feed, opened, toggle) {
  return html`<div class="stack">
    <h1>Logs</h1>
    ${filters(params)}
    ${toolbar(feed)}
    ${feed.problem ? refused(feed.problem) : list(feed, params, opened, toggle)}
  </div>`;
}

function toolbar(feed) {
  const [look, words] = STATES[feed.paused && feed.state === "live" ? "paused" : feed.state];
  return html`<div class="row toolbar">
    <span class="state ${look}" role="status">${words}</span>
    ${feed.paused
      ? html`<button class="primary" @click=${() => feed.follow()}>Follow</button>`
      : html`<button @click=${() => feed.pause()} ?disabled=${feed.state !== "live"}>Pause</button>`}
    ${feed.held.length ? html`<button @click=${() => feed.show()}>${number(feed.held.length)} new ▾</button>` : nothing}
    <span class="grow"></span>
    ${feed.lines.length
      ? html`<button @click=${() => copy(feed.lines.map(textOf).join("\n"), count(feed.lines.length, "line"))}>Copy ${count(feed.lines.length, "line")}</button>`
      : nothing}
  </div>`;
}

function refused(problem) {
  return html`<div class="problem stack" role="alert">
    <p>${problem.message}</p>
    ${problem.lines.length ? html`<ul>${problem.lines.map((line) => html`<li>${line}</li>`)}</ul>` : nothing}
    <p><a class="button" href=${link("logs")}>Clear the filters</a></p>
  </div>`;
}

function list(feed, params, opened, toggle) {
  if (feed.state === "loading") return html`<span class="skeleton tall" aria-busy="true"></span>`;
  return html`${feed.lines.length
      ? html`<ol class="log card" aria-label="What happened, the newest first">
          ${repeat(folded(feed.lines), ({ first }) => first.key, (group) => logLine(group, opened.has(group.first.key), params, toggle))}
        </ol>`
      : empty(params, feed)}
    ${older(feed, params)}`;
}

function empty(params, feed) {
  if (feed.cursor) return html`<p class="card empty">Nothing among the newest entries. There are older ones.</p>`;
  return Object.values(params).some(Boolean)
    ? html`<p class="card empty">Nothing fits these filters. <a href=${link("logs")}>Clear the filters</a></p>`
    : html`<p class="card empty">Nothing was logged yet. Nothing to do.</p>`;
}

/** The way to what is older: the next page, or from the limit on a view of its own. */
function older(feed, params) {
  if (feed.cut || (feed.cursor && feed.lines.length >= LIMIT)) {
    const oldest = feed.lines.at(-1).fields.time;
    const until = new Date(Date.parse(oldest) + 1).toISOString(); // `until` is exclusive: the oldest line shows again
    return html`<p><a class="button" href=${link("logs", { ...params, until })}>Older than these ${number(LIMIT)} lines</a></p>`;
  }
  return feed.cursor ? html`<p><button @click=${() => attempt(() => feed.older())}>Older</button></p>` : nothing;
}
