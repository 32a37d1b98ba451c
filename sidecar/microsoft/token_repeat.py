"""Repeats a call once with a fresh access token, where Microsoft did not accept the first."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sidecar.core.answer import RefusedBatch, Verdict
from sidecar.microsoft.tokens import TokenSource
from sidecar.ports.errors import NotConnected
from sidecar.ports.tokens import AccessToken

T = TypeVar("T")


async def with_token(
    tokens: TokenSource, permit: Callable[[], Awaitable[None]], call: Callable[[AccessToken], Awaitable[T]]
) -> T:
    """The answer to `call`; `permit` is awaited before its repeat. Raises NotConnected when there is no token."""
    token = await tokens.access_token()
    answer = await call(token)
    if not isinstance(answer, RefusedBatch) or answer.verdict is not Verdict.TOKEN:
        return answer
    try:
        fresh = await tokens.refresh(token.value)
    except NotConnected:
        if answer.maybe_applied:
            return answer
        raise
    if answer.maybe_applied:  # then the first answer is the one that counts: the same bytes must go again
        return answer
    await permit()
    return await call(fresh)
