// Asks before what cannot be undone, and tells what was done.
import { html, nothing, render } from "./view.js";

/**
 * Asks in a modal dialog. `body` is a template that says exactly what will happen.
 * Resolves to the FormData of the dialog's fields when confirmed, to null when not.
 */
export function ask({ title, body, action, danger = false }) {
  const host = document.createElement("div");
  document.body.append(host);
  return new Promise((resolve) => {
    const done = (event) => {
      const dialog = event.currentTarget;
      const answer = dialog.returnValue === "confirm" ? new FormData(dialog.querySelector("form")) : null;
      host.remove();
      resolve(answer);
    };
    render(
      html`<dialog aria-labelledby="dialog-title" @close=${done}>
        <form method="dialog" class="stack">
          <h2 id="dialog-title">${title}</h2>
          ${body}
          <div class="actions">
            <button value="cancel" formnovalidate>Cancel</button>
            <button value="confirm" class=${danger ? "danger" : "primary"}>${action}</button>
          </div>
        </form>
      </dialog>`,
      host,
    );
    host.querySelector("dialog").showModal();
  });
}

let timer;

/** Shows a short message for some seconds, and reads it out. */
export function announce(text) {
  const host = document.getElementById("messages");
  render(html`<p class="toast">${text}</p>`, host);
  clearTimeout(timer);
  timer = setTimeout(() => render(nothing, host), 6000);
}

/** Runs `work`; a failure is announced with what to do. Returns its result, or undefined. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    announce([error.message, ...(error.lines ?? []), error.fix].filter(Boolean).join(" "));
    return undefined;
  }
}

/** To the clipboard; browsers have no interface for it where the page came over plain HTTP from another host. */
async function write(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  if (!isDone) throw new Error("The browser does not allow copying here: select the text, and copy it.");
}

/** Copies a text, and says so. */
export async function copy(text, what) {
  await attempt(async () => {
    await write(text);
    announce(`${what} copied.`);
  });
}
