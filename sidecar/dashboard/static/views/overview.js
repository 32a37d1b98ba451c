// How things are: one sentence, the numbers behind it, and each goal's state.
import "../lib/chart.js";
import { get } from "../lib/api.js";
import { ago, at, count, day, duration, identifierWords, number, reasonWords, share, sums, utc } from "../lib/format.js";
import { poll } from "../lib/poll.js";
import { link } from "../lib/router.js";
import { html, nothing, render } from "../lib/view.js";
import { firstConversion } from "./first-conversion.js";
import { remedy } from "./remedies.js";

export const title = "Overview";

const PERIODS = { "24h": { label: "24 hours", hours: 24, step: "1h" }, "7d": { label: "7 days", hours: 168, step: "6h" }, "90d": { label: "90 days", hours: 2160, step: "1d" } };
const SERIES = [
  { name: "delivered", label: "delivered", colour: "--chart-delivered" },
  { name: "pending", label: "waiting", colour: "--chart-pending" },
  { name: "skipped", label: "skipped", colour: "--chart-skipped" },
  { name: "canceled", label: "canceled", colour: "--chart-canceled" },
  { name: "dead", label: "dead", colour: "--chart-dead" },
];
const GOAL_LOOK = {
  recording: ["good", "recording"],
  needs_attention: ["bad", "needs attention"],
  held: ["wait", "held"],
  no_recent_conversions: ["none", "no recent conversions"],
};
const SERIES_SECONDS = 30;

export function open(root, context) {
  let latest = context;
  let chart = null;
  const period = () => PERIODS[latest.params.period] ?? PERIODS["24h"];
  const draw = () => render(page(latest, chart, period()), root);

  const readSeries = async () => {
    const { hours, step } = period();
    const since = new Date(Date.now() - hours * 3_600_000).toISOString();
    try {
      const found = await Promise.all(SERIES.map(({ name }) => get("v1/series", { name, since, step, account: latest.account })));
      chart = {
        label: `Conversions received in the last ${period().label}, by state`,
        times: found[0].items.map((item) => item.at),
        stepSeconds: found[0].step_seconds,
        series: SERIES.map((series, place) => ({ ...series, values: found[place].items.map((item) => item.rows) })),
      };
    } catch {
      // the frame says that the sidecar is away; the chart keeps what it has
    }
    draw();
  };
  const stop = poll(readSeries, SERIES_SECONDS);
  draw();
  return {
    update(next) {
      const changed = next.params.period !== latest.params.period || next.account !== latest.account;
      latest = next;
      if (changed) stop.soon();
      draw();
    },
    close: stop,
  };
}

function page({ overview, account }, chart, period) {
  if (!overview) return skeleton();
  const accounts = overview.accounts.filter((one) => !account || one.account === account);
  return html`<div class="stack">
    ${headline(overview)}
    ${overview.first_received_at === null ? firstConversion(overview) : html`
      ${figures(overview)}
      <div class="columns">
        <section class="card wide" aria-labelledby="chart-title">
          <header class="row"><h2 id="chart-title" class="grow">Received, by state</h2>${periods(period)}</header>
          ${chart ? html`<time-chart .data=${chart}></time-chart>${legend()}` : html`<span class="skeleton tall"></span>`}
        </section>
        ${matched(overview.match_share)}
        ${waiting(overview)}
      </div>`}
    ${accounts.map((one) => accountBlock(one, accounts.length > 1))}
  </div>`;
}

function skeleton() {
  return html`<div class="stack" aria-busy="true">
    <h1 class="skeleton">Loading</h1><span class="skeleton tall"></span><span class="skeleton tall"></span>
  </div>`;
}

function headline(overview) {
  const look = { ok: "good", degraded: "wait", down: "bad" }[overview.state];
  const troubles = overview.troubles.filter((trouble) => trouble.severity !== "advice");
  const [worst, ...others] = troubles;
  const loud = troubles.some((trouble) => trouble.severity === "error") ? "bad" : look;
  return html`<section class="headline ${loud}" aria-label="How things are">
    <h1><span class="state ${loud}" aria-hidden="true"></span>${overview.headline}</h1>
    ${worst ? problem(worst) : nothing}
    ${others.length
      ? html`<details><summary>${count(others.length, "more problem")}</summary>
          <ul class="stack">${others.map((other) => html`<li><h2>${other.headline}</h2>${problem(other)}</li>`)}</ul></details>`
      : nothing}
    ${advice(overview.troubles.filter((trouble) => trouble.severity === "advice"))}
  </section>`;
}

function problem(trouble) {
  return html`<p>${trouble.fix}</p>
    <p class="muted small">
      Since <time datetime=${trouble.since} title=${utc(trouble.since)}>${at(trouble.since)}</time> (${ago(trouble.since)}).
      ${trouble.cause}</p>
    <div class="row">${remedy(trouble)}</div>`;
}

function advice(items) {
  return items.length
    ? html`<ul class="advice">${items.map((item) => html`<li><strong>${item.headline}</strong> ${item.fix}</li>`)}</ul>`
    : nothing;
}

function figures({ counts_24h: counts, dead, lag_seconds: lag }) {
  const figure = (label, value, to, note = "") => html`<li class="card figure">
    <a href=${to}><strong>${value}</strong><span>${label}</span></a>${note ? html`<span class="muted small">${note}</span>` : nothing}</li>`;
  return html`<section aria-label="The last 24 hours">
    <ul class="figures">
      ${figure("received", number(counts.received), link("conversions"), "in the last 24 hours")}
      ${figure("delivered", number(counts.delivered), link("conversions", { state: "delivered" }), "of those")}
      ${figure("waiting", number(counts.pending), link("conversions", { state: "pending" }), lag == null ? "nothing is late" : `oldest due for ${duration(lag)}`)}
      ${figure("skipped", number(counts.skipped), link("conversions", { state: "skipped" }), "by rule")}
      ${figure("canceled", number(counts.canceled), link("conversions", { state: "canceled" }), "before they were sent")}
      ${figure("dead", number(counts.dead), link("conversions", { state: "dead" }), dead.rows ? `${number(dead.rows)} in all, ${sums(dead.value)}` : "none in all")}
    </ul>
  </section>`;
}

function periods(period) {
  return html`<div class="row" role="group" aria-label="Period">
    ${Object.entries(PERIODS).map(
      ([key, { label }]) => html`<a class="button small" href=${link("overview", { period: key === "24h" ? null : key })}
        aria-current=${period.label === label ? "true" : nothing}>${label}</a>`,
    )}
  </div>`;
}

function legend() {
  return html`<ul class="legend row small" aria-hidden="true">
    ${SERIES.map(({ name, label }) => html`<li><span class="swatch ${name}"></span>${label}</li>`)}
  </ul>`;
}

function matched(shares) {
  const known = Object.entries(shares ?? {}).filter(([, value]) => value != null);
  return html`<section class="card" aria-labelledby="matched-title">
    <h2 id="matched-title">Matched by</h2>
    ${known.length
      ? html`<ul class="bars">${known.map(
          ([name, value]) => html`<li><span>${identifierWords(name)}</span>
            <meter min="0" max="1" value=${value} aria-label=${identifierWords(name)}></meter><span class="number">${share(value)}</span></li>`,
        )}</ul><p class="muted small">Share of conversions that carry it; one can carry several.</p>`
      : html`<p class="empty">Known after the first conversions.</p>`}
  </section>`;
}

function waiting({ waiting: parts }) {
  return html`<section class="card" aria-labelledby="waiting-title">
    <h2 id="waiting-title">What waits, and why</h2>
    ${parts.length
      ? html`<ul class="stack small">${parts.map(
          (part) => html`<li>
            <a href=${link("conversions", { state: "pending", reason: part.reason })}>${number(part.rows)} ${reasonWords(part.reason) || "due, or on their way"}</a>
            <br><span class="muted">${sums(part.value)}${part.first_expiry_at ? `; the first is lost on ${day(part.first_expiry_at)}` : ""}</span></li>`,
        )}</ul>`
      : html`<p class="empty">Nothing waits.</p>`}
  </section>`;
}

function accountBlock(account, several) {
  return html`<section class="card" aria-label="Account ${account.account}">
    <header class="row">
      <h2 class="grow">${several ? `Account ${account.account}` : "Goals"}</h2>
      <span class="muted small">${number(account.requests_last_minute)} of ${number(account.requests_limit)} requests in the last minute</span>
      ${account.signed_in_until ? html`<span class="muted small" title=${utc(account.signed_in_until)}>signed in</span>` : html`<span class="state bad small">not signed in</span>`}
    </header>
    ${several && account.headline ? html`<p>${account.headline}</p>` : nothing}
    <div class="table-box"><table class="cards">
      <thead><tr><th scope="col">Goal</th><th scope="col">Event</th><th scope="col">State</th><th scope="col" class="number">Delivered, 24 h</th>
        <th scope="col" class="number">Value</th><th scope="col" class="number">Attributed by Microsoft</th></tr></thead>
      <tbody>${account.goals.map(goalRow)}</tbody>
    </table></div>
  </section>`;
}

function goalRow(goal) {
  const [look, words] = GOAL_LOOK[goal.state] ?? ["none", goal.state];
  return html`<tr>
    <td data-label="Goal">${goal.goal}</td>
    <td data-label="Event">${goal.event}</td>
    <td data-label="State"><span class="state ${look}">${words}</span>${goal.headline ? html`<br><span class="muted small">${goal.headline}</span>` : nothing}</td>
    <td data-label="Delivered, 24 h" class="number">${number(goal.delivered_24h)}</td>
    <td data-label="Value" class="number">${sums(goal.value_24h)}</td>
    <td data-label="Attributed by Microsoft" class="number">${share(goal.attributed_share)}</td>
  </tr>`;
}
