"""POST /v1/erasures and GET /v1/erasures/{id}: jobs that erase a person's data and report what they removed."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from sidecar.api.http.problem import NO_ERASURE, HttpProblem
from sidecar.api.http.reply import Json, json_reply
from sidecar.api.request import query as parameters
from sidecar.api.request.body import check, object_in, read_body
from sidecar.core.erasure import Erasure, ErasureRequest, Phase, Subject, erasure_id, erasure_number
from sidecar.core.instant import UnixMillis, text_of_millis, text_or_none
from sidecar.core.intake import emails, fields, hashing, phones, user
from sidecar.core.intake.json_object import JsonObject, Shape
from sidecar.core.intake.problem import Findings, Refusal
from sidecar.ports.erasure import Erasures

SHAPE = Shape("", frozenset({"email", "phone", "country", "visitor_id", "order_id", "retract"}))
"""Every field."""

_NAME_THE_COUNTRY = "give country, or set matching.default_country"

_text = fields.text(parameters.MAX_TEXT)


@dataclass(frozen=True, slots=True)
class ErasureCalls:
    """Starts and shows erasures; `added` is called after each new one.

    `default_country` is for phones without a country code.
    """

    erasures: Erasures
    now: Callable[[], UnixMillis]
    added: Callable[[], None]
    default_country: Callable[[], str | None]

    async def add(self, request: web.Request) -> web.Response:
        """Store the request; it is carried out behind all other work."""
        body = await read_body(request)
        findings = Findings()
        wanted = read_wanted(body, self.default_country(), findings)
        job = await self.erasures.add(wanted, self.now())
        self.added()
        warnings = {"warnings": findings.warnings} if findings.warnings else {}
        return json_reply({**show(job), **warnings}, 202)

    async def get(self, request: web.Request) -> web.Response:
        """How far an erasure is."""
        number = erasure_number(request.match_info["id"])
        job = None if number is None else await self.erasures.get(number)
        if job is None:
            raise HttpProblem(NO_ERASURE, "An id looks like erasure_3; POST /v1/erasures answered with it.")
        return json_reply(show(job))


def read_wanted(body: bytes, default_country: str | None, findings: Findings | None = None) -> ErasureRequest:
    """What the body asks for, e-mail and phone hashed; HttpProblem with everything that is wrong with it.

    `findings` gets the warnings: of what was left out.
    """
    members = object_in(body, SHAPE, findings)
    country = user.read_country(members) or default_country
    found = {
        Subject.EMAIL: members.take("email", _email),
        Subject.PHONE: members.take("phone", lambda value: _phone(value, country)),
        Subject.VISITOR: members.take("visitor_id", _text),
        Subject.ORDER: members.take("order_id", _text),
    }
    retract = members.take("retract", fields.flag) or False
    _refuse_unless_one(members)
    check(members)
    subject, search_value = next(
        (subject, search_value) for subject, search_value in found.items() if search_value is not None
    )
    return ErasureRequest(subject, search_value, retract)


def _refuse_unless_one(members: JsonObject) -> None:
    named = [name for name in ("email", "phone", "visitor_id", "order_id") if members.get(name) is not None]
    if len(named) != 1:
        message = "name exactly one of email, phone, visitor_id and order_id; several take a call each"
        members.refuse(named[1] if named else "email", "not_exactly_one", message)


def _email(value: object) -> str:
    text = _short(value)
    hashed = hashing.email_sha256(text)
    if hashed is None:
        raise Refusal("unusable", f"{emails.why_unusable(text)}; give it as it was sent, or its hash")
    return hashed


def _phone(value: object, country: str | None) -> str:
    text = _short(value)
    hashed = hashing.phone_sha256(text, country)
    if hashed is None:
        why = phones.why_unusable(text, country, _NAME_THE_COUNTRY)
        raise Refusal("unusable", f"{why}; give it as it was sent, or its hash")
    return hashed


def _short(value: object) -> str:
    """A text that is short enough to be an identifier; a longer one is not normalised."""
    text = fields.string(value)
    if len(text) > hashing.LONGEST_INPUT:
        raise Refusal("too_long", f"must have at most {hashing.LONGEST_INPUT} characters")
    return text


def show(job: Erasure) -> Json:
    """The erasure as JSON, without the identifier that it erases."""
    return {
        "id": erasure_id(job.id),
        "state": _state(job),
        "by": job.subject,
        "retract": job.retract,
        "requested_at": text_of_millis(job.requested_at),
        "finished_at": text_or_none(job.finished_at),
        "removed": {
            "conversions": job.conversions,
            "skipped": job.skipped,
            "retracted": job.retracted,
            "clicks": job.clicks,
            "log_entries": job.log_entries,
        },
        "waiting": job.waiting,
    }


def _state(job: Erasure) -> str:
    if job.phase is Phase.DONE:
        return "done"
    return "waiting" if job.phase is Phase.WAITING and job.waiting else "running"
