// A stacked bar chart over time: <time-chart>, drawn by uPlot, with its numbers as text and as a table.
import { clockTime, at, count, day, number } from "./format.js";
import { html, render } from "./view.js";

const HEIGHT = 170;
const AXIS = 26;
const DAY = 86_400;

/** Sums so that each series stands on those before it; drawn from the highest, the lower ones cover it. */
function stacked(series) {
  const total = series[0].values.map(() => 0);
  return series.map(({ values }) => values.map((value, place) => (total[place] += value)));
}

/**
 * `data` is {times: [ISO instants], stepSeconds, series: [{name, label, values, colour}]}, the lowest series first;
 * `colour` is the name of a custom property in theme.css. `label` describes the chart.
 */
class TimeChart extends HTMLElement {
  #data = null;
  #plot = null;
  #observer = new ResizeObserver(() => this.#resize());
  #redraw = () => this.#draw();

  set data(data) {
    const same = this.#data && JSON.stringify(this.#data) === JSON.stringify(data);
    this.#data = data;
    if (!same && this.isConnected) this.#draw();
  }

  connectedCallback() {
    this.#observer.observe(this);
    addEventListener("themechange", this.#redraw);
    this.#draw();
  }

  disconnectedCallback() {
    this.#observer.disconnect();
    removeEventListener("themechange", this.#redraw);
    this.#plot?.destroy();
    this.#plot = null;
  }

  #resize() {
    if (this.#plot && this.clientWidth) this.#plot.setSize({ width: this.clientWidth, height: HEIGHT });
  }

  #draw() {
    if (!this.#data) return;
    render(this.#parts(), this);
    this.#plot?.destroy();
    this.#plot = new window.uPlot(this.#options(), this.#columns(), this.querySelector(".plot"));
    this.#tell(null);
  }

  #columns() {
    const { times, series } = this.#data;
    const seconds = times.map((time) => Date.parse(time) / 1000);
    return [seconds, ...stacked(series).reverse()];
  }

  #options() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const { series, stepSeconds } = this.#data;
    const bars = window.uPlot.paths.bars({ size: [0.8, 40], align: 1 });
    const axis = { stroke: colour("--text-2"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    const shown = [...series].reverse();
    return {
      width: this.clientWidth || 300,
      height: HEIGHT,
      padding: [8, 20, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      hooks: { setCursor: [(plot) => this.#tell(this.#under(plot))] },
      scales: { x: { time: true, range: (_, min, max) => [min, max + stepSeconds] }, y: { range: (_, __, max) => [0, Math.max(4, max * 1.1)] } },
      axes: [
        { ...axis, size: AXIS, grid: { show: false }, values: (_, ticks) => ticks.map((tick) => this.#tick(tick, ticks)) },
        { ...axis, size: 48, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? number(tick) : "")) },
      ],
      series: [{}, ...shown.map((one) => ({ label: one.label, fill: colour(one.colour), width: 0, paths: bars, points: { show: false } }))],
    };
  }

  /** Days where the ticks lie a day or more apart, else the time of day. */
  #tick(seconds, ticks) {
    const instant = new Date(seconds * 1000);
    return ticks.length > 1 && ticks[1] - ticks[0] >= DAY / 2 ? (instant.getHours() ? "" : day(instant)) : clockTime(instant).slice(0, 5);
  }

  /** The place of the bar under the pointer: the last that begins before it. */
  #under(plot) {
    if (plot.cursor.left < 0) return null;
    const seconds = plot.posToVal(plot.cursor.left, "x");
    return plot.data[0].findLastIndex((start) => start <= seconds);
  }

  #tell(place) {
    const { times, series } = this.#data;
    const note = this.querySelector(".chart-note");
    if (place === null || place < 0) note.textContent = "";
    else {
      const parts = series.filter((one) => one.values[place]).map((one) => `${number(one.values[place])} ${one.label}`);
      const total = series.reduce((sum, one) => sum + one.values[place], 0);
      note.textContent = `${this.#when(times[place])}: ${count(total, "conversion")}${parts.length ? ` (${parts.join(", ")})` : ""}`;
    }
  }

  #when(time) {
    return this.#data.stepSeconds >= DAY ? day(time) : at(time);
  }

  #parts() {
    const { times, series, label } = this.#data;
    const rows = times.map((time, place) => ({ time, values: series.map((one) => one.values[place]) }));
    const busy = rows.filter((row) => row.values.some(Boolean)).reverse();
    return html`<div class="plot" aria-hidden="true"></div>
      <ul class="legend row small" aria-hidden="true">
        ${series.map((one) => html`<li><span class="swatch ${one.name}"></span>${one.label}</li>`)}
        <li class="chart-note grow"></li>
      </ul>
      <details class="small"><summary>As a table</summary>
        ${busy.length ? html`<div class="table-box" tabindex="0" role="region" aria-label=${label}><table>
          <caption class="visually-hidden">${label}</caption>
          <thead><tr><th scope="col">Time</th>${series.map((one) => html`<th scope="col" class="number">${one.label}</th>`)}</tr></thead>
          <tbody>
            ${busy.map((row) => html`<tr><th scope="row">${this.#when(row.time)}</th>${row.values.map((value) => html`<td class="number">${number(value)}</td>`)}</tr>`)}
          </tbody>
        </table></div>` : html`<p class="empty">Nothing was received.</p>`}
      </details>`;
  }
}

customElements.define("time-chart", TimeChart);
