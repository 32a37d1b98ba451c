// The filters of the log, as `/logs` has them. All of them are in the address of the view. A field is set when the address
// changes, not at each drawing, which would take away what the reader is typing.
import { link, replaceParams } from "../lib/router.js";
import { html, nothing } from "../lib/view.js";
import { NAMES } from "./log-names.js";

const LEVELS = { "": "all", info: "info and above", warning: "warnings and errors", error: "errors" };
const FILTERS = ["level", "name", "account", "order_id", "conversion_id", "since", "until"];

const isWide = matchMedia("(min-width: 701px)").matches; // elsewhere they would fill the screen

/** The filters among the parameters of the address; the account is chosen in the frame. */
export function filtersIn(params) {
  return Object.fromEntries(FILTERS.map((name) => [name, params[name]]).filter(([, value]) => value));
}

export function filters(params) {
  const inUse = FILTERS.filter((name) => params[name]).length;
  const set = (name) => (event) => replaceParams({ ...params, [name]: event.target.value.trim() });
  const setInstant = (name) => (event) => replaceParams({ ...params, [name]: toInstant(event.target.value) });
  const text = (name, label) => html`<label>${label}
    <input type="search" name=${name} maxlength="200" .value=${params[name] ?? ""} @change=${set(name)}></label>`;
  const instant = (name, label) => html`<label>${label}
    <input type="datetime-local" step="1" name=${name} .value=${toLocal(params[name])} @change=${setInstant(name)}></label>`;
  return html`<details class="filters card" ?open=${isWide}>
    <summary>Filters${inUse ? ` (${inUse})` : ""}</summary>
    <form class="row" aria-label="Filters" @submit=${(event) => event.preventDefault()}>
      <label>Level
        <select name="level" @change=${set("level")}>${Object.entries(LEVELS).map(
          ([value, words]) => html`<option value=${value} .selected=${(params.level ?? "") === value}>${words}</option>`,
        )}</select></label>
      <label>What happened
        <input type="search" name="name" list="log-names" .value=${params.name ?? ""} @change=${set("name")}></label>
      <datalist id="log-names">${NAMES.map((name) => html`<option value=${name}></option>`)}</datalist>
      ${text("order_id", "Order")} ${text("conversion_id", "Conversion")}
      ${instant("since", "From")} ${instant("until", "Before")}
      ${inUse ? html`<a class="button" href=${link("logs")}>Clear the filters</a>` : nothing}
    </form>
  </details>`;
}

/** What the reader entered in the zone of the browser, as an instant; "" for nothing. */
function toInstant(local) {
  return local ? new Date(local).toISOString() : "";
}

/** An instant of the address as the control takes it; "" for none, or for one that is no instant. */
function toLocal(instant) {
  const time = Date.parse(instant ?? "");
  if (Number.isNaN(time)) return "";
  const shifted = new Date(time - new Date(time).getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 19);
}
