"""Tokens kept alive against a real HTTPS sign-in service: stored first, refreshed once, and every failure survived."""

import asyncio
import contextlib
import json
import logging
import socket
import ssl
import subprocess
import sys
import textwrap

import pytest
from aiohttp import web
from promises import Show
from sign_in_double import (
    SCOPE,
    START,
    Clock,
    Double,
    Form,
    Hanging,
    Memory,
    Store,
    Watch,
    always,
    double,
    new_grant,
    running,
    source_of,
    trusting,
)
from sign_in_double import refusal as refused

from sidecar.core.instant import UnixMillis
from sidecar.emulator import SEED_REFRESH_TOKEN, Emulator, EmulatorOptions
from sidecar.emulator.faults import (
    Ending,
    Hang,
    Malformed,
    Match,
    OAuthError,
    Preparation,
    ResetBefore,
    RevokeRefreshTokens,
    Rule,
)
from sidecar.microsoft.access_token import AccessToken, cached
from sidecar.microsoft.oauth import Application, Grant, OAuthClient
from sidecar.microsoft.sign_in_errors import Remedy, SignInFailed
from sidecar.microsoft.tokens import Connection, TokenSource
from sidecar.ports.errors import NotConnected, StorageUnavailable
from sidecar.store.tokens import SealedTokens
from sidecar.store.vault import Vault

MIB = 1024 * 1024


@pytest.fixture
async def microsoft():  # type: ignore[no-untyped-def]
    async with double() as it:
        yield it


@pytest.fixture
async def clock() -> Clock:
    return Clock()


def connected(connection: Connection) -> bool:
    return connection.connected


def lost(connection: Connection) -> bool:
    return not connection.connected and connection.trouble is not None


# --- The refresh -----------------------------------------------------------------------------------------------------


async def test_refresh_gives_a_token_and_the_rotated_refresh_token(microsoft: Double) -> None:
    grant = await microsoft.sign_in().refresh("test-refresh-1")
    assert grant == Grant("test-access-2", "test-refresh-2", 3600.0)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1e999999999", 86_400.0),
        ('"1e999999999"', 86_400.0),
        ("9" * 400, 86_400.0),
        ('"' + "9" * 400 + '"', 86_400.0),
        ("-1e999999999", 1.0),
        ("1e-999999999", 1.0),
        ('"soon"', 3600.0),
    ],
)
async def test_life_of_a_token_is_bounded_with_any_text(microsoft: Double, written: str, seconds: float) -> None:
    body = json.dumps({**microsoft.tokens(), "expires_in": 0}).replace('"expires_in": 0', f'"expires_in": {written}')
    microsoft.script = always(lambda: web.Response(text=body, content_type="application/json"))
    grant = await microsoft.sign_in().refresh("test-refresh-1")
    assert grant.life_seconds == seconds
    assert cached(grant, 0.0, UnixMillis(0), 0.5).token.expires_at == seconds * 1000


async def test_scope_is_sent_once_with_what_msal_adds(microsoft: Double) -> None:
    await microsoft.sign_in().refresh("test-refresh-1")
    scopes = microsoft.forms[0]["scope"].split()
    assert sorted(scopes) == sorted(["https://ads.microsoft.com/msads.manage", "openid", "profile", "offline_access"])


async def test_public_application_sends_no_secret_and_a_confidential_one_its_secret(microsoft: Double) -> None:
    await microsoft.sign_in().refresh("test-refresh-1")
    microsoft.secret = "test-secret"
    await microsoft.sign_in(secret="test-secret").refresh("test-refresh-1")
    assert [form.get("client_secret") for form in microsoft.forms] == [None, "test-secret"]


async def test_a_refused_request_is_really_asked_again(microsoft: Double) -> None:
    """MSAL answers an equal refused request from memory for a minute; a fixed registration must not wait for that."""
    microsoft.script = always(lambda: refused("invalid_grant", 70008))
    sign_in = microsoft.sign_in()
    for _ in range(2):
        with pytest.raises(SignInFailed):
            await sign_in.refresh("test-refresh-1")
    microsoft.script = None
    assert (await sign_in.refresh("test-refresh-1")).access_token == "test-access-2"
    assert len(microsoft.forms) == 3


async def test_a_request_that_is_refused_after_good_ones_is_really_asked_again(microsoft: Double) -> None:
    sign_in = microsoft.sign_in()
    await sign_in.refresh("test-refresh-1")
    microsoft.script = always(lambda: refused("invalid_grant", 70008))
    for _ in range(2):
        with pytest.raises(SignInFailed):
            await sign_in.refresh("test-refresh-2")
    assert len(microsoft.forms) == 3


async def test_discovery_is_read_once_while_all_is_well(microsoft: Double) -> None:
    sign_in = microsoft.sign_in()
    await sign_in.refresh("test-refresh-1")
    await sign_in.refresh("test-refresh-2")
    assert (microsoft.discoveries, len(microsoft.forms)) == (1, 2)


def truncated() -> web.Response:
    return web.Response(text='{"access_token": "test-canary-access", "refresh_token": "test-can', status=200)


ODD_ANSWERS = [
    (lambda: web.Response(status=503, headers={"Retry-After": "120"}), Remedy.WAIT, "HTTP 503", 120.0),
    (lambda: web.Response(status=500, text="<html>oops</html>"), Remedy.WAIT, "HTTP 500", None),
    (lambda: web.Response(status=429, headers={"Retry-After": "999999"}), Remedy.WAIT, "HTTP 429", 900.0),
    (lambda: web.Response(status=302, headers={"Location": "https://localhost:1/"}), Remedy.WAIT, "redirect", None),
    (lambda: web.Response(text="<html>Log in to the hotel</html>"), Remedy.WAIT, "JSON", None),
    (lambda: web.Response(text=""), Remedy.WAIT, "JSON", None),
    (lambda: web.json_response(["test-canary"]), Remedy.WAIT, "JSON", None),
    (truncated, Remedy.WAIT, "JSON", None),
    (lambda: web.Response(text=" " * 2_000_000), Remedy.WAIT, "too large", None),
    (lambda: web.json_response({"token_type": "Bearer"}), Remedy.WAIT, "no access token", None),
    (lambda: web.json_response({"access_token": {"odd": "test-canary"}}), Remedy.WAIT, "no access token", None),
    (
        lambda: web.json_response({"access_token": "test-canary", "id_token": "test.canary.x"}),
        Remedy.WAIT,
        "could not be used",
        None,
    ),
    (
        lambda: web.json_response({"access_token": "test-canary", "scope": "https://graph.microsoft.com/User.Read"}),
        Remedy.RECONNECT,
        "msads.manage",
        None,
    ),
    (lambda: refused("invalid_grant", 50173), Remedy.RECONNECT, "password changed", None),
    (lambda: refused("invalid_client", 7000222, 401), Remedy.FIX, "secret has expired", None),
]


@pytest.mark.parametrize(("answer", "remedy", "words", "again"), ODD_ANSWERS)
async def test_every_odd_answer_is_a_failure_that_repeats_nothing_of_it(  # type: ignore[no-untyped-def]
    microsoft: Double, caplog: pytest.LogCaptureFixture, answer, remedy: Remedy, words: str, again: float | None
) -> None:
    caplog.set_level(logging.DEBUG)
    microsoft.script = always(answer)
    with pytest.raises(SignInFailed) as caught:
        await microsoft.sign_in().refresh("test-refresh-1")
    failure = caught.value.failure
    assert (failure.remedy, failure.retry_seconds) == (remedy, again)
    assert words in failure.message
    assert "canary" not in failure.message + caplog.text


async def test_a_tenant_that_does_not_exist_is_reported_by_the_discovery_document(microsoft: Double) -> None:
    microsoft.discovery = refused("invalid_tenant", 90002)
    with pytest.raises(SignInFailed) as caught:
        await microsoft.sign_in().begin()
    assert caught.value.failure.trouble == "app_registration"
    assert "microsoft.tenant" in caught.value.failure.message


@pytest.mark.promise("C11")
async def test_an_untrusted_certificate_is_refused_and_ca_bundle_named(microsoft: Double, shown: Show) -> None:
    with pytest.raises(SignInFailed, match=r"microsoft\.ca_bundle"):
        await microsoft.sign_in(tls=ssl.create_default_context()).refresh("test-refresh-1")
    shown("1 servers that nobody vouches for", lost=len(microsoft.forms) + microsoft.discoveries)


@pytest.mark.promise("C11")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["token", "discovery"])
async def test_a_redirect_takes_no_secret_to_another_host(
    microsoft: Double, status: int, where: str, shown: Show
) -> None:
    async with double() as elsewhere:
        there = f"{elsewhere.authority}/oauth2/v2.0/token"
        away = always(lambda: web.Response(status=status, headers={"Location": there}))
        if where == "token":
            microsoft.script = away
        else:
            microsoft.discovery = await away({})  # type: ignore[assignment]
        with pytest.raises(SignInFailed, match="redirect"):
            await microsoft.sign_in(secret="test-secret").refresh("test-refresh-1")
        shown("1 redirects of a sign-in to another host", lost=len(elsewhere.forms) + elsewhere.discoveries)


@pytest.mark.promise("C11")
async def test_a_sign_in_answer_without_end_is_cut_at_the_cap(microsoft: Double, shown: Show) -> None:
    sent = 0

    async def pour(_: Form) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        assert microsoft.asked is not None
        await response.prepare(microsoft.asked)
        while sent < 1_024 * MIB and microsoft.asked.transport is not None:
            await response.write(b" " * 64 * 1024)
            sent += 64 * 1024
            await asyncio.sleep(0)  # a lost connection shows only then
        return response

    microsoft.script = pour
    with pytest.raises(SignInFailed, match="too large"):
        await microsoft.sign_in().refresh("test-refresh-1")
    shown("1 answers larger than the cap", sent > 32 * MIB, f"of 1 GiB {sent / MIB:.0f} MiB had left by then")


async def test_roots_of_the_given_context_are_not_added_to(microsoft: Double) -> None:
    """requests adds its own bundle of roots to any context; ours is shared with other clients and stays as it is."""
    tls = trusting()
    before = tls.cert_store_stats()
    await microsoft.sign_in(tls=tls).refresh("test-refresh-1")
    assert tls.cert_store_stats() == before


async def test_refused_connection_is_a_setback_that_waits(unused_tcp_port: int) -> None:
    sign_in = OAuthClient(Application(f"https://localhost:{unused_tcp_port}/common", "test-client", "", ""), trusting())
    with pytest.raises(SignInFailed, match="no connection") as caught:
        await sign_in.refresh("test-refresh-1")
    assert caught.value.failure.trouble == "sign_in_unavailable"


async def test_application_without_client_id_names_the_key_and_makes_no_request(microsoft: Double) -> None:
    sign_in = OAuthClient(Application(microsoft.authority, "", "", ""), trusting())
    with pytest.raises(SignInFailed, match=r"microsoft\.client_id"):
        await sign_in.begin()
    assert microsoft.discoveries == 0


# --- Hanging ---------------------------------------------------------------------------------------------------------

HANGING_SECONDS = 3.0
"""How long a call may take where one hangs: enough for what comes before it, on a machine that does much else."""


async def test_a_hanging_token_endpoint_neither_blocks_the_loop_nor_lasts(microsoft: Double) -> None:
    hanging = Hanging()
    microsoft.script = hanging
    asking = asyncio.create_task(microsoft.sign_in(call_seconds=HANGING_SECONDS).refresh("test-refresh-1"))
    await hanging.arrived.wait()
    for _ in range(100):
        await asyncio.sleep(0)  # a turn of the loop
    assert not asking.done()
    with pytest.raises(SignInFailed, match="did not answer in time"):
        await asking


def test_a_hanging_call_does_not_keep_the_process_from_exiting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        program = textwrap.dedent(f"""
            import asyncio, ssl
            from sidecar.microsoft.oauth import Application, OAuthClient

            async def main():
                application = Application("https://127.0.0.1:{silent.getsockname()[1]}/common", "test-client", "", "")
                sign_in = OAuthClient(application, ssl.create_default_context(), call_seconds=300)
                asking = asyncio.create_task(sign_in.refresh("test-refresh-1"))
                await asyncio.get_running_loop().run_in_executor(None, input)
                asking.cancel()
                print("leaving")

            asyncio.run(main())
        """)
        child = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        silent.settimeout(60)
        connection, _ = silent.accept()
        with connection:
            output, _ = child.communicate("go\n", timeout=60)
    assert (output, child.returncode) == ("leaving\n", 0)


async def test_a_cancelled_caller_leaves_the_sign_in_usable(microsoft: Double) -> None:
    hanging = Hanging()
    microsoft.script = hanging
    sign_in = microsoft.sign_in()
    asking = asyncio.create_task(sign_in.refresh("test-refresh-1"))
    await hanging.arrived.wait()
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    microsoft.script = None
    assert (await sign_in.refresh("test-refresh-1")).access_token == "test-access-2"


# --- The source: one refresh, stored first ---------------------------------------------------------------------------


async def test_a_token_is_there_soon_after_the_start(microsoft: Double, clock: Clock) -> None:
    watch = Watch()
    async with running(source_of(microsoft.sign_in(), Store(), clock, watch)) as source:
        token = await source.access_token()
        assert token == AccessToken("test-access-2", source.connection.expires_at)
        assert await watch.until(connected) == Connection(
            connected=True, since=clock.now(), expires_at=START + 3_600_000
        )


async def test_valid_token_is_given_without_asking_microsoft(microsoft: Double, clock: Clock) -> None:
    async with running(source_of(microsoft.sign_in(), Store(), clock)) as source:
        tokens = [await source.access_token() for _ in range(1000)]
    assert len(set(tokens)) == len(microsoft.forms) == 1


async def test_rotated_refresh_token_is_stored_before_the_access_token_is_used(microsoft: Double, clock: Clock) -> None:
    """Killed between the two, the next process goes on with the rotated token."""
    store = Store()
    store.hangs = True
    async with running(source_of(microsoft.sign_in(), store, clock)) as source:
        asking = asyncio.create_task(source.access_token())
        await store.hanging.wait()
        assert store.saves == ["test-refresh-2"]
        assert not asking.done()
    assert not asking.done(), "the process died with the token stored, and nobody had the access token"
    asking.cancel()

    store.hangs = False
    async with running(source_of(microsoft.sign_in(), store, clock)) as source:
        await source.access_token()
    assert [form["refresh_token"] for form in microsoft.forms] == ["test-refresh-1", "test-refresh-2"]


async def test_a_token_that_cannot_be_stored_is_not_used(microsoft: Double, clock: Clock) -> None:
    store = Store()
    store.fails = True
    watch = Watch()
    async with running(source_of(microsoft.sign_in(), store, clock, watch)) as source:
        with pytest.raises(NotConnected) as missing:
            await source.access_token()
        assert (missing.value.code, missing.value.retry_at) == ("storage_failed", clock.now() + 1_000)
        store.fails = False
        clock.advance(30)
        await watch.until(connected)
    assert store.saves == ["test-refresh-3"]


async def test_fifty_callers_with_a_rejected_token_cause_one_refresh(microsoft: Double, clock: Clock) -> None:
    async with running(source_of(microsoft.sign_in(), Store(), clock)) as source:
        rejected = (await source.access_token()).value
        fresh = await asyncio.gather(*(source.refresh(rejected) for _ in range(50)))
    assert {token.value for token in fresh} == {"test-access-3"}
    assert len(microsoft.forms) == 2


async def test_a_caller_that_is_cancelled_does_not_cancel_the_refresh(microsoft: Double, clock: Clock) -> None:
    async with running(source_of(microsoft.sign_in(), Store(), clock)) as source:
        rejected = (await source.access_token()).value
        callers = [asyncio.create_task(source.refresh(rejected)) for _ in range(50)]
        await asyncio.sleep(0)
        for caller in callers[:49]:
            caller.cancel()
        assert (await callers[49]).value == "test-access-3"
    assert len(microsoft.forms) == 2


async def test_a_late_rejection_gets_the_token_that_is_there_already(microsoft: Double, clock: Clock) -> None:
    async with running(source_of(microsoft.sign_in(), Store(), clock)) as source:
        rejected = (await source.access_token()).value
        newer = await source.refresh(rejected)
        assert await source.refresh(rejected) == newer
    assert len(microsoft.forms) == 2


# --- The source: when ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("life", "chance", "refresh_at", "good_until"),
    [(3600.0, 0.0, 2520.0, 3540.0), (3600.0, 1.0, 2880.0, 3540.0), (100.0, 0.5, 75.0, 90.0)],
)
def test_refresh_is_due_at_70_to_80_percent_of_its_life(
    life: float, chance: float, refresh_at: float, good_until: float
) -> None:
    times = cached(Grant("test-access", None, life), asked_at=1000.0, now=START, chance=chance)
    assert (times.refresh_at, times.good_until) == pytest.approx((1000 + refresh_at, 1000 + good_until))
    assert times.idle_refresh_at == 1000 + 7 * 86_400
    assert times.token.expires_at == START + life * 1000


async def test_a_token_in_use_is_refreshed_ahead_of_its_expiry(microsoft: Double, clock: Clock) -> None:
    watch = Watch()
    async with running(source_of(microsoft.sign_in(), Store(), clock, watch)) as source:
        first = await source.access_token()
        await watch.until(connected)
        clock.advance(3600 * 0.76)
        assert await source.access_token() == first, "nobody waits for a refresh while the token is good"
        await watch.until(lambda connection: connection.expires_at != first.expires_at)
        assert (await source.access_token()).value == "test-access-3"


async def test_renewing_gives_a_new_token_at_once_though_the_old_one_is_good(microsoft: Double, clock: Clock) -> None:
    store = Store()
    async with running(source_of(microsoft.sign_in(), store, clock)) as source:
        first = await source.access_token()
        connection = await source.renew()
        assert (connection.connected, connection.trouble) == (True, None)
        assert (await source.access_token()).value != first.value
        assert len(microsoft.forms) == 2


async def test_renewing_that_fails_leaves_the_good_token_in_use_and_says_why(microsoft: Double, clock: Clock) -> None:
    async with running(source_of(microsoft.sign_in(), Store(), clock)) as source:
        first = await source.access_token()
        microsoft.script = always(lambda: refused("invalid_grant", 50173))
        connection = await source.renew()
        assert (connection.connected, connection.trouble) == (True, "token_refresh_failed")
        assert await source.access_token() == first
        microsoft.script = None
        assert (await source.renew()).trouble is None, "asked again at once, though the next try was due in minutes"


async def test_renewing_asks_nothing_while_microsoft_asked_to_wait(microsoft: Double, clock: Clock) -> None:
    def busy() -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "600"})

    async with running(source_of(microsoft.sign_in(), Store(), clock)) as source:
        await source.access_token()
        microsoft.script = always(busy)
        assert (await source.renew()).trouble == "sign_in_unavailable"
        asked = len(microsoft.forms)
        assert (await source.renew()).trouble == "sign_in_unavailable"
        assert len(microsoft.forms) == asked


async def test_idle_source_refreshes_weekly_and_the_next_caller_gets_a_fresh_token(
    microsoft: Double, clock: Clock
) -> None:
    watch = Watch()
    async with running(source_of(microsoft.sign_in(), Store(), clock, watch)) as source:
        first = await watch.until(connected)
        clock.advance(6 * 86_400)
        other = microsoft.sign_in()
        for _ in range(3):
            await other.refresh("test-refresh-other")
        assert source.connection == first, "an idle token that ran out is no trouble, and nobody asked for another"
        microsoft.forms.clear()
        microsoft.rotation = 2
        assert (await source.access_token()).value == "test-access-3"
        second = await watch.until(lambda connection: connection.expires_at != first.expires_at)
        clock.advance(7 * 86_400 + 1)
        third = await watch.until(lambda connection: connection.expires_at != second.expires_at)
        clock.advance(6 * 86_400)
        for _ in range(3):
            await other.refresh("test-refresh-other")
        assert source.connection == third, "nobody used that one: it is idle again"
    ours = [form["refresh_token"] for form in microsoft.forms if form["refresh_token"] != "test-refresh-other"]
    assert ours == ["test-refresh-2", "test-refresh-3"]


# --- The source: trouble and its end ---------------------------------------------------------------------------------


async def test_invalid_grant_is_not_connected_until_someone_signs_in_and_then_at_once(
    microsoft: Double, clock: Clock
) -> None:
    microsoft.script = always(lambda: refused("invalid_grant", 700082))
    watch = Watch()
    store = Store()
    async with running(source_of(microsoft.sign_in(), store, clock, watch)) as source:
        trouble = await watch.until(lost)
        assert trouble.trouble == "token_refresh_failed"
        assert trouble.retry_at == clock.now() + 900_000
        with pytest.raises(NotConnected, match="unused for 90 days"):
            await source.access_token()
        await source.signed_in(new_grant())
        assert (await source.access_token()).value == "test-access-signed-in"
        assert (await watch.until(connected)).trouble is None
    assert store.token == "test-refresh-signed-in"
    assert len(microsoft.forms) == 1


async def test_invalid_grant_is_tried_again_after_15_minutes_and_not_before(microsoft: Double, clock: Clock) -> None:
    microsoft.script = always(lambda: refused("interaction_required", 50076))
    watch = Watch()
    async with running(source_of(microsoft.sign_in(), Store(), clock, watch)) as source:
        await watch.until(lost)
        clock.advance(890)
        for _ in range(50):
            with pytest.raises(NotConnected):
                await source.access_token()
        assert len(microsoft.forms) == 1
        microsoft.script = None
        clock.advance(11)
        await watch.until(connected)
    assert len(microsoft.forms) == 2


async def test_source_resumes_by_itself_after_a_wrong_secret_is_fixed(microsoft: Double, clock: Clock) -> None:
    microsoft.secret = "test-secret-of-the-application"
    watch = Watch()
    async with running(source_of(microsoft.sign_in(secret="test-secret-here"), Store(), clock, watch)) as source:
        trouble = await watch.until(lost)
        assert (trouble.trouble, trouble.retry_at) == ("client_secret_invalid", clock.now() + 30_000)
        clock.advance(30)
        again = await watch.until(lambda connection: connection.retry_at != trouble.retry_at)
        assert again.retry_at == clock.now() + 60_000
        assert again.since == trouble.since
        microsoft.secret = "test-secret-here"
        clock.advance(60)
        await watch.until(connected)
        assert (await source.access_token()).value == "test-access-2"
    assert len(microsoft.forms) == 3


async def test_a_good_token_outlives_an_outage_and_the_loss_is_reported_when_it_ends(
    microsoft: Double, clock: Clock
) -> None:
    watch = Watch()
    async with running(source_of(microsoft.sign_in(), Store(), clock, watch)) as source:
        first = await source.access_token()
        microsoft.script = always(lambda: web.Response(status=503, headers={"Retry-After": "900"}))
        clock.advance(3000)
        await source.access_token()
        still = await watch.until(lambda connection: connection.trouble is not None)
        assert still.connected
        assert await source.access_token() == first
        clock.advance(600)
        with pytest.raises(NotConnected) as missing:
            await source.access_token()
        assert missing.value.code == "sign_in_unavailable"
        assert lost(watch.seen[-1])


async def test_three_answers_of_503_hold_delivery_up_for_seconds_only(microsoft: Double, clock: Clock) -> None:
    microsoft.script = always(lambda: web.Response(status=503))
    watch = Watch()
    async with running(source_of(microsoft.sign_in(), Store(), clock, watch)) as source:
        told = await watch.until(lost)
        for pause in (1, 2, 4):
            assert told.retry_at == clock.now() + pause * 1000
            microsoft.script = None if pause == 4 else microsoft.script
            clock.advance(pause)
            told = await watch.until(lambda connection, told=told: connection != told)
        assert connected(told)
        microsoft.script = always(lambda: web.Response(status=503))
        with pytest.raises(NotConnected) as missing:
            await source.refresh((await source.access_token()).value)
        assert missing.value.retry_at == clock.now() + 1_000, "a success ends the row of failures"


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=503, headers={"Retry-After": "900"}),
        lambda: refused("invalid_grant", 50196),
        lambda: refused("invalid_grant", 50105),
        lambda: refused("invalid_client", 7000222, 401),
    ],
)
async def test_a_new_sign_in_ends_every_wait(microsoft: Double, clock: Clock, answer) -> None:  # type: ignore[no-untyped-def]
    microsoft.script = always(answer)
    watch = Watch()
    async with running(source_of(microsoft.sign_in(), Store(), clock, watch)) as source:
        await watch.until(lost)
        await source.signed_in(new_grant())
        assert (await watch.until(connected)).retry_at is None
        assert (await source.access_token()).value == "test-access-signed-in"
        microsoft.script = always(lambda: web.Response(status=503))
        with pytest.raises(NotConnected) as missing:
            await source.refresh("test-access-signed-in")
        assert missing.value.retry_at == clock.now() + 1_000, "pauses begin again too"


async def test_missing_sign_in_is_not_connected_and_makes_no_request(microsoft: Double, clock: Clock) -> None:
    watch = Watch()
    async with running(source_of(microsoft.sign_in(), Store(None), clock, watch)) as source:
        with pytest.raises(NotConnected, match="no one has signed in yet") as missing:
            await source.access_token()
        assert (missing.value.code, missing.value.retry_at) == ("not_connected", None)
        await source.signed_in(new_grant())
        assert (await source.access_token()).value == "test-access-signed-in"
    assert microsoft.forms == []


async def test_a_sign_in_wins_over_a_refresh_that_is_on_its_way(microsoft: Double, clock: Clock) -> None:
    """Neither an older account's tokens nor its refusal may undo what the person just did."""
    for outcome in (lambda: web.json_response(microsoft.tokens()), lambda: refused("invalid_grant", 50173)):
        arrived, answer_now = asyncio.Event(), asyncio.Event()

        async def late(_: Form, outcome=outcome, arrived=arrived, answer_now=answer_now):  # type: ignore[no-untyped-def]
            arrived.set()
            await answer_now.wait()
            return outcome()

        microsoft.script = late
        store, watch = Store(), Watch()
        async with running(source_of(microsoft.sign_in(), store, clock, watch)) as source:
            await arrived.wait()
            await source.signed_in(new_grant())
            answer_now.set()
            microsoft.script = None
            rejected = await source.access_token()
            assert rejected.value == "test-access-signed-in"
            await source.refresh(rejected.value)
        assert microsoft.forms[-1]["refresh_token"] == "test-refresh-signed-in"
        assert store.saves[0] == "test-refresh-signed-in"
        assert {connection.trouble for connection in watch.seen} == {None}


async def test_disconnecting_wins_over_a_refresh_that_is_on_its_way(microsoft: Double, clock: Clock) -> None:
    """The late token is neither stored nor used."""
    arrived, answer_now = asyncio.Event(), asyncio.Event()

    async def late(_: Form) -> web.Response:
        arrived.set()
        await answer_now.wait()
        return web.json_response(microsoft.tokens())

    microsoft.script = late
    store, watch = Store(), Watch()
    async with running(source_of(microsoft.sign_in(), store, clock, watch)) as source:
        await arrived.wait()
        await source.sign_out()
        answer_now.set()
        microsoft.script = None
        with pytest.raises(NotConnected):
            await source.access_token()
        await source.signed_in(new_grant())
        assert (await source.access_token()).value == "test-access-signed-in"
    assert store.saves == ["test-refresh-signed-in"]


async def test_a_sign_in_that_cannot_be_stored_is_stored_later(microsoft: Double, clock: Clock) -> None:
    store, watch = Store(None), Watch()
    async with running(source_of(microsoft.sign_in(), store, clock, watch)) as source:
        await watch.until(lost)
        store.fails = True
        with pytest.raises(StorageUnavailable):
            await source.signed_in(new_grant())
        with pytest.raises(NotConnected) as missing:
            await source.access_token()
        assert missing.value.retry_at == clock.now() + 1_000, "what failed before the sign-in does not count"
        store.fails = False
        clock.advance(30)
        await watch.until(connected)
    assert microsoft.forms[0]["refresh_token"] == "test-refresh-signed-in"


async def test_lost_key_means_connect_again_and_never_a_crash(microsoft: Double, clock: Clock) -> None:
    memory = Memory()
    await SealedTokens(memory, Vault("test-passphrase-before")).save("test-refresh-1")
    tokens = SealedTokens(memory, Vault("test-passphrase-after"))
    source = TokenSource(microsoft.sign_in(), tokens, now=clock.now, chance=lambda: 0.5)
    async with running(source):
        with pytest.raises(NotConnected, match=r"storage\.encryption_key") as missing:
            await source.access_token()
        assert missing.value.code == "not_connected"
        await source.signed_in(new_grant())
        await source.access_token()
    assert await SealedTokens(memory, Vault("test-passphrase-after")).load() == "test-refresh-signed-in"


async def test_an_unexpected_error_is_a_trouble_and_the_source_goes_on(microsoft: Double, clock: Clock) -> None:
    class Broken(Store):
        async def load(self) -> str | None:
            if self.fails:
                raise KeyError("test-canary-refresh")
            return self.token

    store, watch = Broken(), Watch()
    store.fails = True
    async with running(source_of(microsoft.sign_in(), store, clock, watch)):
        trouble = await watch.until(lost)
        assert trouble.trouble == "loop_failed"
        assert "canary" not in str(trouble)
        store.fails = False
        clock.advance(30)
        await watch.until(connected)


# --- Against the emulator --------------------------------------------------------------------------------------------


def emulated(emulator: Emulator, memory: Memory, clock: Clock, watch: Watch, call_seconds: float = 60.0) -> TokenSource:
    """A sidecar's token source as the app makes it, seeded with the emulator's well-known token."""
    application = Application(emulator.authority, "test-client", "http://localhost:8077/oauth/callback", SCOPE)
    sign_in = OAuthClient(application, ssl.create_default_context(cadata=emulator.ca_pem), call_seconds)
    tokens = SealedTokens(memory, Vault("test-passphrase-of-the-vault"), SEED_REFRESH_TOKEN)
    return TokenSource(sign_in, tokens, now=clock.now, chance=lambda: 0.5, on_change=watch)


async def test_restarts_go_on_with_the_rotated_token_even_when_each_works_only_once(clock: Clock) -> None:
    memory = Memory()
    async with Emulator(EmulatorOptions(revoke_used_refresh_tokens=True), clock.now) as emulator:
        seen = set()
        for _ in range(4):
            async with running(emulated(emulator, memory, clock, Watch())) as source:
                seen.add((await source.access_token()).value)
                seen.add((await source.refresh((await source.access_token()).value)).value)
    assert len(seen) == 8
    assert SEED_REFRESH_TOKEN not in str(memory.values)


async def test_a_revoked_sign_in_is_reported_and_each_fault_of_the_service_passes(clock: Clock) -> None:
    watch = Watch()
    async with Emulator(EmulatorOptions(), clock.now) as emulator:

        def script(*actions: Preparation | Ending) -> None:
            for action in actions:
                emulator.script.add(Rule(match=Match(operation="token"), action=action))

        async with running(emulated(emulator, Memory(), clock, watch, HANGING_SECONDS)) as source:
            good = (await source.access_token()).value
            script(RevokeRefreshTokens(type="revoke_refresh_tokens"))
            with pytest.raises(NotConnected, match="AADSTS50173"):
                await source.refresh(good)
            faults: list[Preparation | Ending] = [
                Hang(type="hang"),
                ResetBefore(type="reset_before"),
                Malformed(type="malformed", body="truncated"),
                OAuthError(type="oauth_error", aadsts=90033),
            ]
            script(*faults)
            await source.signed_in(Grant("test-access", SEED_REFRESH_TOKEN, 3600.0))
            with pytest.raises(NotConnected, match="did not answer in time"):
                await source.refresh("test-access")
            for pause in (1, 2, 4):
                told = source.connection
                clock.advance(pause)
                await watch.until(lambda connection, told=told: connection.retry_at != told.retry_at)
            assert source.connection.trouble == "sign_in_unavailable"
            clock.advance(8)
            await watch.until(connected)


# --- Secrets ---------------------------------------------------------------------------------------------------------


async def test_no_token_or_secret_is_in_any_log_or_error_at_any_level(
    microsoft: Double, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("msal", "msal.oauth2cli.oauth2", "urllib3", "requests", "asyncio"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    microsoft.secret = "test-secret-here"
    sign_in = microsoft.sign_in(secret="test-secret-here")
    watch = Watch()
    async with running(source_of(sign_in, Store(), clock, watch)) as source:
        await source.access_token()
        consent = await sign_in.begin()
        await sign_in.finish(consent, {"code": "test-code-canary", "state": consent.state})
        microsoft.script = always(lambda: refused("invalid_grant", 50173))
        with pytest.raises(SignInFailed) as caught:
            await sign_in.finish(consent, {"code": "test-code-canary", "state": consent.state})
        microsoft.script = always(truncated)
        rejected = await source.access_token()
        with pytest.raises(NotConnected) as missing:
            await source.refresh(rejected.value)
    told = f"{caplog.text} {caught.value!r} {missing.value!r} {watch.seen} {rejected!r} {consent!r}"
    assert "urllib3" in caplog.text, "the logs were on"
    for canary in ("test-access", "test-refresh", "test-secret", "test-code", "canary", consent.flow["code_verifier"]):
        assert canary not in told
    assert caught.value.__context__ is None
