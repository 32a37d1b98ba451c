"""Refuses requests that another parser could read otherwise, before anything else is checked.

Closes what aiohttp's parser leaves open. https://www.rfc-editor.org/rfc/rfc9112
"""

from aiohttp import HttpVersion10, HttpVersion11, web

from sidecar.api.http.problem import BAD_HTTP, HttpProblem


def check_framing(request: web.BaseRequest) -> None:
    """Return if there is only one way to read the request; HttpProblem 400 otherwise, and the connection ends."""
    if request.version not in (HttpVersion10, HttpVersion11):
        raise _refused("Speak HTTP/1.1.")
    codings = [coding.lower() for coding in request.headers.getall("Transfer-Encoding", [])]
    if codings and (codings != ["chunked"] or request.version == HttpVersion10):
        raise _refused("The only Transfer-Encoding is `chunked`, and only in HTTP/1.1.")
    if request.raw_path.startswith("/"):
        return
    # The absolute form, which proxies receive: its host counts more than Host, which the guard checks.
    _, whole, rest = request.raw_path.partition("://")
    if whole and rest.partition("/")[0].lower() != request.headers.get("Host", "").lower():
        raise _refused("The address in the request line and the Host header name two hosts.")


def _refused(detail: str) -> HttpProblem:
    return HttpProblem(BAD_HTTP, detail, close=True)
