"""The rules of scripted faults: which requests they match, and what happens to those. `fault_script` applies them.

A rule has the form of the control API's JSON, which docs/emulator.md documents.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sidecar.emulator.call import BatchError
from sidecar.emulator.error_bodies import FaultShape
from sidecar.emulator.error_codes import BY_NUMBER, BY_SYMBOL


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Match(_Model):
    """The requests that a rule matches; an absent member matches all."""

    operation: str | None = None
    """Such as `OfflineConversions/Apply`, `ConversionGoals`, `token` or `authorize`."""
    account: str | None = None
    goal: str | None = None
    """The name of a goal in the body."""


class Status(_Model):
    """An HTTP status with any body."""

    type: Literal["status"]
    status: int = Field(ge=200, le=599)
    body: str = ""
    content_type: str = "text/plain"
    retry_after: str | int | None = None
    """The header as it is sent: seconds or a date."""
    applied: bool = False
    """Whether the request is applied before this answer."""


class FaultCode(_Model):
    """A refused request, by number or symbol of Microsoft's list, or any other number and symbol."""

    type: Literal["fault"]
    code: int | None = None
    symbol: str | None = None
    message: str | None = None
    detail: str | None = None
    status: int | None = Field(default=None, ge=400, le=599)
    shape: FaultShape = FaultShape.AD_API
    wrapped: bool = False
    """Whether the body is inside `{"ApplicationFault": ...}`."""
    retry_after: str | int | None = None

    @model_validator(mode="after")
    def _named(self) -> "FaultCode":
        _require_a_name(self.code, self.symbol)
        return self

    @property
    def http_status(self) -> int:
        """The status of the rule, else of Microsoft's list, else 400."""
        listed = BY_SYMBOL.get(resolve_code(self)[1])
        return self.status or (listed.status if listed else 400)


class PartialErrors(_Model):
    """Errors for some rows, which are not applied; for all rows if none are chosen."""

    type: Literal["partial_errors"]
    indexes: tuple[int, ...] | None = None
    every_nth: int | None = Field(default=None, ge=1)
    """Every n-th row, beginning with the n-th."""
    goal: str | None = None
    code: int | None = None
    symbol: str | None = None
    message: str | None = None
    repeat: int = Field(default=1, ge=1, le=100)
    """How many errors each such row gets."""
    order: Literal["ascending", "descending"] = "ascending"
    """The order of the errors in the answer."""

    @model_validator(mode="after")
    def _named(self) -> "PartialErrors":
        _require_a_name(self.code, self.symbol)
        return self

    def errors_of(self, index: int, goal: str) -> list[BatchError]:
        """The scripted errors of the row at `index`, which names that goal."""
        if not self._is_chosen(index, goal):
            return []
        number, symbol, message = resolve_code(self)
        return [BatchError(index, number, symbol, message)] * self.repeat

    @property
    def is_descending(self) -> bool:
        """Whether the answer lists the last row's errors first."""
        return self.order == "descending"

    def _is_chosen(self, index: int, goal: str) -> bool:
        if self.indexes is not None and index not in self.indexes:
            return False
        if self.every_nth is not None and (index + 1) % self.every_nth != 0:
            return False
        return self.goal in (None, goal)


class Slow(_Model):
    """The answer is delayed until the time is up or the rule is removed; other rules still apply."""

    type: Literal["slow"]
    seconds: float = Field(ge=0, le=3_600)


class Hang(_Model):
    """There is no answer, and nothing is applied."""

    type: Literal["hang"]


class ResetBefore(_Model):
    """The connection is reset, and nothing is applied."""

    type: Literal["reset_before"]


class ResetAfter(_Model):
    """Everything is applied, then the connection is reset without an answer."""

    type: Literal["reset_after"]


class Malformed(_Model):
    """HTTP 200 with a body that cannot be read."""

    type: Literal["malformed"]
    body: Literal["html", "empty", "truncated", "content_type"] = "html"
    """`content_type` is the right body under the wrong type."""
    applied: bool = True


class OddReport(_Model):
    """The by-goal report without a line, or with null in place of each list of days and reasons."""

    type: Literal["report"]
    form: Literal["empty", "nulls"] = "empty"


class ExpireTokens(_Model):
    """Every access token expires before the request is read; other rules still apply."""

    type: Literal["expire_tokens"]


class RevokeRefreshTokens(_Model):
    """Every refresh token but the seed is revoked before the request is read."""

    type: Literal["revoke_refresh_tokens"]


class OAuthError(_Model):
    """The sign-in fails with an AADSTS number; on `authorize` the callback has it."""

    type: Literal["oauth_error"]
    aadsts: int
    error: str | None = None
    suberror: str | None = None


class SetDate(_Model):
    """The `Date` of the answer is that far from the emulator's time, as on a machine whose clock is off."""

    type: Literal["date"]
    seconds: int = Field(ge=-31_536_000, le=31_536_000)


Preparation = Slow | ExpireTokens | RevokeRefreshTokens | SetDate
"""Happens before the request, which is then handled as usual."""

Ending = Status | FaultCode | PartialErrors | Hang | ResetBefore | ResetAfter | Malformed | OAuthError | OddReport
"""Replaces or changes the answer."""


class Rule(_Model):
    """One scripted fault."""

    match: Match = Match()
    times: int | None = Field(default=1, ge=1)
    """How often it happens; null for ever."""
    after: int = Field(default=0, ge=0)
    """How many matching requests are left alone first."""
    probability: float = Field(default=1.0, gt=0, le=1)
    seed: int = 0
    """Decides, with the number of the matching request, which requests `probability` selects; repeatable."""
    action: Annotated[Preparation | Ending, Field(discriminator="type")]


def resolve_code(action: FaultCode | PartialErrors) -> tuple[int, str, str]:
    """Number, symbol and message, from Microsoft's list where the rule leaves them out."""
    listed = BY_SYMBOL.get(action.symbol or "")
    if listed is None and action.symbol is None and action.code is not None:
        listed = BY_NUMBER.get(action.code)
    number = action.code if action.code is not None else (listed.number if listed else 0)
    symbol = action.symbol or (listed.symbol if listed else f"Unlisted{number}")
    return number, symbol, action.message or (listed.message if listed else "Scripted.")


def _require_a_name(code: int | None, symbol: str | None) -> None:
    if code is None and symbol is None:
        raise ValueError("code or symbol is needed")
