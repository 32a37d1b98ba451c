"""Puts the checks together: everything that follows from the facts of a running sidecar."""

from collections.abc import Iterator, Sequence

from sidecar.core.doctor import accounts, attribution, delivery, goals, machine, sign_in
from sidecar.core.doctor.check import Area, Checked, CheckStatus, Diagnosed, Finding
from sidecar.core.doctor.facts import Facts, FailedCall, ReadAccount


def diagnose(facts: Facts) -> Diagnosed:
    """Return every check of a running sidecar."""
    findings = list(_findings(facts))
    checks = [each for each in findings if isinstance(each, Checked)]
    return Diagnosed.of([*findings, *delivery.delivery(facts.active, checks)])


def _findings(facts: Facts) -> Iterator[Finding]:
    yield from machine.configuration(facts.config_warnings)
    yield machine.storage(facts.storage)
    yield machine.disk(facts.disk)
    yield machine.clock(facts.endpoints, facts.clock_unsettled)
    failed = _failed_calls(facts)
    connection = machine.connection(facts.endpoints, _of_network(facts, failed))
    yield connection
    is_cut_off = isinstance(connection, Checked) and connection.status is not CheckStatus.OK
    yield sign_in.token(facts.sign_in, failed, is_cut_off=is_cut_off)
    yield sign_in.scope(facts.sign_in, failed)
    any_read = any(isinstance(account.reading, ReadAccount) for account in facts.accounts)
    yield sign_in.developer_token(facts.sign_in, facts.visible, any_account_read=any_read)
    for account in facts.accounts:
        yield from accounts.account_checks(facts, account)
        yield from goals.goal_checks(account)
        yield from attribution.attribution_checks(
            account.name, account.verdicts, facts.now, in_sandbox=facts.storage.environment == "sandbox"
        )
        yield delivery.last_success(account, facts.now)
    yield delivery.queue(facts.queue, facts.now)


def _failed_calls(facts: Facts) -> Sequence[FailedCall]:
    """Every call to Microsoft that brought no result."""
    calls = (facts.visible, *(account.reading for account in facts.accounts))
    return [call for call in calls if isinstance(call, FailedCall)]


def _of_network(facts: Facts, failed: Sequence[FailedCall]) -> Iterator[FailedCall]:
    """The failures that the connection explains: of the calls, then of the sign-in."""
    signing_in = (facts.sign_in.failure,) if facts.sign_in.failure else ()
    return (call for call in (*failed, *signing_in) if call.area is Area.CONNECTION)
