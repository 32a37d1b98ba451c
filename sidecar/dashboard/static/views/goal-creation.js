// Creates the goals that Microsoft lacks, after showing each one; a goal cannot be deleted.
import { LONG_MS, post } from "../lib/api.js";
import { announce, ask, attempt } from "../lib/dialog.js";
import { at, days, money } from "../lib/format.js";
import { html, nothing } from "../lib/view.js";

const OUTCOMES = {
  created: ["good", "created"],
  exists: ["good", "was there already"],
  refused: ["bad", "refused"],
  unknown: ["wait", "not known; create it again, which makes no second one"],
};

/** The goals that a plan would create, each with its account. */
const missingIn = (plan) => plan.flatMap((item) => item.create.map((goal) => ({ account: item.account, ...goal })));

/** Asks, and creates what was chosen. Returns the outcomes of `v1/goals/apply`, or null where nothing was tried. */
export async function createGoals() {
  const plan = await attempt(() => post("v1/goals/plan", {}, null, LONG_MS));
  if (!plan) return null;
  const missing = missingIn(plan.items);
  if (!missing.length) {
    announce(plan.items.flatMap((item) => [item.trouble, ...item.blocked]).find(Boolean)?.message ?? "No goal is missing.");
    return null;
  }
  const chosen = await ask({ title: missing.length === 1 ? "Create this goal?" : "Create these goals?", body: body(missing), action: "Create at Microsoft" });
  if (!chosen) return null;
  const wanted = chosen.getAll("goal").map((place) => missing[Number(place)]);
  const outcomes = [];
  for (const account of new Set(wanted.map((goal) => goal.account))) {
    const goals = wanted.filter((goal) => goal.account === account).map(({ goal }) => goal);
    const applied = await attempt(() => post("v1/goals/apply", { account, goals }, null, LONG_MS));
    outcomes.push(...(applied?.items ?? []).flatMap((item) => [...item.goals, ...troubleOf(item)]));
  }
  return outcomes;
}

const troubleOf = ({ account, trouble }) =>
  trouble ? [{ goal: `account ${account}`, outcome: "refused", message: trouble.message, fix: trouble.fix }] : [];

function body(missing) {
  return html`<p><strong>A goal cannot be deleted at Microsoft</strong>, only paused. Its scope cannot be changed later.</p>
    <ul class="stack goals-to-create">${missing.map(choice)}</ul>
    ${missing.some((goal) => goal.assumed.length) ? html`<p class="muted small">* <code>events:</code> leaves it open; set it there to have it otherwise.</p>` : nothing}
    <p class="muted small">Microsoft takes conversions for a new goal after about two hours. Those that wait go out by themselves then.</p>`;
}

function choice(goal, place) {
  return html`<li class="card">
    <label class="inline"><input type="checkbox" name="goal" value=${place} checked> <strong>${goal.goal}</strong></label>
    <dl class="facts small">
      <dt>Account</dt><dd>${goal.account}</dd>
      <dt>For</dt><dd>${goal.events.join(", ")}</dd>
      <dt>Category</dt><dd>${goal.category}${mark(goal, "category")}</dd>
      <dt>Count</dt><dd>${COUNTS[goal.count_type] ?? goal.count_type}${mark(goal, "count_type")}</dd>
      <dt>Window</dt><dd>${days(goal.window)}${mark(goal, "window")}</dd>
      <dt>Revenue</dt><dd>${revenue(goal.revenue)}${mark(goal, "revenue")}</dd>
      <dt>Enhanced</dt><dd>${goal.enhanced ? "yes, also by e-mail and phone" : "no, by click id only"}${mark(goal, "enhanced")}</dd>
      <dt>Scope</dt><dd>${goal.scope}</dd>
    </dl>
    ${goal.did_you_mean ? html`<p class="problem">There is a goal called <strong>${goal.did_you_mean}</strong>. If it is the one that you mean,
      correct events: in the configuration instead.</p>` : nothing}
  </li>`;
}

const mark = (goal, setting) => (goal.assumed.includes(setting) ? " *" : "");

const COUNTS = { All: "All: each conversion counts", Unique: "Unique: one conversion a click counts" };

function revenue({ type, value, currency }) {
  if (type === "VariableValue") return "each conversion counts with its own value";
  return type === "FixedValue" ? `always ${money(value, currency)}` : "none";
}

/** What became of the goals. */
export function outcomesOf(outcomes) {
  if (!outcomes?.length) return nothing;
  return html`<div role="status"><ul class="stack">${outcomes.map((made) => {
    const [look, words] = OUTCOMES[made.outcome] ?? ["none", made.outcome];
    return html`<li><span class="state ${look}">${words}</span> <strong>${made.goal}</strong>
      ${made.first_conversion_at ? html`<span class="muted">takes conversions from ${at(made.first_conversion_at)} on</span>` : nothing}
      ${made.message ? html`<p>${made.message}</p>` : nothing}${made.fix ? html`<p><strong>What to do:</strong> ${made.fix}</p>` : nothing}</li>`;
  })}</ul></div>`;
}
