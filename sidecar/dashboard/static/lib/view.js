// What every view renders with. Values in templates are text: no view may insert markup of its own.
export { html, nothing, render, svg } from "../vendor/lit-html/lit-html.js";
export { live } from "../vendor/lit-html/directives/live.js";
export { repeat } from "../vendor/lit-html/directives/repeat.js";
