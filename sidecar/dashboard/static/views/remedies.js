// The button or step beside each problem: what a person can do about it from here.
import { post } from "../lib/api.js";
import { announce, attempt } from "../lib/dialog.js";
import { link } from "../lib/router.js";
import { html, nothing } from "../lib/view.js";

const SIGN_IN = new Set([
  "not_connected", "token_refresh_failed", "scope_missing", "sign_in_unsuccessful", "sign_in_blocked",
]);
const GOALS = new Set(["goal_not_found", "goal_not_enhanced", "goal_paused", "goal_wrong_type", "goal_ambiguous"]);

/** What mends a trouble of `v1/overview`: a button, a link to the step, or nothing where its text says all. */
export function remedy(trouble) {
  return html`${step(trouble)}<a class="button" href=${link("logs", { name: "trouble_raised", account: trouble.account })}>What happened</a>`;
}

function step(trouble) {
  if (SIGN_IN.has(trouble.code)) return html`<a class="button primary" href="connect">Sign in to Microsoft</a>`;
  if (trouble.code === "account_paused_by_operator" && trouble.account) {
    return html`<button class="primary" @click=${() => resume(trouble.account)}>Resume ${trouble.account}</button>`;
  }
  if (GOALS.has(trouble.code)) return html`<a class="button primary" href=${link("set-up", { step: "goals" })}>Look at the goals</a>`;
  if (trouble.check === "goals" || trouble.check === "token") return html`<a class="button primary" href=${link("set-up")}>Open Set-up</a>`;
  return nothing;
}

async function resume(account) {
  await attempt(async () => {
    await post(`v1/accounts/${encodeURIComponent(account)}/resume`);
    announce(`Delivery for ${account} goes on.`);
  });
}
