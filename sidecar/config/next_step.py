"""What a valid configuration leaves to do: one sentence for people."""

from sidecar.config.sections import Config


def next_step(config: Config) -> str:
    """The next step on the way from nothing to conversions that count."""
    if config.microsoft.environment == "emulator":
        return (
            "`sidecar run` delivers to a stand-in. For your own ad account set microsoft.environment to production, "
            "and fill in microsoft.client_id, client_secret and developer_token (docs/connect.md, steps 1 to 4)."
        )
    unset = [name for name, account in config.accounts.items() if not account.account_id]
    if unset:
        return (
            "`sidecar run`, then sign in at /connect or with `sidecar connect`: `sidecar accounts` then lists the ids "
            f"for {', '.join(f'accounts.{name}' for name in unset)} (docs/connect.md, steps 5 and 6)."
        )
    return (
        "`sidecar run`. This check asks Microsoft nothing: once somebody has signed in, `sidecar accounts` says "
        "whether the user can reach these accounts, and `sidecar doctor` whether all else is right."
    )
