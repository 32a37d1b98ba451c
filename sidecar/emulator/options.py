"""What an emulator can be told when it starts, and the names that others may rely on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

CUSTOMER_ID = "100000001"
"""The customer to use where the configuration names none."""

ACCOUNT_ID = "200000001"
"""The account to use where the configuration names none."""

SEED_REFRESH_TOKEN = "test-emulator-refresh-token"  # noqa: S105 - well known on purpose
"""Always accepted, with any client id: whoever has it is signed in without a browser."""

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
    """What a conversion without a value counts; with `NoValue` it is not used, else absent means 0."""
    currency: str | None = None
    """What a value without a currency is in; absent means the account's, which is USD here."""
    enhanced: bool = True
    externally_attributed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorOptions:
    """Everything about one emulator. As it stands it accepts every client, every account and no control calls."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 takes any free port."""
    host_names: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")
    """Names and addresses that the certificate is made for."""
    state_file: Path | None = None
    """Where goals, tokens, ledger and certificate outlive a restart; None keeps them in memory."""
    goals: tuple[MappedGoal, ...] = ()
    accounts: tuple[tuple[str, str], ...] = ()
    """(customer id, account id) of each known account; empty accepts every pair of numbers."""
    control: bool = False
    """Whether the calls under `/_emulator/` exist. They ask for no key: leave them off outside of tests."""
    requests_per_minute: int = 1_000
    """Per customer, in every sliding 60 seconds."""
    developer_token: str = field(default="", repr=False)
    """The only developer token that is accepted; empty accepts any, and none at all."""
    client_id: str = ""
    """The only application that may sign in; empty accepts any."""
    client_secret: str = field(default="", repr=False)
    """What that application must present; empty accepts any secret, and none (a public client)."""
    access_token_seconds: int = 3_600
    revoke_used_refresh_tokens: bool = False
    """Whether a refresh token dies once it was used. Microsoft keeps it alive for a while."""
    enhanced_terms_accepted: bool = True
    """Whether someone accepted the terms of enhanced conversions in the web interface; else goals cannot use them."""
