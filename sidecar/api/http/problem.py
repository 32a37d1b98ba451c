"""Every kind of HTTP problem, declared once, and its answer: RFC 9457 problem+json."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from sidecar.api.http.reply import Json, json_reply
from sidecar.core.did_you_mean import did_you_mean
from sidecar.core.intake.problem import MORE, MOST_PROBLEMS, Allowance, Problem, more_problems
from sidecar.ports.errors import StorageUnavailable
from sidecar.troubles import CATALOGUE

PROBLEM_JSON = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """One kind of failure. `code` is in the answer's `type`, in logs and in metrics alike; `title` never varies."""

    status: int
    code: str
    title: str


UNKNOWN_HOST = ProblemKind(421, "unknown_host", "The Host header names none of server.allowed_hosts")
CROSS_SITE = ProblemKind(403, "cross_site", "Calls from web pages are refused")
NO_KEY = ProblemKind(401, "no_valid_key", "An API key is needed")
NOT_FOUND = ProblemKind(404, "not_found", "There is nothing at this address")
NO_CONVERSION = ProblemKind(404, "no_such_conversion", "There is no such conversion")
NO_ERASURE = ProblemKind(404, "no_such_erasure", "There is no such erasure")
NO_ADJUSTMENT = ProblemKind(404, "no_such_adjustment", "There is no such adjustment")
NO_ACCOUNT = ProblemKind(404, "no_such_account", "There is no such account")
METHOD = ProblemKind(405, "method_not_allowed", "This address does not take this method")
NOT_JSON = ProblemKind(415, "not_json", "Content-Type must be application/json")
ENCODED = ProblemKind(415, "encoded_body", "Content-Encoding must be absent or identity")
TOO_LARGE = ProblemKind(413, "body_too_large", "The body is larger than server.max_body")
TOO_SLOW = ProblemKind(408, "body_too_slow", "The body took too long to arrive")
BAD_HTTP = ProblemKind(400, "malformed_request", "The request is not valid HTTP")
BAD_BODY = ProblemKind(400, "malformed_body", "The body cannot be read")
TOO_MANY = ProblemKind(413, "too_many_items", "The array has too many items")
INVALID = ProblemKind(422, "invalid", "Something in the request is not valid")
CONFLICT = ProblemKind(409, "conflict", "Another conversion has this key")
KEY_OF_ANOTHER = ProblemKind(409, "key_of_another", "Another adjustment has this key")
AMBIGUOUS = ProblemKind(409, "ambiguous", "Several conversions fit")
ALREADY_RETRACTED = ProblemKind(409, "already_retracted", "The conversion was retracted")
WRONG_STATE = ProblemKind(409, "wrong_state", "The conversion is in another state")
NO_WEBHOOK = ProblemKind(409, "no_webhook", "No webhook is configured")
UNAVAILABLE = ProblemKind(503, "unavailable", "The sidecar cannot do this now")
INTERNAL = ProblemKind(500, "internal_error", "Something unexpected happened inside the sidecar")

_RETRY_SECONDS = {"outbox_growing": 1, "stopping": 5}
_DEFAULT_RETRY_SECONDS = 10


class HttpProblem(Exception):
    """Ends a request with a problem. `close` ends the connection too; `members` are added to the answer's own."""

    def __init__(
        self,
        kind: ProblemKind,
        detail: str,
        *,
        errors: Iterable[Problem] = (),
        headers: Mapping[str, str] | None = None,
        close: bool = False,
        members: Json | None = None,
    ) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.close = close
        self.members = members or {}
        self.is_counted = False
        """Whether telemetry has counted it already, with its order."""

    @property
    def reason(self) -> str:
        """The short token under which it is counted."""
        return self.errors[0].code if self.errors else self.kind.code

    @property
    def body(self) -> Json:
        """The answer's JSON."""
        return {
            "type": f"urn:sidecar:problem:{self.kind.code}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "errors": self.errors,
            **self.members,
        }

    def reply(self) -> web.Response:
        """The answer."""
        response = json_reply(self.body, self.kind.status, self.headers, PROBLEM_JSON)
        if self.close:
            response.force_close()
        return response


@dataclass(slots=True)
class BulkErrors:
    """The problems in a bulk answer: the first hundred are listed, then how many more there are.

    Each refused item after them has only its `code`.
    """

    allowance: Allowance
    _listed: int = 0
    _is_full: bool = False

    def of(self, problems: Iterable[Problem]) -> Json:
        """The members `errors`, and where they are cut `code`."""
        problems = [problem for problem in problems if problem.code != MORE]
        listed = problems[: MOST_PROBLEMS - self._listed]
        self._listed += len(listed)
        if len(listed) == len(problems) and not self._is_full:
            return {"errors": listed}
        more = [] if self._is_full else [more_problems(self.allowance.found - MOST_PROBLEMS)]
        self._is_full = True
        return {"code": problems[0].code, "errors": [*listed, *more]}


def invalid(problems: Iterable[Problem]) -> HttpProblem:
    """422 with everything that was found."""
    problems = tuple(problems)
    detail = "; ".join(f"{one.field} {one.message}" if one.field else one.message for one in problems)
    return HttpProblem(INVALID, detail, errors=problems)


UNKNOWN_OUTCOME = "Outcome unknown: repeat the request with the same order_id or Idempotency-Key."


def unavailable(error: StorageUnavailable, then: str = UNKNOWN_OUTCOME) -> HttpProblem:
    """503, where it is unknown whether something was stored. `then` is the advice."""
    trouble = CATALOGUE.get(error.code)
    why = trouble.title if trouble else str(error).capitalize()
    return HttpProblem(
        UNAVAILABLE,
        f"{why}. {then}",
        errors=[Problem("", error.code, trouble.solution if trouble else "Try again in a moment.")],
        headers={"Retry-After": str(_RETRY_SECONDS.get(error.code, _DEFAULT_RETRY_SECONDS))},
    )


def internal() -> HttpProblem:
    """500, without the cause: the log has it."""
    return HttpProblem(
        INTERNAL, "Outcome unknown: repeat the request with the same key. The log has the rest under X-Request-Id."
    )


def of_http_error(error: web.HTTPException, known_paths: Iterable[str], path: str) -> HttpProblem:
    """An error that aiohttp raised, as a problem of ours."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return HttpProblem(METHOD, f"This address takes {allowed}.", headers={"Allow": allowed})
    if isinstance(error, web.HTTPNotFound):
        close = did_you_mean(path, known_paths)
        hint = f"Did you mean {close}?" if close else "GET /openapi.json lists what there is."
        return HttpProblem(NOT_FOUND, hint)
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return HttpProblem(TOO_LARGE, "Send less at once.", close=True)
    if isinstance(error, web.HTTPRequestTimeout):
        return HttpProblem(TOO_SLOW, "Send the body without pauses.", close=True)
    phrase = HTTPStatus(error.status).phrase
    return HttpProblem(ProblemKind(error.status, phrase.lower().replace(" ", "_"), phrase), f"{phrase}.")
