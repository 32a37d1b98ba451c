// From nothing to the first conversion: the steps, each checked by itself; then doctor, the connection and the accounts.
import { get, LONG_MS, post } from "../lib/api.js";
import { copy } from "../lib/dialog.js";
import { count } from "../lib/format.js";
import { poll } from "../lib/poll.js";
import { html, nothing, render } from "../lib/view.js";
import { accountsCard, connectionCard } from "./connection.js";
import { doctorTable } from "./doctor.js";
import { FirstConversion } from "./first-conversion.js";
import { createGoals, outcomesOf } from "./goal-creation.js";
import { prose } from "./prose.js";
import { stepsOf } from "./set-up-steps.js";
import { HELP } from "./step-help.js";

export const title = "Set-up";

const READ_SECONDS = 5;
const DONE_SECONDS = 30; // once every step is done
const PLAN_MS = 60_000; // a plan reads the goals again at Microsoft
const REPORT_MS = 6_000; // the sidecar gives a report again for 5 s
const MARKS = { done: ["✓", "done"], attention: ["!", "needs attention"], open: ["○", "to do"] };

export function open(root, context) {
  const view = new SetUp(root, context);
  return { update: (next) => view.update(next), close: () => view.close() };
}

class SetUp {
  #root;
  #context;
  #facts = { connection: null, goals: null, accounts: null, delivered: null, received: null, plan: null };
  #error = null; // why nothing could be read yet
  #doctor = { report: null, at: null, error: null, running: false, outdated: false };
  #opened = new Set();
  #next = null;
  #states = "";
  #plannedAt = 0;
  #readAt = 0;
  #outcomes = null;
  #shown = null; // the step of the address that was scrolled to
  #first = new FirstConversion(() => this.#draw());
  #isStale = false; // something changed while the checks were made
  #timer = null;
  #stop;

  constructor(root, context) {
    this.#root = root;
    this.#context = context;
    this.#draw();
    document.addEventListener("visibilitychange", this.#planSoon);
    this.#stop = poll(() => this.#tick(), READ_SECONDS);
  }

  update(context) {
    this.#context = context;
    this.#first.see(context.overview);
    this.#draw();
  }

  close() {
    document.removeEventListener("visibilitychange", this.#planSoon);
    this.#stop();
    clearTimeout(this.#timer);
    this.#first.close();
  }

  get #steps() {
    return this.#facts.connection ? stepsOf({ ...this.#facts, overview: this.#context.overview }) : [];
  }

  async #tick() {
    const steps = this.#steps;
    const isDone = steps.length > 0 && steps.every((step) => step.state === "done");
    if (isDone && Date.now() - this.#readAt < DONE_SECONDS * 1000) return;
    await this.#read();
  }

  /** Asks for all facts; one that cannot be had keeps its last value. */
  async #read() {
    this.#readAt = Date.now();
    const [connection, goals, accounts, delivered, received] = await Promise.allSettled([
      get("v1/connection"),
      get("v1/goals"),
      get("v1/accounts"),
      get("v1/conversions", { state: "delivered", limit: 1 }),
      get("v1/conversions", { limit: 1 }),
    ]);
    const facts = this.#facts;
    if (connection.value) facts.connection = connection.value;
    if (goals.value) facts.goals = goals.value.items;
    facts.accounts = accounts.value ?? (accounts.reason.status ? null : facts.accounts);
    if (delivered.value) facts.delivered = delivered.value.items[0] ?? null;
    if (received.value) facts.received = received.value.items[0] ?? null;
    this.#error = connection.reason ?? null;
    await this.#plan();
    this.#draw();
    this.#checkAgainWhenChanged();
  }

  /** While a goal is missing, the goals are read again each minute, so that one that appears is noticed. */
  async #plan() {
    if (!this.#facts.connection?.connected || Date.now() - this.#plannedAt < PLAN_MS) return;
    const waiting = this.#steps.find((step) => ["goals", "auto-tagging"].includes(step.id) && step.state !== "done");
    if (!waiting) {
      this.#facts.plan = null;
      return;
    }
    this.#plannedAt = Date.now();
    try {
      this.#facts.plan = (await post("v1/goals/plan", {}, null, LONG_MS)).items;
      this.#facts.goals = (await get("v1/goals")).items;
    } catch {
      // the step says what v1/goals says
    }
  }

  #checkAgainWhenChanged() {
    const { connection, accounts } = this.#facts;
    const states = JSON.stringify([this.#steps.map((step) => step.state), connection?.connected, accounts?.configured.map((one) => one.paused)]);
    if (states === this.#states || !connection) return;
    this.#states = states;
    this.#plannedAt = 0;
    this.#examineSoon();
  }

  /** Makes the checks as soon as their answer is newer than this moment. */
  #examineSoon() {
    this.#isStale = this.#doctor.running;
    this.#doctor = { ...this.#doctor, outdated: this.#doctor.report !== null };
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#examine, Math.max(0, (this.#doctor.at ?? 0) - Date.now() + REPORT_MS));
    this.#draw();
  }

  #examine = async () => {
    if (this.#doctor.running) return;
    const isFirst = !this.#doctor.report;
    this.#doctor = { ...this.#doctor, running: true };
    this.#draw();
    try {
      this.#doctor = { report: await get("v1/doctor", {}, LONG_MS), at: new Date(), error: null, running: false, outdated: this.#isStale };
    } catch (error) {
      this.#doctor = { ...this.#doctor, error, running: false, outdated: false };
    }
    this.#draw();
    const mayBeOld = isFirst && (this.#doctor.report?.status ?? "ok") !== "ok"; // from before this page was opened
    if (this.#isStale || mayBeOld) this.#examineSoon();
  };

  /** Who comes back to the page may have changed something at Microsoft. */
  #planSoon = () => {
    this.#plannedAt = 0;
    this.#readAt = 0;
  };

  #changed = () => {
    this.#planSoon();
    return this.#read();
  };

  #createGoals = async () => {
    const outcomes = await createGoals();
    if (!outcomes) return;
    this.#outcomes = outcomes;
    await this.#changed();
  };

  #toggle(id, isOpen) {
    if (this.#opened.has(id) === isOpen) return;
    if (isOpen) this.#opened.add(id);
    else this.#opened.delete(id);
    this.#draw();
  }

  #draw() {
    const steps = this.#steps;
    const next = steps.find((step) => step.isNext)?.id ?? null;
    if (next !== this.#next) {
      this.#opened.delete(this.#next);
      if (next) this.#opened.add(next);
      this.#next = next;
    }
    const asked = steps.length ? (this.#context.params.step ?? null) : this.#shown;
    if (asked && asked !== this.#shown) this.#opened.add(asked);
    render(this.#page(steps), this.#root);
    if (asked !== this.#shown) {
      this.#shown = asked;
      if (asked) this.#root.querySelector(`#step-${CSS.escape(asked)}`)?.scrollIntoView();
    }
  }

  #page(steps) {
    const facts = { ...this.#facts, overview: this.#context.overview };
    if (!facts.connection) return html`<div class="stack"><h1>Set-up</h1>${this.#error ? unread(this.#error) : html`<span class="skeleton tall" aria-busy="true"></span>`}</div>`;
    return html`<div class="stack">
      <h1>${heading(steps)}</h1>
      ${facts.connection.environment === "emulator" ? standIn() : nothing}
      <ol class="steps card">${steps.map((step) => this.#step(step, facts))}</ol>
      ${doctorTable(this.#doctor, this.#examine)}
      ${connectionCard(facts, this.#changed)}
      ${accountsCard(facts, this.#changed)}
    </div>`;
  }

  #step(step, facts) {
    const [mark, words] = MARKS[step.state];
    const isOpen = this.#opened.has(step.id);
    return html`<li class="step ${step.state}" id="step-${step.id}" aria-current=${step.isNext ? "step" : nothing}>
      <details .open=${isOpen} @toggle=${(event) => this.#toggle(step.id, event.currentTarget.open)}>
        <summary>
          <span class="mark" aria-hidden="true">${mark}</span>
          <span><strong>${step.title}</strong><span class="visually-hidden"> (${words})</span>
            ${step.isNext ? html`<span class="tag">next</span>` : nothing}<br><span class="muted">${prose(step.text)}</span></span>
        </summary>
        <div class="stack help">
          ${step.fix ? html`<p><strong>What to do:</strong> ${prose(step.fix)}</p>` : nothing}
          ${isOpen ? HELP[step.id](facts, { createGoals: this.#createGoals, first: this.#first }) : nothing}
          ${step.id === "goals" ? outcomesOf(this.#outcomes) : nothing}
        </div>
      </details>
    </li>`;
  }
}

function heading(steps) {
  const left = steps.filter((step) => step.state !== "done").length;
  return left ? `Set-up: ${count(left, "step")} to go` : "Set-up: everything is connected";
}

function unread(error) {
  return html`<div class="problem" role="alert"><p>The state of the set-up could not be read: ${error.message}</p>
    ${error.fix ? html`<p>${prose(error.fix)}</p>` : html`<p>It is tried again every few seconds.</p>`}</div>`;
}

const PRODUCTION = `microsoft:
  environment: production
  client_id: …          # step 1
  client_secret: …      # step 2
  developer_token: …    # step 3
storage:
  url: sqlite:///data/production.db   # rows of the stand-in stay in their own file
`;

function standIn() {
  return html`<section class="card stack" aria-labelledby="stand-in-title">
    <h2 id="stand-in-title">This is the stand-in for Microsoft Advertising</h2>
    <p>With <code>environment: emulator</code> nothing leaves this machine and nothing is counted at Microsoft: the place to try everything first.</p>
    <details>
      <summary>How to go to production</summary>
      <div class="stack help">
        <p>Change these lines of the configuration, restart the sidecar, and come back here: the steps below then lead to a first real conversion.
          docs/connect.md shows where each value is found.</p>
        <pre tabindex="0" role="region" aria-label="Lines for production"><code>${PRODUCTION}</code></pre>
        <p><button @click=${() => copy(PRODUCTION, "The lines were")}>Copy the lines</button></p>
      </div>
    </details>
  </section>`;
}
