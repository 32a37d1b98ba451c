"""What each part is handed of the configuration: every value comes from its own key, though many defaults are equal."""

from sidecar.config import parse
from sidecar.service.settings import Settings

TEXT = """
storage: {url: "sqlite:///kept/outbox.db", retention: 101d, max_pending: 1234, min_free_disk: 3MiB}
microsoft: {environment: emulator}
accounts:
  main: {customer_id: "11", account_id: "21"}
  twin: {customer_id: "11", account_id: "22", goals: {purchase: Purchase twin}}
events:
  purchase: {goal: Purchase main, account: main, window: 45d, enhanced: true}
  lead: {goal: Lead}
delivery: {batch_size: 7, linger: 3s, requests_per_minute: 40, max_in_flight: 5, request_timeout: 61s,
  goal_settle: 4h, click_settle: 2h}
clicks: {retention: 55d, wait: 6h}
adjustments: {settle: 8h}
goals: {refresh: 9m}
alerts: {webhook: "https://hooks.example/services/test-webhook-token?key=1", repeat: 3h}
logging: {retention: 12d, max_size: 13MiB}
"""
SECOND, HOUR, DAY, MIB = 1_000, 3_600_000, 86_400_000, 2**20
SETTINGS = Settings(parse(TEXT, {}))


def test_clicks_rows_and_journal_are_each_kept_as_long_as_their_own_key_says() -> None:
    keeping = SETTINGS.housekeeping()
    assert (keeping.retention_millis, keeping.click_millis, keeping.journal_millis) == (101 * DAY, 55 * DAY, 12 * DAY)
    assert (keeping.min_free_bytes, keeping.journal_bytes, keeping.max_pending) == (3 * MIB, 13 * MIB, 1234)


def test_rows_wait_for_a_click_at_most_as_long_as_its_own_key_says() -> None:
    waits = SETTINGS.housekeeping().waits
    assert (waits.click_millis, waits.click_settle_millis) == (6 * HOUR, 2 * HOUR)


def test_a_claim_is_good_for_longer_than_the_two_requests_it_may_take() -> None:
    """A request whose token has expired is repeated once: a lease of one would let the rows be sent twice."""
    delivery = SETTINGS.delivery()
    assert delivery.lease_millis > 2 * 61 * SECOND
    assert (delivery.batch_size, delivery.linger_millis, delivery.max_in_flight) == (7, 3 * SECOND, 5)


def test_clicks_are_waited_for_and_settle_by_keys_of_their_own() -> None:
    attribution = SETTINGS.attribution()
    assert (attribution.wait_millis, attribution.settle_millis) == (6 * HOUR, 2 * HOUR)
    assert attribution.retention_seconds == 55 * 86_400


def test_goals_are_read_and_settle_by_keys_of_their_own() -> None:
    elsewhere = TEXT.replace(
        "environment: emulator",
        "environment: emulator, endpoints: {campaign: https://127.0.0.1:1, customer: https://127.0.0.1:1, "
        "authority: https://127.0.0.1:1/common}",
    )
    catalogue = Settings(parse(elsewhere, {})).catalogue()
    assert (catalogue.refresh_millis, catalogue.settle_millis) == (9 * 60 * SECOND, 4 * HOUR)
    assert SETTINGS.catalogue().settle_millis == 0


def test_alerts_are_repeated_by_their_own_key_and_link_to_where_a_browser_reaches_the_sidecar() -> None:
    assert SETTINGS.alerts().repeat_millis == 3 * HOUR
    assert SETTINGS.dashboard("http://127.0.0.1:8077") == "http://127.0.0.1:8077/"
    elsewhere = "environment: emulator, redirect_uri: https://sidecar.example:8443/oauth/callback"
    public = Settings(parse(TEXT.replace("environment: emulator", elsewhere), {}))
    assert public.dashboard("http://127.0.0.1:8077") == "https://sidecar.example:8443/"


def test_address_of_the_webhook_and_its_path_are_masked_in_all_texts() -> None:
    path = "/services/test-webhook-token?key=1"
    assert SETTINGS.secrets() == [f"https://hooks.example{path}", path]
    short = Settings(parse(TEXT.replace(path, "/x"), {}))
    assert short.secrets() == ["https://hooks.example/x"]


def test_accounts_of_one_customer_share_its_limit_and_each_has_its_own_goal() -> None:
    assert SETTINGS.sharing("main") == SETTINGS.sharing("twin") == ["main", "twin"]
    assert SETTINGS.sharing("gone") == ()
    assert [SETTINGS.goal_of(account, "purchase") for account in ("main", "twin")] == ["Purchase main", "Purchase twin"]
    assert SETTINGS.goal_of("twin", "lead") == "Lead"
    assert SETTINGS.goal_of("gone", "lead") is None


def test_what_is_reloaded_is_taken_and_what_needs_a_restart_stays_whole() -> None:
    """Half of a new section would be neither the old configuration nor the new one."""
    changed = parse(
        TEXT.replace("batch_size: 7", "batch_size: 8")
        .replace("retention: 55d", "retention: 56d")
        .replace("wait: 6h", "wait: 7h")
        .replace("retention: 101d", "retention: 102d")
        .replace("settle: 8h", "settle: 10h")
        .replace("refresh: 9m", "refresh: 10m")
        .replace("goal: Lead", "goal: Lead again"),
        {},
    )
    reloaded = SETTINGS.with_reloaded(changed)
    assert reloaded.delivery().batch_size == 8
    assert reloaded.goal_of("main", "lead") == "Lead again"
    assert reloaded.housekeeping().click_millis == 55 * DAY
    assert reloaded.housekeeping().retention_millis == 101 * DAY
    assert reloaded.attribution().wait_millis == 6 * HOUR
    assert reloaded.config.adjustments == SETTINGS.config.adjustments
    assert reloaded.config.goals == SETTINGS.config.goals
