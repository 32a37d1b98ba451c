// The button or step beside each problem: what a person can do about it from here.
import { post } from "../lib/api.js";
import { announce, attempt } from "../lib/dialog.js";
import { link } from "../lib/router.js";
import { html, nothing } from "../lib/view.js";

// Each kind of remedy takes a trouble of `v1/overview`, and returns what stands beside it.
const signIn = (label) => () => html`<a class="button primary" href="connect">${label}</a>`;
const setUp = (step, label) => ({ account }) =>
  html`<a class="button primary" href=${link("set-up", { step, account })}>${label}</a>`;
const rows = (label, filter) => ({ account }) =>
  html`<a class="button primary" href=${link("conversions", { ...filter, account })}>${label}</a>`;
const passes = () => html`<span class="tag">Passes by itself</span>`;
const noStep = () => html`<span class="tag">Nothing to do</span>`;
/** The step lies outside this page, and its text says all; doctor shows whether it helped. */
const outside = () => html`<a class="button" href=${link("set-up", { step: "doctor" })}>Check again</a>`;
const resume = ({ account }) => html`<button class="primary" @click=${() => goOn(account)}>Resume ${account}</button>`;

const refused = rows("See the refused conversions", { state: "dead" });
const skippedBy = (reason) => rows("See the skipped conversions", { state: "skipped", reason });
const waitingBy = (reason) => rows("See the waiting conversions", { state: "pending", reason });

const REMEDIES = {
  not_connected: signIn("Sign in to Microsoft"),
  token_refresh_failed: signIn("Sign in again"),
  sign_in_blocked: signIn("Sign in again"),
  sign_in_unavailable: passes,
  sign_in_unsuccessful: signIn("Sign in again"),
  client_secret_expired: setUp("secret", "Show where the secret goes"),
  client_secret_invalid: setUp("secret", "Show where the secret goes"),
  app_registration: setUp("application", "Check the application"),
  scope_missing: signIn("Sign in and accept"),
  developer_token_invalid: setUp("account", "Compare the account's ids"),
  account_not_chosen: setUp("account", "Choose the account"),
  wrong_account: setUp("account", "Find the right ids"),
  not_authorized: signIn("Sign in as another user"),
  account_inactive: outside,
  request_malformed: outside,
  goal_not_found: setUp("goals", "Review and create the goal…"),
  goal_paused: setUp("goals", "Look at the goals"),
  goal_wrong_type: setUp("goals", "Look at the goals"),
  goal_settling: passes,
  goal_not_enhanced: skippedBy("goal_not_enhanced"),
  goal_not_created: setUp("goals", "Look at the goals"),
  goal_name_taken: setUp("goals", "Look at the goals"),
  auto_tagging_off: setUp("auto-tagging", "Show where it is turned on"),
  report_unreadable: passes,
  low_match_rate: rows("See what they carry", {}),
  account_paused: outside,
  paused_by_operator: resume,
  unmapped: waitingBy("unmapped"),
  throttled: passes,
  unreachable: passes,
  name_not_found: outside,
  tls_failed: outside,
  proxy_unusable: outside,
  proxy_login: outside,
  conversion_too_old: rows("See those that are too old", { state: "dead", reason: "too_old" }),
  awaiting_click: waitingBy("awaiting_click"),
  click_settling: passes,
  no_click: skippedBy("no_click"),
  outside_window: skippedBy("outside_window"),
  awaiting_original: passes,
  original_not_sent: skippedBy("original_not_sent"),
  row_refused: refused,
  click_id_refused: refused,
  click_after_conversion: refused,
  before_click: rows("See the conversions", {}),
  time_refused: refused,
  value_refused: refused,
  currency_refused: refused,
  external_attribution_refused: refused,
  adjustment_refused: refused,
  erased: noStep,
  not_counted: noStep,
  row_retried: passes,
  poison: rows("See the conversion", { state: "dead", reason: "poison" }),
  batch_refused: outside,
  clock_skew: outside,
  clock_jumped: outside,
  disk_nearly_full: outside,
  outbox_growing: rows("See what waits", { state: "pending" }),
  storage_failed: outside,
  storage_unreachable: outside,
  storage_broken: outside,
  alerts_failing: outside,
  loop_failed: outside,
};

/** What helps against a trouble of `v1/overview`, and the way to what happened. */
export function remedy(trouble) {
  return html`${REMEDIES[trouble.code]?.(trouble) ?? outside()}<a class="button quiet"
    href=${link("logs", { name: "trouble_raised", account: trouble.account })}>See the log</a>`;
}

/** The same beside a goal, in small. */
export function smallRemedy(trouble) {
  return trouble ? html`<div class="row small">${REMEDIES[trouble.code]?.(trouble) ?? nothing}</div>` : nothing;
}

async function goOn(account) {
  await attempt(async () => {
    await post(`v1/accounts/${encodeURIComponent(account)}/resume`);
    announce(`Delivery for ${account} goes on.`);
  });
}
