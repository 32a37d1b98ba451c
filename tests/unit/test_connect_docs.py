"""docs/connect.md, followed to the letter: its configuration is read, and asks for the goals that its step 7 shows."""

import re
import textwrap
from pathlib import Path

import pytest

from sidecar.config import Config, parse
from sidecar.core.goals.plan import plan
from sidecar.core.instant import UnixMillis
from sidecar.service.settings import Settings

CONNECT = (Path(__file__).parents[2] / "docs" / "connect.md").read_text()
SECRETS = {
    "MSADS_CLIENT_SECRET": "test-Client~Secret",
    "MSADS_DEVELOPER_TOKEN": "test-developer-token",
    "SIDECAR_ENCRYPTION_KEY": "test-encryption-key",
}


def step(number: int) -> str:
    return CONNECT.split(f"## {number}. ", 1)[1].split("\n## ", 1)[0]


def configuration() -> Config:
    block = re.search(r"```yaml\n(.*?)```", step(4), re.DOTALL)
    assert block is not None
    return parse(block[1], SECRETS)


def shown_goals() -> list[tuple[str, str, str]]:
    """Goal, event and category of each line of the table in step 7, the category as the API writes it."""
    lines = re.findall(r"^\| `([^`|]+)` \| `(\w+)` \| ([^|]+) \|", step(7), re.MULTILINE)
    return [(goal, event, category.replace(" ", "").casefold()) for goal, event, category in lines]


def test_configuration_of_step_4_creates_the_goals_of_step_7() -> None:
    """Goals cannot be deleted: nothing that step 7 shows may be left to what is assumed."""
    rules = Settings(configuration()).goal_rules("default")
    missing = plan(rules, [], UnixMillis(0)).missing
    assert [(each.goal.name, *each.events, each.goal.category.casefold()) for each in missing] == shown_goals()
    assert len(missing) == 3
    assert [each.goal.count_type for each in missing] == ["All", "Unique", "Unique"]
    assert {name for each in missing for name in each.assumed} & {"category", "count_type"} == set()


@pytest.mark.parametrize("key", ["count_type", "category"])
def test_step_4_says_it_for_each_event(key: str) -> None:
    assert all(getattr(event, key) for event in configuration().events.values())


@pytest.mark.parametrize("place", [0, 1])
def test_accounts_of_step_6_complete_the_configuration_of_step_4(place: int) -> None:
    """As `sidecar accounts` prints them, and as several accounts are written."""
    configuration_block = re.search(r"```yaml\n(.*?)```", step(4), re.DOTALL)
    accounts = re.findall(r"^( *)```yaml\n(.*?)```", step(6), re.DOTALL | re.MULTILINE)
    assert configuration_block is not None and len(accounts) == 2
    text = f"{configuration_block[1]}\n{textwrap.dedent(accounts[place][1])}"
    ids = [(account.customer_id, account.account_id) for account in parse(text, SECRETS).accounts.values()]
    assert ids == [("250253100", "180012345"), ("250253100", "180067890")][: place + 1]
