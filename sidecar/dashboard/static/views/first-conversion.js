// While nothing was ever received: the line to paste, in four languages.
import { copy } from "../lib/dialog.js";
import { html } from "../lib/view.js";

const here = () => window.location.origin;

const SAMPLES = {
  curl: () => `curl ${here()}/v1/conversions \\
  -H 'Content-Type: application/json' \\
  -d '{"event": "purchase", "order_id": "TEST-1", "value": 99.99, "currency": "USD",
       "user": {"email": "customer@example.com"}}'`,
  Node: () => `await fetch("${here()}/v1/conversions", {
  method: "POST",
  headers: {"Content-Type": "application/json"},
  body: JSON.stringify({event: "purchase", order_id: "TEST-1", value: 99.99, currency: "USD",
                        user: {email: "customer@example.com"}}),
});`,
  PHP: () => `$call = curl_init("${here()}/v1/conversions");
curl_setopt_array($call, [
    CURLOPT_HTTPHEADER => ["Content-Type: application/json"],
    CURLOPT_POSTFIELDS => json_encode(["event" => "purchase", "order_id" => "TEST-1", "value" => 99.99,
        "currency" => "USD", "user" => ["email" => "customer@example.com"]]),
]);
curl_exec($call);`,
  Python: () => `import json, urllib.request

order = {"event": "purchase", "order_id": "TEST-1", "value": 99.99, "currency": "USD",
         "user": {"email": "customer@example.com"}}
urllib.request.urlopen(urllib.request.Request(
    "${here()}/v1/conversions", json.dumps(order).encode(), {"Content-Type": "application/json"}))`,
};

/** The first step of a new set-up. */
export function firstConversion() {
  return html`<section class="card stack" aria-labelledby="first-title">
    <h2 id="first-title">Send a first conversion</h2>
    <p>Nothing was received yet. Paste one of these; this page shows the conversion as soon as it arrives.</p>
    ${Object.entries(SAMPLES).map(
      ([language, sample]) => html`<details ?open=${language === "curl"}><summary>${language}</summary>
        <pre tabindex="0" role="region" aria-label="${language} example"><code>${sample()}</code></pre>
        <button @click=${() => copy(sample(), `The ${language} example`)}>Copy</button></details>`,
    )}
  </section>`;
}
