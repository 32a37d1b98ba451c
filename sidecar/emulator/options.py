"""The options of an emulator, and its well-known ids and tokens."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

CUSTOMER_ID = "100000001"
"""The customer to use where the configuration names none."""

ACCOUNT_ID = "200000001"
"""The account to use where the configuration names none."""

SEED_REFRESH_TOKEN = "test-emulator-refresh-token"  # noqa: S105 - well known on purpose
"""Always accepted, with any client id: it signs in without a browser."""

Clock = Callable[[], int]
"""Milliseconds since 1970 UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedGoal:
    """A goal that exists in every account from the start, old enough to take conversions."""

    name: str
    category: str = "Purchase"
    count_type: str = "All"
    window_minutes: int = 129_600
    revenue: str = "VariableValue"
    """`NoValue`, `FixedValue` or `VariableValue`."""
    value: Decimal | None = None
    """The value of a conversion without one; unused with `NoValue`, else absent means 0."""
    currency: str | None = None
    """The currency of a value without one; absent means the account's, which is USD here."""
    enhanced: bool = True
    externally_attributed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorOptions:
    """The options of one emulator. By default it accepts every client and account, and no control calls."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 takes any free port."""
    host_names: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")
    """Names and addresses in the certificate."""
    state_file: Path | None = None
    """The file of goals, tokens, ledger and certificate; None holds them in memory, until a restart."""
    goals: tuple[MappedGoal, ...] = ()
    accounts: tuple[tuple[str, str], ...] = ()
    """(customer id, account id) of each known account; empty accepts every pair of numbers."""
    control: bool = False
    """Whether the calls under `/_emulator/` exist. They need no key: enable them in tests only."""
    requests_per_minute: int = 1_000
    """Per customer, in every sliding 60 seconds."""
    developer_token: str = field(default="", repr=False)
    """The only accepted developer token; empty accepts any, and a missing one."""
    client_id: str = ""
    """The only application that may sign in; empty accepts any."""
    client_secret: str = field(default="", repr=False)
    """The secret of that application; empty accepts any, and a missing one (a public client)."""
    access_token_seconds: int = 3_600
    revoke_used_refresh_tokens: bool = False
    """Whether a refresh token works only once. Microsoft's stays valid for a while."""
    enhanced_terms_accepted: bool = True
    """Whether the terms of enhanced conversions are accepted; otherwise goals cannot use them."""
