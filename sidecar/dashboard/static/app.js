// The frame: navigation, the state of the whole, and the view that the address names.
import { connection, get } from "./lib/api.js";
import { clockTime } from "./lib/format.js";
import { poll } from "./lib/poll.js";
import { link, location } from "./lib/router.js";
import { html, nothing, render } from "./lib/view.js";
import * as conversions from "./views/conversions.js";
import * as logs from "./views/logs.js";
import * as overview from "./views/overview.js";
import * as setUp from "./views/set-up.js";

// A view exports `title` and `open(root, context)`; it renders into root and returns {update(context), close()}.
const VIEWS = { overview, conversions, logs, "set-up": setUp };
const NAMES = Object.keys(VIEWS);
const LOOK = { ok: "good", degraded: "wait", down: "bad", gone: "none" };
const POLL_SECONDS = 5;

const frame = document.getElementById("frame");
const shared = { overview: null, version: "", account: "" };
let open = null;

/** What a view gets: the address, the newest overview, and the chosen account ("" for all). */
function context() {
  return { ...location(), ...shared };
}

function state() {
  if (connection.failedAt) return "gone";
  return shared.overview?.state ?? "gone";
}

function header() {
  const { name, params } = location();
  const accounts = (shared.overview?.accounts ?? []).map((account) => account.account);
  return html`
    <header class="top">
      <a class="skip-link" href=${link(name, params)} @click=${skip}>Skip to content</a>
      <span class="brand"><span class="state ${LOOK[state()]}" role="img" aria-label="Status: ${state()}"></span>msads-sidecar</span>
      <nav aria-label="Views">
        ${NAMES.map(
          (view) => html`<a href=${link(view)} aria-current=${view === name ? "page" : nothing}>${VIEWS[view].title}</a>`,
        )}
      </nav>
      <div class="tools">
        ${accounts.length > 1 ? accountChoice(accounts) : nothing}
        <span class="version">${shared.version}</span>
        <button class="quiet" @click=${() => window.toggleTheme()} aria-label="Switch between light and dark">◐</button>
      </div>
    </header>
    <div role="status">${connectionNotice()}</div>
  `;
}

function accountChoice(accounts) {
  const choose = (event) => {
    shared.account = event.target.value;
    show();
  };
  return html`<label class="inline">account
    <select @change=${choose}>
      <option value="" ?selected=${shared.account === ""}>all</option>
      ${accounts.map((name) => html`<option value=${name} ?selected=${shared.account === name}>${name}</option>`)}
    </select></label>`;
}

function connectionNotice() {
  if (connection.unauthorized) {
    return html`<p class="notice bad">The key is not accepted any more.
      <button @click=${() => window.location.reload()}>Enter another key</button></p>`;
  }
  if (connection.failedAt) {
    return html`<p class="notice bad">The sidecar has not been reachable since ${clockTime(connection.failedAt)}; trying again.
      What you see is from before.</p>`;
  }
  return nothing;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function drawFrame() {
  render(header(), frame.querySelector("#header"));
  const waiting = (shared.overview?.waiting ?? []).reduce((sum, part) => sum + part.rows, 0);
  const { name } = location();
  const headline = state() === "ok" ? VIEWS[name]?.title ?? "" : (shared.overview?.headline ?? "not reachable");
  document.title = `${state() !== "ok" && waiting ? `(${waiting}) ` : ""}${headline} · msads-sidecar`;
  const colours = { ok: "#17733a", degraded: "#c98500", down: "#b3261e", gone: "#6b7280" };
  const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6" fill="${colours[state()]}"/></svg>`;
  document.getElementById("favicon").href = `data:image/svg+xml,${encodeURIComponent(icon)}`;
}

function show() {
  const now = context();
  if (!(now.name in VIEWS)) {
    window.location.replace(link("overview"));
    return;
  }
  drawFrame();
  if (open?.name === now.name) {
    open.update(now);
    return;
  }
  open?.close();
  const root = document.createElement("div");
  frame.querySelector("#main").replaceChildren(root);
  open = { name: now.name, ...VIEWS[now.name].open(root, now) };
}

async function refresh() {
  try {
    shared.overview = await get("v1/overview");
    shared.version = shared.overview.version ?? shared.version;
  } catch {
    // the notice in the frame says so
  }
  drawFrame();
  open?.update(context());
}

render(
  html`<div id="header"></div><main id="main" tabindex="-1"></main><div id="messages" role="status" aria-live="polite"></div>`,
  frame,
);
addEventListener("hashchange", show);
show();
poll(refresh, POLL_SECONDS);
