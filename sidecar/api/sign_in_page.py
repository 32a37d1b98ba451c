"""The small pages around Microsoft's sign-in: what was connected or what went wrong, and the way back to the dashboard.

They load nothing, since the browser may know this address under another name than the dashboard's, and without a key.
"""

import base64
import hashlib
from html import escape

from aiohttp import web

PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
"""`no-referrer`, because the address of the callback holds the code."""

# The colours are those of the dashboard's theme.css; a test compares them.
_STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --surface: #ffffff; --line: #d9dde3; --line-strong: #8b93a1;
  --text: #1a1d23; --text-2: #565e6c; --accent: #0b57c2; --accent-text: #ffffff; --good: #17733a; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --page: #14161a; --surface: #1d2026; --line: #363b45;
  --line-strong: #7d8594; --text: #eceef1; --text-2: #a9b1be; --accent: #82b1ff; --accent-text: #0d1830;
  --good: #7ad69a; --bad: #ff9d95; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 8vh 1rem 2rem; background: var(--page); color: var(--text); overflow-wrap: anywhere;
  font: 400 0.9375rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 38rem; margin: 0 auto; padding: 1.5rem; background: var(--surface); border: 1px solid var(--line);
  border-left: 4px solid var(--good); border-radius: 8px; }
main.bad { border-left-color: var(--bad); }
h1 { margin: 0 0 0.5rem; font-size: 1.375rem; line-height: 1.3; }
h1::before { content: "\\25CF"; color: var(--good); margin-right: 0.4em; }
.bad h1::before { content: "\\25B2"; color: var(--bad); }
p, ul { margin: 0 0 1rem; }
ul { padding-left: 1.2rem; }
.brand, .small { color: var(--text-2); font-size: 0.8125rem; }
.small { margin: 0; }
nav { display: flex; flex-wrap: wrap; gap: 0.5rem; margin-bottom: 1rem; }
nav a { padding: 0.4rem 0.75rem; border: 1px solid var(--line-strong); border-radius: 6px; color: var(--text);
  font-weight: 550; text-decoration: none; }
nav a.primary { background: var(--accent); border-color: var(--accent); color: var(--accent-text); }
a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_HEADERS = {
    **PRIVATE,
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
}

_NEXT = (
    "<ul><li>Conversions that were waiting are on their way now. Nothing needs to be sent again.</li>"
    "<li>Set-up shows what is left: the ad account, its goals, a first conversion.</li></ul>"
    "<nav aria-label='Next'><a class='primary' href='/#/set-up'>Go on with Set-up</a><a href='/'>Overview</a></nav>"
    "<p class='small'>Did you come from a terminal? Then go on there; this window can be closed.</p>"
)


def connected_page(user: str | None) -> web.Response:
    """What a person sees after a sign-in; `user` is as Microsoft gave it, None where it did not."""
    who = f"<p>Signed in as <strong>{escape(user)}</strong>.</p>" if user else ""
    return _page(200, "Connected to Microsoft Advertising", who + _NEXT)


def error_page(status: int, title: str, detail: str, fix: str, headers: dict[str, str]) -> web.Response:
    """What a person sees where it did not succeed: what happened, and what to do."""
    ways = (
        "<nav aria-label='Next'><a class='primary' href='/connect'>Try again</a>"
        "<a href='/#/set-up'>Back to Set-up</a></nav>"
    )
    content = f"<p>{escape(detail)}</p><p><strong>What to do:</strong> {escape(fix)}</p>{ways}"
    return _page(status, title, content, look="bad", headers=headers)


def _page(
    status: int, title: str, content: str, look: str = "good", headers: dict[str, str] | None = None
) -> web.Response:
    text = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)} · msads-sidecar</title><style>{_STYLE}</style></head>"
        f"<body><main class='{look}'><p class='brand'>msads-sidecar</p><h1>{escape(title)}</h1>{content}</main></body>"
        "</html>\n"
    )
    return web.Response(status=status, text=text, content_type="text/html", headers={**_HEADERS, **(headers or {})})
