// Set-up.
import { html, render } from "../lib/view.js";

export const title = "Set-up";

export function open(root, context) {
  const draw = ({ overview }) => render(html`<h1>${overview?.headline ?? "Loading"}</h1>`, root);
  draw(context);
  return { update: draw, close() {} };
}
