// The receipt of one conversion: what happened to it, what comes next, and what can be done.
import { get } from "../lib/api.js";
import { copy } from "../lib/dialog.js";
import { focusLater } from "../lib/focus.js";
import { clockTime, day, days, identifierWords, money, number, reasonWords, stateLook, utc } from "../lib/format.js";
import { poll } from "../lib/poll.js";
import { link } from "../lib/router.js";
import { html, nothing, render } from "../lib/view.js";
import { advice, prose } from "./prose.js";
import { notStored } from "./conversion-list.js";
import { tracesOf } from "./conversion-search.js";
import { receiptLink } from "./conversions.js";
import { asText } from "./receipt-text.js";
import { actionsFor } from "./row-actions.js";

const POLL_SECONDS = 5;

/** Shows the receipt of the conversion `id` in `root`, and keeps it up to date. */
export function openReceipt(root, id, context) {
  let latest = context;
  let found = null; // {receipt, row, siblings, traces}
  let problem = null;
  let focused = false;
  const focus = focusLater();
  let closed = false;

  const draw = () => {
    if (closed) return;
    render(problem ? notThere(problem, latest.params) : found ? page(found, latest, stop.soon) : skeleton(latest.params), root);
    if (!focused && (found || problem)) {
      focused = true;
      focus(root.querySelector("h1"));
    }
  };
  const read = async () => {
    try {
      const path = `v1/conversions/${encodeURIComponent(id)}`;
      const [receipt, row] = await Promise.all([get(`${path}/explain`), get(path)]);
      const around = found ?? (await ofSameOrder(receipt.order_id));
      found = { ...around, receipt, row };
      problem = null;
    } catch (error) {
      if (error.status === 404) stop();
      if (!found) problem = error; // else the frame says that the sidecar is away; the receipt stays
    }
    draw();
  };
  const stop = poll(read, POLL_SECONDS);
  draw();
  return {
    update(next) {
      latest = next;
      draw();
    },
    close() {
      closed = true;
      stop();
      render(nothing, root);
    },
  };
}

/** The other conversions of the order, and what came with its id and was not stored. */
async function ofSameOrder(orderId) {
  if (!orderId) return { siblings: [], traces: [] };
  const [page, traces] = await Promise.all([get("v1/conversions", { order_id: orderId }), tracesOf(orderId)]);
  return { siblings: page.items, traces };
}

function page({ receipt, row, siblings, traces }, { params, version }, changed) {
  const words = reasonWords(receipt.reason);
  return html`<article class="stack receipt" aria-labelledby="receipt-title">
    <p>${back(params)}</p>
    <header class="card stack">
      <h1 id="receipt-title" tabindex="-1"><bdi>${receipt.order_id ?? receipt.id}</bdi></h1>
      <p class="row in-short"><span class="state ${stateLook[receipt.state]}">${receipt.state}</span>
        ${words && words !== receipt.reason ? html`<span>${words}</span>` : nothing}
        <strong>${money(receipt.value, receipt.currency)}</strong>
        <span>${receipt.event} → ${receipt.goal.name ?? "no goal"}</span>
        <span class="muted">account ${receipt.account}, ${receipt.id}</span></p>
      <p>${receipt.summary}</p>
      ${siblings.length > 1 ? others(siblings, receipt.id, params) : nothing}
    </header>
    ${nextStep(receipt)}
    <div class="row actions">
      ${actionsFor(receipt, changed)}
      <button @click=${() => copy(asText(receipt, row, version), "The receipt was")}>Copy as text for support</button>
      ${receipt.order_id ? html`<a class="button" href=${link("logs", { order_id: receipt.order_id })}>In the log</a>` : nothing}
    </div>
    <section class="card" aria-labelledby="timeline-title"><h2 id="timeline-title">What happened</h2>
      <ol class="timeline">${receipt.timeline.map(
        (line) => html`<li>${exactly(line.at)}<span>${line.what}</span></li>`,
      )}</ol></section>
    ${receipt.attempts.length ? attempts(receipt.attempts) : nothing}
    ${receipt.clicks.items.length ? clicks(receipt.clicks) : nothing}
    ${receipt.adjustments.length ? adjustments(receipt.adjustments) : nothing}
    ${traces.length ? notStored(traces) : nothing}
    ${receipt.verdict ? ofTheDay(receipt.verdict) : nothing}
    ${details(receipt, row)}
  </article>`;
}

const back = (params) => html`<a class="button quiet" href=${link("conversions", params)}>← All conversions</a>`;

/** A time to the second, with the exact one in UTC on hover. */
const exactly = (instant) =>
  instant ? html`<time datetime=${instant} title=${utc(instant)}>${day(instant)}, ${clockTime(instant)}</time>` : html`–`;

function others(siblings, id, params) {
  return html`<nav class="row small" aria-label="Conversions of this order"><span>This order has ${siblings.length} conversions:</span>
    ${siblings.map((row) => html`<a class="button small" href=${receiptLink(row.id, params)} aria-current=${row.id === id ? "true" : nothing}>
      ${row.event}, ${row.account}: ${row.state}</a>`)}</nav>`;
}

function nextStep({ next_step: step, waits_for: waits, expires_at: expires, state }) {
  return html`<section class="card stack next ${stateLook[state]}" aria-labelledby="next-title"><h2 id="next-title">Next</h2>
    <p>${prose(step.message)}</p><p>${advice(step.fix)}</p>
    ${waits?.until ? html`<p class="small">It waits until ${exactly(waits.until)} at most.</p>` : nothing}
    ${expires ? html`<p class="small">Microsoft takes it until ${exactly(expires)}.</p>` : nothing}
  </section>`;
}

function list(id, title, heads, rows) {
  return html`<section class="card" aria-labelledby=${id}><h2 id=${id}>${title}</h2><div class="table-box"><table class="cards small">
    <thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
    <tbody>${rows.map((cells) => html`<tr>${cells.map((cell, place) => html`<td data-label=${heads[place]}><div>${cell}</div></td>`)}</tr>`)}</tbody>
  </table></div></section>`;
}

function attempts(items) {
  return list("attempts-title", "Attempts", ["Attempt", "Sent", "Answered", "Batch", "Answer", "TrackingId"], items.map((one) => [
    one.times > 1 ? `${one.attempt} to ${one.attempt + one.times - 1}` : one.attempt,
    exactly(one.sent_at),
    exactly(one.answered_at),
    one.batch_id ? `${one.batch_id} (${one.rows === 1 ? "1 row" : `${number(one.rows)} rows`})` : "–",
    html`${one.answer}${one.message ? html`<br><span class="muted">${one.message}</span>` : nothing}`,
    one.tracking_id ? html`<span class="mono">${one.tracking_id}</span>` : "–",
  ]));
}

function clicks({ known, more, items }) {
  const title = `Clicks of the visitor${known > items.length || more ? ` (${items.length} of ${more ? "more than " : ""}${number(known)})` : ""}`;
  return list("clicks-title", title, ["Clicked", "Click id", "Chosen?"], items.map((click) => [
    exactly(click.clicked_at),
    html`<span class="mono">${click.msclkid}…</span>`,
    html`<span class="state ${click.verdict === "chosen" ? "good" : "none"}">${click.verdict === "chosen" ? "chosen:" : "not used:"}</span>
      ${click.why.replace(/^not used: /, "")}`,
  ]));
}

function adjustments(items) {
  return list("adjustments-title", "Adjustments", ["Adjustment", "Received", "What", "State", "Sent"], items.map((one) => [
    one.id,
    exactly(one.received_at),
    one.type === "retract" ? "taken back" : `new total ${money(one.value, one.currency)}`,
    html`<span class="state ${stateLook[one.state]}">${one.state}</span>
      ${one.reason ? html`<br><span class="muted">${reasonWords(one.reason)}</span>` : nothing}
      ${one.fix ? html`<br>${prose(`${one.message} ${one.fix}`)}` : nothing}`,
    one.sent_at ? exactly(one.sent_at) : one.due_at ? html`due ${exactly(one.due_at)}` : "–",
  ]));
}

function ofTheDay({ message, differences }) {
  return html`<section class="card stack-s" aria-labelledby="verdict-title"><h2 id="verdict-title">What Microsoft's report says of that day</h2>
    <p>${prose([message, ...differences].join(" "))}</p></section>`;
}

function details({ identifiers, goal, received, time, meta }, row) {
  const facts = {
    "Happened": exactly(time),
    "Received": html`${exactly(received.at)}${received.request_id ? html`, request <span class="mono">${received.request_id}</span>` : nothing}`,
    "Matched by": row.matched_by.map(identifierWords).join(", ") || "nothing",
    "Click id": identifiers.msclkid && html`<span class="mono">${identifiers.msclkid}…</span>`,
    "Visitor": identifiers.visitor_id && html`<a class="mono" href=${link("conversions", { q: identifiers.visitor_id })}><bdi>${identifiers.visitor_id}</bdi></a>`,
    "E-mail, hashed": identifiers.email_sha256 && html`<span class="mono">${identifiers.email_sha256}…</span>`,
    "Phone, hashed": identifiers.phone_sha256 && html`<span class="mono">${identifiers.phone_sha256}…</span>`,
    "Goal": html`${goal.name ?? "none is configured"}. ${prose(goal.message)} ${goal.did_you_mean ? `Did you mean ${goal.did_you_mean}?` : ""}`,
    "Conversion window": days(goal.window),
    "Your own data": meta && html`<span class="mono">${JSON.stringify(meta)}</span>`,
  };
  return html`<section class="card" aria-labelledby="details-title"><h2 id="details-title">Details</h2>
    <dl class="receipt-facts">${Object.entries(facts).filter(([, value]) => value).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl></section>`;
}

function notThere(error, params) {
  return html`<div class="stack"><p>${back(params)}</p><div class="card stack" role="alert">
    <h1 tabindex="-1">${error.status === 404 ? "There is no such conversion" : "The receipt cannot be shown"}</h1>
    <p>${error.status === 404 ? "An id looks like conv_17. The list finds a conversion by its order id, too." : error.message}</p></div></div>`;
}

function skeleton(params) {
  return html`<div class="stack" aria-busy="true"><p>${back(params)}</p><h1 class="skeleton">Loading</h1><span class="skeleton tall"></span></div>`;
}
