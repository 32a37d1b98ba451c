// Texts of the sidecar's catalogues: what stands in backticks is code.
import { html } from "../lib/view.js";

export function prose(text) {
  return (text ?? "").split("`").map((part, place) => (place % 2 ? html`<code>${part}</code>` : part));
}
