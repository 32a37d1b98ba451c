"""The messages of alerts, as generic JSON and in Slack's shape."""

import json
from decimal import Decimal
from typing import Any

import pytest

from sidecar.core.alert_message import AlertFormat, AlertMessage, body_of, lasted
from sidecar.core.alerts import Alert, AlertState
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.waiting_summary import Waiting

SINCE = UnixMillis(1_795_444_245_000)  # 2026-11-23T14:30:45Z
ALERT = Alert("goal_not_found", "main", "Sale", SINCE)
WAITING = Waiting(
    4,
    more=True,
    first_time=UnixSeconds(1_795_444_245),
    adjustments=1,
    values={"USD": Decimal("48210.50"), "JPY": Decimal(9000), "EUR": Decimal(0)},
)


def body(form: AlertFormat = "json", **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "alert": ALERT,
        "state": AlertState.RAISED,
        "title": "Conversion goal not found: Sale (account main)",
        "details": ("3 conversions wait",),
        "fix": "Create the goal.",
        "severity": "error",
        "waiting": WAITING,
        "dashboard": "https://sidecar.example/",
        "version": "1.2.3",
    }
    made = body_of(AlertMessage(**{**given, **changes}), form)
    return json.loads(json.dumps(made))  # type: ignore[no-any-return]


def test_generic_message_has_everything_that_a_program_needs() -> None:
    made = body()
    assert len(made.pop("id")) == len(made.pop("incident")) == 32
    assert made == {
        "state": "raised",
        "code": "goal_not_found",
        "severity": "error",
        "title": "Conversion goal not found: Sale (account main)",
        "message": "Conversion goal not found: Sale (account main). 3 conversions wait.",
        "fix": "Create the goal.",
        "account": "main",
        "subject": "Sale",
        "since": "2026-11-23T14:30:45Z",
        "until": None,
        "at_stake": {
            "conversions": 3,
            "adjustments": 1,
            "more": True,
            "value": {"USD": 48210.5, "JPY": 9000},
            "first_expiry_at": "2027-02-21T14:30:45Z",
        },
        "dashboard": "https://sidecar.example/",
        "version": "1.2.3",
    }


def test_message_without_anything_at_stake_says_zero() -> None:
    nothing = {"conversions": 0, "adjustments": 0, "more": False, "value": {}, "first_expiry_at": None}
    assert body(waiting=None)["at_stake"] == nothing


def test_message_sent_again_has_the_same_id_and_each_further_message_another() -> None:
    repeated = Alert("goal_not_found", "main", "Sale", SINCE, taken_at=UnixMillis(SINCE + 1))
    later = Alert("goal_not_found", "main", "Sale", SINCE, taken_at=UnixMillis(SINCE + 2))
    bodies = [
        body(),
        body(alert=repeated, state=AlertState.REPEATED),
        body(alert=later, state=AlertState.REPEATED),
        body(alert=later, state=AlertState.CLEARED),
    ]
    assert body()["id"] == bodies[0]["id"]
    assert len({each["id"] for each in bodies}) == 4
    assert len({each["incident"] for each in bodies}) == 1
    assert body(alert=Alert("goal_not_found", "twin", "Sale", SINCE))["incident"] != bodies[0]["incident"]


def test_slack_gets_what_is_wrong_what_to_do_and_where_to_look() -> None:
    assert body("slack") == {
        "text": "Trouble: Conversion goal not found: Sale (account main)",
        "attachments": [
            {
                "color": "#c62828",
                "fallback": "Trouble: Conversion goal not found: Sale (account main). 3 conversions wait.",
                "text": "3 conversions wait.\n*What to do:* Create the goal.\n"
                "<https://sidecar.example/|Open the dashboard>",
                "footer": "msads-sidecar 1.2.3",
                "ts": 1_795_444_245,
                "mrkdwn_in": ["text"],
            }
        ],
    }


def test_message_without_details_says_what_it_is_and_what_to_do() -> None:
    assert body(details=())["message"] == "Conversion goal not found: Sale (account main)."
    (attachment,) = body("slack", details=())["attachments"]
    assert attachment["text"].startswith("*What to do:* Create the goal.\n<https://")


def test_slack_s_message_that_it_is_over_is_green_and_has_nothing_to_do() -> None:
    ended = Alert("goal_not_found", "main", "Sale", SINCE, ended_at=UnixMillis(SINCE + 60_000))
    (attachment,) = body("slack", alert=ended, state=AlertState.CLEARED)["attachments"]
    assert (attachment["color"], attachment["ts"]) == ("#2e7d32", 1_795_444_305)
    assert "What to do" not in attachment["text"]


def test_texts_of_others_make_no_mention_and_no_link_in_slack() -> None:
    made = body("slack", title="<!channel> & <https://evil.example|here>", details=("<!here>",), fix="<@U1>")
    (attachment,) = made["attachments"]
    assert made["text"] == "Trouble: &lt;!channel&gt; &amp; &lt;https://evil.example|here&gt;"
    assert attachment["text"].startswith("&lt;!here&gt;.\n*What to do:* &lt;@U1&gt;\n")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 s"),
        (45, "45 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (3_600, "1 h"),
        (172_799, "47 h"),
        (172_800, "2 days"),
    ],
)
def test_duration_is_short(seconds: int, words: str) -> None:
    assert lasted(seconds * 1000) == words
