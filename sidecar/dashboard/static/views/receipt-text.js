// A receipt as plain text, for a message to support. It holds no more of a person than the receipt does.
import { identifierWords, money } from "../lib/format.js";

/** The text; all times are UTC. */
export function asText(receipt, row, version) {
  const lines = [
    `${receipt.order_id ?? "no order id"} (${receipt.id})`,
    `${receipt.state}${receipt.reason ? ` (${receipt.reason})` : ""}, ${money(receipt.value, receipt.currency)}, ` +
      `${receipt.event} to ${receipt.goal.name ?? "no goal"}, account ${receipt.account}`,
    receipt.summary,
    `Next: ${receipt.next_step.message} ${receipt.next_step.fix}`,
    `Matched by: ${row.matched_by.map(identifierWords).join(", ") || "nothing"}`,
    "",
    "What happened (UTC)",
    ...receipt.timeline.map((line) => `  ${line.at}  ${line.what}`),
    ...part("Attempts", receipt.attempts, (one) =>
      [`${one.attempt}: sent ${one.sent_at ?? "-"}, batch ${one.batch_id ?? "-"}, ${one.answer}`, one.error && `${one.error} ${one.error_code ?? ""}`,
        one.message, one.tracking_id && `TrackingId ${one.tracking_id}`].filter(Boolean).join("; ")),
    ...part("Clicks", receipt.clicks.items, (click) => `${click.clicked_at}  ${click.msclkid}…  ${click.why}`),
    ...part("Adjustments", receipt.adjustments, (one) =>
      `${one.id}: ${one.type}${one.value == null ? "" : ` to ${money(one.value, one.currency)}`}, ${one.state}${one.reason ? ` (${one.reason})` : ""}, ` +
      `received ${one.received_at}${one.sent_at ? `, sent ${one.sent_at}` : ""}`),
    "",
    `msads-sidecar ${version}, ${new Date().toISOString()}`,
  ];
  return `${lines.join("\n")}\n`;
}

const part = (title, items, line) => (items.length ? ["", title, ...items.map((item) => `  ${line(item)}`)] : []);
