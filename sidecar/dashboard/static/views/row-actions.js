// What can be done to conversions, each after a dialog that says what will happen at Microsoft.
import { post } from "../lib/api.js";
import { now } from "../lib/clock.js";
import { announce, ask, attempt } from "../lib/dialog.js";
import { at, count, money, reasonWords } from "../lib/format.js";
import { html, nothing } from "../lib/view.js";
import { prose } from "./prose.js";

const MAX_AGE_DAYS = 90;

/** The buttons for a receipt; `changed` is called after each change. */
export function actionsFor(receipt, changed) {
  const { state, reason, adjustments } = receipt;
  const isYoung = now() - Date.parse(receipt.time) < MAX_AGE_DAYS * 86_400_000;
  const isTakenBack = adjustments.some((one) => one.type === "retract" && ["pending", "delivered"].includes(one.state));
  const button = (label, act, look) => html`<button class=${look ?? ""} @click=${async () => (await act(receipt)) && changed()}>${label}</button>`;
  return html`
    ${["dead", "skipped"].includes(state) && reason !== "erased" && isYoung && !isTakenBack ? button("Send again…", replay, "primary") : nothing}
    ${state !== "canceled" && reason !== "erased" && isYoung && !isTakenBack ? html`${button("Refund…", restate)}${button("Take back…", retract)}` : nothing}
    ${["dead", "pending"].includes(state) ? button("Discard…", discard, "danger") : nothing}`;
}

/** Whether a request that carried it may have reached Microsoft. */
const wasSent = ({ state, attempts }) => state === "delivered" || attempts.some((one) => !one.error && one.sent_at);

const worth = (receipt) => html`<strong><bdi>${receipt.order_id ?? receipt.id}</bdi></strong>, ${money(receipt.value, receipt.currency)}`;

function replay(receipt) {
  return confirm({
    title: "Send this conversion again?",
    action: "Send again",
    body: () => html`<p>${worth(receipt)}</p>
      <p>It becomes due at once and goes to Microsoft, to the goal ${receipt.goal.name ?? "of its event"}, with its original time.</p>
      <p>${wasSent(receipt) ? "An earlier request may have reached Microsoft. The same bytes go again, and Microsoft counts them once."
        : "Microsoft has not taken it yet, so it counts once there."}
        If the cause is still there, it ends as ${receipt.state} again.</p>`,
    send: () => post(`v1/conversions/${receipt.id}/replay`),
    done: () => "It is due again.",
  });
}

function discard(receipt) {
  return confirm({
    title: "Discard this conversion?",
    action: "Discard",
    danger: true,
    body: () => html`<p>${worth(receipt)}</p>
      <p>It ends as canceled and is never sent: Microsoft will not count it. This cannot be undone.
        To count it after all, send it again under another order id.</p>`,
    send: () => post(`v1/conversions/${receipt.id}/discard`),
    done: () => "It was discarded. Microsoft gets nothing.",
  });
}

function restate(receipt) {
  const { currency } = receipt;
  return confirm({
    title: "Refund to a new total",
    action: "Set the new total",
    body: (given) => html`<p>${worth(receipt)}</p>
      <label>New total${currency ? ` in ${currency}` : ""} (not the difference)
        <input name="value" required inputmode="decimal" autocomplete="off" pattern="\\d{1,12}(\\.\\d{1,3})?"
          title="Digits, with a point for decimals: 60.00" value=${given?.get("value") ?? ""}></label>
      ${currency ? nothing : html`<label>Currency <input name="currency" required pattern="[A-Za-z]{3}" maxlength="3" value=${given?.get("currency") ?? ""}></label>`}
      <p>${restateWords(receipt)}</p>
      <p class="small">To take it back as a whole, use “Take back” instead of 0.</p>`,
    content: (form) => ({
      conversion_id: receipt.id,
      type: "restate",
      value: Number(form.get("value")),
      ...(form.get("currency") ? { currency: form.get("currency") } : {}),
    }),
    send: (body, key) => post("v1/adjustments", body, key),
    done: adjusted,
  });
}

function retract(receipt) {
  return confirm({
    title: "Take this conversion back?",
    action: "Take back",
    danger: true,
    body: () => html`<p>${worth(receipt)}</p><p>${retractWords(receipt)} This cannot be undone.</p>`,
    content: () => ({ conversion_id: receipt.id, type: "retract" }),
    send: (body, key) => post("v1/adjustments", body, key),
    done: adjusted,
  });
}

function restateWords(receipt) {
  if (receipt.state === "delivered") {
    return "Microsoft has this conversion. The sidecar sends it one restate: the conversion then counts with the new total there. It goes out some hours after the conversion, so that Microsoft finds it.";
  }
  if (receipt.state !== "pending") return "Microsoft did not take this conversion. The new total is noted here, and is sent if the conversion is sent again.";
  return wasSent(receipt)
    ? "A request with it is on its way, or its answer was lost. Once the answer is there, Microsoft gets a restate with the new total."
    : "It was not sent yet. Its value changes here, and Microsoft only ever sees the new total.";
}

function retractWords(receipt) {
  if (receipt.state === "delivered") return "Microsoft has this conversion. The sidecar sends it one retract: the conversion no longer counts there, nor does its value.";
  if (receipt.state !== "pending") return "Microsoft did not take this conversion. It ends as canceled: neither a replay nor a late click sends it.";
  return wasSent(receipt)
    ? "A request with it is on its way, or its answer was lost. Once the answer is there, Microsoft gets a retract if it has the conversion."
    : "It was not sent yet. It ends as canceled, and Microsoft never sees it.";
}

/** What became of an adjustment, in a sentence. */
function adjusted(row) {
  if (row.state === "canceled") return "Done. It was not sent before, so Microsoft needs no adjustment.";
  if (row.state === "skipped") return "Nothing to do: its conversion is not at Microsoft.";
  if (row.state === "delivered") return "Microsoft has the adjustment.";
  return row.due_at ? `Stored as ${row.id}. It goes to Microsoft at ${at(row.due_at)}.` : `Stored as ${row.id}. It waits for the conversion's answer.`;
}

/**
 * Asks, sends, and tells the result. After an error it asks again with what was entered. The same content keeps its
 * Idempotency-Key, so a repeat after a lost answer is carried out once. Resolves to whether it was done.
 */
async function confirm({ title, action, body, content = () => ({}), send, done, danger = false }) {
  let given = null;
  let note = nothing;
  const keys = new Map();
  for (;;) {
    given = await ask({ title, body: html`${note}${body(given)}`, action: note === nothing ? action : "Try again", danger });
    if (!given) return note !== nothing;
    const item = content(given);
    const text = JSON.stringify(item);
    if (!keys.has(text)) keys.set(text, newKey());
    try {
      announce(done(await send(item, keys.get(text))));
      return true;
    } catch (error) {
      note = failure(error);
    }
  }
}

function failure(error) {
  const isLost = error.status === 0 || error.status >= 500;
  const lines = [error.message, ...error.lines, error.fix].filter(Boolean);
  return html`<div class="problem" role="alert">${lines.map((line) => html`<p>${prose(line)}</p>`)}
    ${isLost ? html`<p>It may have been done all the same. Trying again is safe: it is done once.</p>` : nothing}</div>`;
}

/** Random text; randomUUID is missing where the page came over plain HTTP from another host. */
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Sends again all that the filters show, after saying how many that are. Resolves to whether it was done. */
export async function replayAll({ state, reason, event, account, since }) {
  const wish = Object.fromEntries(Object.entries({ state, reason, event, account, since }).filter(([, value]) => value));
  const preview = await attempt(() => walk({ ...wish, dry_run: true }));
  if (!preview) return false;
  const old = preview.too_old ? `${count(preview.too_old, "more")}`.replace(/s$/, "") + " over 90 days old: Microsoft takes none that old, so they stay as they are." : "";
  if (!preview.matched) {
    announce(`None of them can be sent again.${old ? ` ${old}` : ""}`);
    return false;
  }
  const narrowed = [reason && reasonWords(reason), event && `event ${event}`, account && `account ${account}`, since && `received since ${at(since)}`].filter(Boolean);
  const given = await ask({
    title: `Send ${count(preview.matched, `${state} conversion`)} again?`,
    action: `Send ${count(preview.matched, "conversion")} again`,
    body: html`${narrowed.length ? html`<p>Only these: ${narrowed.join("; ")}.</p>` : nothing}
      <p>They become due at once and go to Microsoft with their original times, to the goals that their events have now.
        Microsoft counts each once.</p>
      ${old ? html`<p>${old}</p>` : nothing}
      <p>Fix the cause first: while it is there, they end as ${state} again.</p>`,
  });
  if (!given) return false;
  const result = await attempt(() => walk(wish));
  if (result) announce(`${count(result.replayed, "conversion")} ${result.replayed === 1 ? "is" : "are"} due again.`);
  return true;
}

/** All pages of a replay, summed up. */
async function walk(wish) {
  const sum = { matched: 0, replayed: 0, too_old: 0 };
  let cursor = null;
  do {
    const page = await post("v1/replay", { ...wish, ...(cursor ? { cursor } : {}) });
    for (const name of Object.keys(sum)) sum[name] += page[name] ?? 0;
    cursor = page.next_cursor;
  } while (cursor);
  return sum;
}
