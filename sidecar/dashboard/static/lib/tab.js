// What a browser's tab says of the sidecar while another one is read: a shape, a colour and a few words.
import { count } from "./format.js";

const SHAPES = {
  good: '<circle cx="8" cy="8" r="6" fill="#17733a"/>',
  wait: '<path d="M8 1l7 7-7 7-7-7z" fill="#c98500"/>',
  bad: '<path d="M8 1l7.5 14h-15z" fill="#b3261e"/>',
  gone: '<circle cx="8" cy="8" r="5" fill="none" stroke="#6b7280" stroke-width="2.5"/>',
};

/** Sets title and icon; `look` is that of the whole, `view` the title of the view. */
export function showState(look, overview, view) {
  document.title = `${words(look, overview, view)} · msads-sidecar`;
  const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">${SHAPES[look] ?? SHAPES.gone}</svg>`;
  const address = `data:image/svg+xml,${encodeURIComponent(icon)}`;
  const element = document.getElementById("favicon");
  if (element.getAttribute("href") !== address) element.href = address;
}

/** `(3) 3 conversions wait` where something is wrong, else the view. */
function words(look, overview, view) {
  if (!overview) return view;
  if (look === "gone") return `Not reachable: ${view}`;
  if (look === "good" || look === "none") return view;
  const waiting = overview.waiting.reduce((sum, part) => sum + part.rows, 0);
  return waiting ? `(${waiting}) ${count(waiting, "conversion")} ${waiting === 1 ? "waits" : "wait"}` : (overview.troubles[0]?.title ?? view);
}
