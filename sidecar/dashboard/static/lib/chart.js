// A stacked bar chart over time: <time-chart>, drawn by uPlot, with a table of the same numbers for screen readers.
import { clockTime, at, number } from "./format.js";
import { html, render } from "./view.js";

const HEIGHT = 180;

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
    render(this.#table(), this);
    this.#plot?.destroy();
    const box = this.querySelector("div");
    this.#plot = new window.uPlot(this.#options(), this.#columns(), box);
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
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: true, range: (_, min, max) => [min, max + stepSeconds] }, y: { range: (_, __, max) => [0, Math.max(4, max * 1.1)] } },
      axes: [{ ...axis, grid: { show: false }, values: (_, ticks) => ticks.map((tick) => this.#tick(tick)) }, { ...axis, size: 48, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? number(tick) : "")) }],
      series: [{}, ...shown.map((one) => ({ label: one.label, fill: colour(one.colour), width: 0, paths: bars, points: { show: false } }))],
    };
  }

  #tick(seconds) {
    const instant = new Date(seconds * 1000);
    return this.#data.stepSeconds >= 86_400 ? at(instant).split(",")[0] : clockTime(instant).slice(0, 5);
  }

  #table() {
    const { times, series, label } = this.#data;
    const rows = times.map((time, place) => ({ time, values: series.map((one) => one.values[place]) }));
    const busy = rows.filter((row) => row.values.some(Boolean));
    return html`<div aria-hidden="true"></div>
      <div class="visually-hidden"><table>
        <caption>${label}</caption>
        <thead><tr><th scope="col">Time</th>${series.map((one) => html`<th scope="col">${one.label}</th>`)}</tr></thead>
        <tbody>
          ${busy.map((row) => html`<tr><th scope="row">${at(row.time)}</th>${row.values.map((value) => html`<td>${number(value)}</td>`)}</tr>`)}
        </tbody>
      </table></div>`;
  }
}

customElements.define("time-chart", TimeChart);
