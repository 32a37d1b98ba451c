"""A click of a visitor, read from plain values."""

import pytest

from sidecar.core.instant import MAX_AGE_SECONDS, UnixMillis
from sidecar.core.intake.click import CaptureRules, Clicked, NotCaptured, RejectedClick, read_click

NOW = UnixMillis(1_795_444_245_000)
RULES = CaptureRules(("default",))
CLICK = {"visitor_id": "v-1", "msclkid": "f894f652ea334e739002f7167ab8f8e3"}


def test_click_of_just_90_days_is_taken_and_an_older_one_is_refused_as_a_click() -> None:
    oldest = NOW // 1_000 - MAX_AGE_SECONDS
    taken = read_click({**CLICK, "time": oldest}, now=NOW, rules=RULES)
    assert isinstance(taken, Clicked)
    assert taken.click.clicked_at == oldest
    refused = read_click({**CLICK, "time": oldest - 1}, now=NOW, rules=RULES)
    assert isinstance(refused, RejectedClick)
    assert [(one.field, one.code) for one in refused.problems] == [("time", "too_old")]
    assert refused.problems[0].message.endswith("Microsoft takes no click that old")


@pytest.mark.parametrize(("given", "usual"), [("denied", "granted"), (None, "denied")])
def test_without_consent_nothing_is_captured(given: str | None, usual: str) -> None:
    rules = CaptureRules(("default",), "denied" if usual == "denied" else "granted")
    read = read_click({**CLICK, "consent": given}, now=NOW, rules=rules)
    assert read == NotCaptured("consent_denied")
    assert isinstance(read_click({**CLICK, "consent": "granted"}, now=NOW, rules=rules), Clicked)
