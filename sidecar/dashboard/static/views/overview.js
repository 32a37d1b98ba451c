// How things are: one sentence, the numbers behind it, and each goal's state.
import "../lib/chart.js";
import { get } from "../lib/api.js";
import { now } from "../lib/clock.js";
import { poll } from "../lib/poll.js";
import { link } from "../lib/router.js";
import { html, nothing, render } from "../lib/view.js";
import { delivery, matched, waiting } from "./delivery.js";
import { figures } from "./figures.js";
import { FirstConversion } from "./first-conversion.js";
import { goals } from "./goals.js";
import { headline } from "./headline.js";
import { Verdicts } from "./verdict.js";

export const title = "Overview";

const PERIODS = {
  "24h": { words: "24 hours", hours: 24, step: "1h", since: "24h" },
  "7d": { words: "7 days", hours: 168, step: "6h", since: "7d" },
  "90d": { words: "90 days", hours: 2160, step: "1d" },
};
const SERIES = [
  { name: "delivered", label: "delivered", colour: "--chart-delivered" },
  { name: "pending", label: "waiting", colour: "--chart-pending" },
  { name: "skipped", label: "skipped", colour: "--chart-skipped" },
  { name: "canceled", label: "canceled", colour: "--chart-canceled" },
  { name: "dead", label: "dead", colour: "--chart-dead" },
];
const SERIES_SECONDS = 30;

export function open(root, context) {
  const first = new FirstConversion(() => draw());
  const verdicts = new Verdicts(() => draw());
  let latest = context;
  let chart = null;
  let spoken = null;
  const period = () => PERIODS[latest.params.period] ?? PERIODS["24h"];
  const draw = () => render(html`<p class="visually-hidden" role="status">${spoken?.words}</p>${page(latest, chart, period(), first, verdicts)}`, root);

  const stop = poll(async () => {
    const asked = latest;
    const found = await readChart(period(), asked.account);
    if (found && asked.account === latest.account) chart = { ...found, account: asked.account };
    draw();
  }, SERIES_SECONDS);

  first.see(context.overview);
  verdicts.see(context.params);
  draw();
  return {
    update(next) {
      const changed = next.params.period !== latest.params.period || next.account !== latest.account;
      latest = next;
      spoken = news(next.overview, spoken);
      first.see(next.overview);
      verdicts.see(next.params);
      if (changed) {
        chart = null;
        stop.soon();
      }
      draw();
    },
    close() {
      stop();
      first.close();
    },
  };
}

/** What a screen reader says: the sentence, where another trouble is the worst one; not each changed figure. */
function news(overview, before) {
  if (!overview) return before;
  const [worst] = overview.troubles;
  const about = worst ? [worst.code, worst.account, worst.subject].join() : "";
  if (before?.about === about) return before;
  return { about, words: before ? overview.headline : "" };
}

/** The rows of a period by state; null while the sidecar gives no answer, which the frame says. */
async function readChart({ words, hours, step }, account) {
  const since = new Date(now() - hours * 3_600_000).toISOString();
  try {
    const found = await Promise.all(SERIES.map(({ name }) => get("v1/series", { name, since, step, account })));
    return {
      label: `Conversions received in the last ${words}, by state`,
      words,
      times: found[0].items.map((item) => item.at),
      stepSeconds: found[0].step_seconds,
      series: SERIES.map((series, place) => ({ ...series, values: found[place].items.map((item) => item.rows) })),
    };
  } catch {
    return null;
  }
}

function page({ overview, account }, chart, period, first, verdicts) {
  if (!overview) return skeleton();
  const counts = countsOf(overview, chart, period, account);
  return html`<div class="stack">
    ${headline(overview, account)}
    ${first.view(overview)}
    ${overview.first_received_at === null ? nothing : html`
      ${figures(counts, overview, { ...period, account })}
      <section class="card" aria-labelledby="chart-title">
        <header class="row"><h2 id="chart-title" class="grow">Received, by state</h2>${periods(period, account)}</header>
        ${chart ? html`<time-chart .data=${chart}></time-chart>` : html`<span class="skeleton tall"></span>`}
      </section>
      <div class="columns">${matched(overview)}${waiting(overview, account)}${delivery(overview, account)}</div>`}
    ${goals(overview, account, verdicts)}
  </div>`;
}

function skeleton() {
  return html`<div class="stack" aria-busy="true">
    <h1 class="skeleton">Loading</h1><span class="skeleton tall"></span><span class="skeleton tall"></span>
  </div>`;
}

/** Rows by state in the period: the overview has those of a day, the chart those of other periods or of one account. */
function countsOf(overview, chart, period, account) {
  if (period === PERIODS["24h"] && !account) return overview.counts_24h;
  if (!chart) return null;
  const sums = chart.series.map(({ name, values }) => [name, values.reduce((sum, rows) => sum + rows, 0)]);
  return { received: sums.reduce((sum, [, rows]) => sum + rows, 0), ...Object.fromEntries(sums) };
}

function periods(chosen, account) {
  return html`<div class="row" role="group" aria-label="Period">
    ${Object.entries(PERIODS).map(
      ([key, period]) => html`<a class="button small" href=${link("overview", { period: key === "24h" ? null : key, account })}
        aria-current=${period === chosen ? "true" : nothing}>${period.words}</a>`,
    )}
  </div>`;
}
