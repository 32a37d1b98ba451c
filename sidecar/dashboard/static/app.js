// The frame: navigation, the state of the whole, and the view that the address names.
import { connection, get } from "./lib/api.js";
import { clockTime } from "./lib/format.js";
import { poll } from "./lib/poll.js";
import { link, location, replaceParams } from "./lib/router.js";
import { showState } from "./lib/tab.js";
import { html, nothing, render } from "./lib/view.js";
import * as conversions from "./views/conversions.js";
import { wholeLook } from "./views/headline.js";
import * as logs from "./views/logs.js";
import * as overview from "./views/overview.js";
import * as setUp from "./views/set-up.js";

// A view exports `title` and `open(root, context)`; it renders into root and returns {update(context), close()}.
const VIEWS = { overview, conversions, logs, "set-up": setUp };
const NAMES = Object.keys(VIEWS);
const LOOK_WORDS = { good: "all is well", wait: "something waits", bad: "needs attention", none: "nothing was received yet", gone: "not known" };
const POLL_SECONDS = 5;

const frame = document.getElementById("frame");
const shared = { overview: null, version: "" };
let failure = null;
let open = null;

/** What a view gets: the address, the newest overview, and the chosen account ("" for all). */
function context() {
  const there = location();
  return { ...there, ...shared, account: there.params.account ?? "" };
}

function look() {
  return connection.failedAt || failure || !shared.overview ? "gone" : wholeLook(shared.overview);
}

function header() {
  const { name, params, account } = context();
  const accounts = (shared.overview?.accounts ?? []).map((one) => one.account);
  return html`
    <header class="top">
      <a class="skip-link" href=${link(name, params)} @click=${skip}>Skip to content</a>
      <a class="brand" href=${link("overview", { account })}><span class="state ${look() === "gone" ? "none" : look()}" role="img" aria-label="Status: ${LOOK_WORDS[look()]}"></span>msads-sidecar</a>
      <nav aria-label="Views">
        ${NAMES.map(
          (view) => html`<a href=${link(view, { account })} aria-current=${view === name ? "page" : nothing}>${VIEWS[view].title}</a>`,
        )}
      </nav>
      <div class="tools">
        ${accounts.length > 1 ? accountChoice(accounts, account) : nothing}
        <span class="version">${shared.version}</span>
        <button class="quiet" @click=${() => window.toggleTheme()} aria-label="Switch between light and dark">◐</button>
      </div>
    </header>
    <div role="status">${notice()}</div>
  `;
}

function accountChoice(accounts, account) {
  const choose = (event) => replaceParams({ ...location().params, account: event.target.value });
  return html`<select aria-label="Account" @change=${choose}>
      <option value="" ?selected=${account === ""}>all accounts</option>
      ${accounts.map((name) => html`<option value=${name} ?selected=${account === name}>${name}</option>`)}
    </select>`;
}

function notice() {
  const old = shared.overview ? " What you see is from before." : "";
  if (connection.unauthorized) {
    return html`<p class="notice bad">The key is not accepted any more.${old}
      <button @click=${() => window.location.reload()}>Enter another key</button></p>`;
  }
  if (connection.failedAt) {
    return html`<p class="notice bad">The sidecar has not been reachable since ${clockTime(connection.failedAt)}; trying again.${old}</p>`;
  }
  if (failure) return html`<p class="notice bad">The sidecar answered: ${failure.message} Trying again.${old}</p>`;
  return nothing;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function drawFrame() {
  render(header(), frame.querySelector("#header"));
  showState(look(), shared.overview, VIEWS[location().name]?.title ?? "");
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
    failure = null;
  } catch (error) {
    failure = error; // the notice says so
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
