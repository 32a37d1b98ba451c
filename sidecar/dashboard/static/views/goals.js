// The goals of each account with their state, like an ad platform's diagnostics.
import { number, sums } from "../lib/format.js";
import { html, nothing } from "../lib/view.js";
import { prose } from "./prose.js";
import { smallRemedy } from "./remedies.js";

const LOOK = {
  needs_attention: ["bad", "needs attention"],
  held: ["wait", "held"],
  recording: ["good", "recording"],
  no_recent_conversions: ["none", "no recent conversions"],
};
const SEVERITIES = ["error", "warning", "advice"];

/** One block an account, the one in trouble first. */
export function goals(overview, account, verdicts) {
  const { accounts, troubles } = overview;
  const rank = ({ account: name, goals: own }) => {
    const worst = troubles.filter((trouble) => trouble.account === name).map((trouble) => SEVERITIES.indexOf(trouble.severity));
    return Math.min(...worst, ...own.map((goal) => (goal.state === "needs_attention" ? 0.5 : 3)), 3);
  };
  const shown = accounts.filter((one) => !account || one.account === account).sort((a, b) => rank(a) - rank(b));
  return shown.map((one) => block(one, troubles, accounts.length > 1, verdicts));
}

function block(account, troubles, several, verdicts) {
  const name = several ? `Goals of account ${account.account}` : "Goals";
  const hasVerdict = account.goals.some((goal) => goal.attributed_share != null);
  return html`<section class="card" aria-label=${name}>
    <h2>${name}</h2>
    ${several && account.headline ? html`<p class="muted">${prose(account.headline)}</p>` : nothing}
    ${account.goals.length
      ? html`<div class="table-box"><table class="cards goals">
          <thead><tr><th scope="col">Goal</th><th scope="col">Event</th><th scope="col">State</th>
            <th scope="col" class="number">Delivered, 24 h</th><th scope="col" class="number">Value</th>
            ${hasVerdict ? html`<th scope="col" class="number">Attributed by Microsoft, 7 days</th>` : nothing}</tr></thead>
          <tbody>${account.goals.map((goal) => row(goal, troubleOf(goal, account, troubles), hasVerdict && verdicts, account.account))}</tbody>
        </table></div>`
      : html`<p class="empty">No event is mapped to a goal of this account. Map one under events: in the configuration.</p>`}
  </section>`;
}

function troubleOf(goal, { account }, troubles) {
  const subjects = [goal.goal, goal.event];
  return troubles.find((trouble) => trouble.account === account && subjects.includes(trouble.subject));
}

function row(goal, trouble, verdicts, account) {
  const [look, words] = LOOK[goal.state] ?? ["none", goal.state];
  return html`<tr>
    <td data-label="Goal">${goal.goal}</td>
    <td data-label="Event">${goal.event}</td>
    <td data-label="State"><div class="stack-s"><span class="state ${look}">${words}</span>
      ${goal.headline ? html`<span class="muted small">${prose(goal.headline)}</span>` : nothing}
      ${smallRemedy(trouble)}</div></td>
    <td data-label="Delivered, 24 h" class="number">${number(goal.delivered_24h)}</td>
    <td data-label="Value" class="number">${sums(goal.value_24h)}</td>
    ${verdicts ? html`<td data-label="Attributed" class="number">${verdicts.cell(account, goal)}</td>` : nothing}
  </tr>${verdicts ? verdicts.panel(account, goal.goal, 6) : nothing}`;
}
