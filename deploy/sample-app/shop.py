"""A shop with one page and one button, to see the sidecar at work. The page does not wait for the sidecar."""

import json
import os
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SIDECAR = os.environ.get("SIDECAR_URL", "http://127.0.0.1:8077") + "/v1/conversions"
KEY_FILE = os.environ.get("SIDECAR_API_KEY_FILE")
HEADERS = {"Content-Type": "application/json"}
if KEY_FILE:
    HEADERS["Authorization"] = f"Bearer {Path(KEY_FILE).read_text().strip()}"

BACKGROUND = ThreadPoolExecutor(4)
PAGE = b"""<!doctype html><title>A shop</title><h1>Shoes, 99.99 USD</h1>
<form method="post"><button>Buy</button></form>"""


def track_conversion(event, order, customer):
    """Send it in the background, and again after a lost answer: with the same order_id it counts once."""
    conversion = {"event": event, "time": datetime.now(timezone.utc).isoformat(), **order, "user": customer}
    return BACKGROUND.submit(report, json.dumps(conversion).encode())


def report(body):
    for pause in (1, 2, 4, 8, 16, 0):
        try:
            request = urllib.request.Request(SIDECAR, body, HEADERS)
            with urllib.request.urlopen(request, timeout=5) as answer:
                print("sidecar:", answer.status, answer.read().decode(), flush=True)
                return
        except OSError as error:  # refused answers too: their text says what to fix
            text = error.read().decode() if hasattr(error, "read") else ""
            print("sidecar:", error, text, flush=True)
            if getattr(error, "code", None) in (409, 422):
                return
        time.sleep(pause)


class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(PAGE)

    def do_POST(self):
        order = {"order_id": f"SHOP-{uuid.uuid4()}", "value": 99.99, "currency": "USD"}
        clicked = parse_qs(urlsplit(self.headers.get("Referer", "")).query).get("msclkid")
        track_conversion("purchase", order | ({"msclkid": clicked[0]} if clicked else {}), {"email": "a@example.com"})
        self.answer(f"<!doctype html><title>Thank you</title><p>Your order is {order['order_id']}.".encode())

    def answer(self, page):
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Shop)
    print(f"the shop is open on port {server.server_port}", flush=True)
    server.serve_forever()
