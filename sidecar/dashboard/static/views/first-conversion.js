// From nothing to the first conversion: the lines to paste, and what became of it, as it happens.
import { get } from "../lib/api.js";
import { announce, copy } from "../lib/dialog.js";
import { clockTime, reasonWords, stateWords } from "../lib/format.js";
import { poll } from "../lib/poll.js";
import { link } from "../lib/router.js";
import { html, nothing } from "../lib/view.js";

const WATCH_SECONDS = 2;
const SETTLED = ["delivered", "skipped", "dead", "canceled"];

/** Watches for the first conversion from the moment that a page saw none; `changed` is called when there is news. */
export class FirstConversion {
  #changed;
  #stop = null;
  #row = null;

  constructor(changed) {
    this.#changed = changed;
  }

  /** Begins to watch where nothing was received yet. */
  see(overview) {
    if (overview?.first_received_at === null && !this.#row) this.#stop ??= poll(() => this.#look(), WATCH_SECONDS);
  }

  close() {
    this.#stop?.();
  }

  async #look() {
    try {
      const row = this.#row ? await get(`v1/conversions/${this.#row.id}`) : (await get("v1/conversions", { limit: 1 })).items[0];
      if (!row) return;
      if (!this.#row || this.#row.state !== row.state) announce(words(row));
      this.#row = row;
    } catch {
      return; // the frame says that the sidecar is away
    }
    if (SETTLED.includes(this.#row.state)) this.#stop();
    this.#changed();
  }

  /** What stands on the page: the lines to paste, then the conversion; nothing where others came before. */
  view(overview) {
    if (this.#row) return arrived(this.#row);
    return overview.first_received_at === null ? lines(overview) : nothing;
  }
}

function words(row) {
  if (row.state === "delivered") return `It works: ${row.id}, delivered ${elapsed(row)} later.`;
  if (row.state === "pending") return `It works: ${row.id} arrived${row.reason ? `. It waits: ${reasonWords(row.reason)}.` : ", and is on its way."}`;
  return `${row.id} arrived. It ended ${stateWords(row)}.`;
}

function elapsed({ received_at: from, settled_at: to }) {
  const seconds = Math.max(0, (new Date(to) - new Date(from)) / 1000);
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds / 60)} min`;
}

function arrived(row) {
  const look = { delivered: "good", pending: "wait", dead: "bad" }[row.state] ?? "none";
  return html`<section class="card stack-s lit" aria-label="The first conversion">
    <h2><span class="state ${look}" aria-hidden="true"></span>${words(row)}</h2>
    <p class="muted">Received at ${clockTime(row.received_at)}${row.order_id ? ` as order ${row.order_id}` : ""}.
      ${row.state === "dead" || row.state === "skipped" ? row.fix : nothing}</p>
    <div class="row"><a class="button primary" href=${link(`conversions/${row.id}`)}>See its receipt</a></div>
  </section>`;
}

/** Whether the sidecar asks for a key: then the page that it gave us says so. */
const needsKey = () => "key" in document.documentElement.dataset;
const here = () => new URL("v1/conversions", window.location.href).href;

/** An order that the sidecar accepts as it is configured. */
function order({ accounts }) {
  const [account] = accounts;
  const event = account?.goals[0]?.event ?? "purchase";
  const named = accounts.length > 1 ? { account: account.account } : {};
  return { event, ...named, order_id: "TEST-1", value: 99.99, currency: "USD", user: { email: "customer@example.com" } };
}

const json = (given) => JSON.stringify(given, null, 1).replace(/\n\s*/g, " ").replace(/([{[]) | ([}\]])/g, "$1$2");
const asPhp = (given) => json(given).replaceAll("{", "[").replaceAll("}", "]").replaceAll('":', '" =>');

const SAMPLES = {
  curl: (given) => `curl ${here()} \\
  -H 'Content-Type: application/json' \\${needsKey() ? "\n  -H 'Authorization: Bearer YOUR-KEY' \\" : ""}
  -d '${json(given)}'`,
  Node: (given) => `await fetch("${here()}", {
  method: "POST",
  headers: {"Content-Type": "application/json"${needsKey() ? ', "Authorization": "Bearer YOUR-KEY"' : ""}},
  body: JSON.stringify(${json(given)}),
});`,
  PHP: (given) => `$call = curl_init("${here()}");
curl_setopt_array($call, [
    CURLOPT_HTTPHEADER => ["Content-Type: application/json"${needsKey() ? ', "Authorization: Bearer YOUR-KEY"' : ""}],
    CURLOPT_POSTFIELDS => json_encode(${asPhp(given)}),
]);
curl_exec($call);`,
  Python: (given) => `import json, urllib.request

order = ${json(given)}
headers = {"Content-Type": "application/json"${needsKey() ? ', "Authorization": "Bearer YOUR-KEY"' : ""}}
urllib.request.urlopen(urllib.request.Request("${here()}", json.dumps(order).encode(), headers))`,
};

function lines(overview) {
  const given = order(overview);
  return html`<section class="card stack languages" aria-labelledby="first-title">
    <h2 id="first-title">Send a first conversion</h2>
    <p>Nothing was received yet. Paste one of these into a terminal or your code: the conversion appears here within
      seconds.${needsKey() ? html` Put your key where <code>YOUR-KEY</code> stands.` : nothing}</p>
    ${Object.entries(SAMPLES).map(
      ([language, sample]) => html`<details name="language" ?open=${language === "curl"}><summary>${language}</summary>
        <div class="stack-s">
          <pre tabindex="0" role="region" aria-label="${language} example"><code>${sample(given)}</code></pre>
          <div><button @click=${() => copy(sample(given), `The ${language} example`)}>Copy</button></div>
        </div></details>`,
    )}
    <p class="muted small">Microsoft counts a conversion only where an ad click of the customer stands behind it, so this
      order counts nowhere. Its receipt lets you retract it.</p>
  </section>`;
}
