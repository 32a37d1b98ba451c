"""What all calls of the control share: reading a body, the guard, answers, errors."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from sidecar.emulator.error_bodies import Refused
from sidecar.emulator.page_guard import HEADERS, PageGuard
from sidecar.emulator.validation_errors import explain

Work = Callable[[web.Request], Awaitable[Any]]

ControlCall = tuple[str, str, Work]
"""Verb, path after `/_emulator/`, and what answers."""


class ControlBody(BaseModel):
    """The body of a call; unknown members are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


BodyT = TypeVar("BodyT", bound=BaseModel)


class InvalidCall(Exception):
    """The call is invalid; `texts` has a sentence for each problem."""

    def __init__(self, texts: list[str], status: int = 422) -> None:
        super().__init__(*texts)
        self.texts = texts
        self.status = status


def control_routes(guard: PageGuard, calls: Sequence[ControlCall]) -> list[web.RouteDef]:
    """The routes of the calls, behind the guard against web pages."""
    return [web.route(verb, f"/_emulator/{path}", _guarded(guard, work)) for verb, path, work in calls]


def _guarded(guard: PageGuard, work: Work) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler that answers with `work`, behind the guard."""

    async def handle(request: web.Request) -> web.StreamResponse:
        refusal = guard.refusal(request.headers)
        response = await _answer(work, request) if refusal is None else _errors(refusal[0], refusal[1])
        response.headers.update(HEADERS)
        return response

    return handle


async def _answer(work: Work, request: web.Request) -> web.Response:
    """The result of `work` as JSON, or the problems of the request as 400 or 422."""
    try:
        return web.json_response(await work(request))
    except InvalidCall as error:
        return _errors(error.status, *error.texts)
    except Refused as refused:
        return _errors(422, refused.detail or refused.code.message)
    except OverflowError:
        return _errors(400, "a number is too large")
    except ValueError as error:
        return _errors(400, str(error))


def _errors(status: int, *texts: str) -> web.Response:
    return web.json_response({"errors": texts}, status=status)


def whole_number(request: web.Request, name: str, default: int) -> int:
    """A whole number from the query."""
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise InvalidCall([f"{name}: must be a whole number"], status=400)
    return int(text)


async def read_body(request: web.Request, model: type[BodyT]) -> BodyT:
    """The body as `model`; InvalidCall with every problem of it."""
    return parse_body(await request.read() or b"{}", model)


def parse_body(text: bytes, model: type[BodyT]) -> BodyT:
    """The JSON text as `model`; InvalidCall with every problem of it."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise InvalidCall(explain(error, model)) from None
