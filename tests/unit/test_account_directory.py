"""Which account each name is at Microsoft: who shares a limit, and that a reload is seen at once."""

from sidecar.config.loader import parse
from sidecar.emulator import ACCOUNT_ID, CUSTOMER_ID
from sidecar.service.account_directory import AccountDirectory
from sidecar.service.settings import Settings

EMULATED = """
microsoft: {environment: emulator}
accounts: {main: {}, twin: {}, other: {customer_id: "9", account_id: "19"}}
events: {purchase: {goal: Purchase, account: main}}
"""


def test_accounts_without_ids_get_ids_of_their_own_at_one_customer_of_the_emulator() -> None:
    directory = AccountDirectory.of(parse(EMULATED, {}))
    assert directory.ids["main"].account_id == ACCOUNT_ID
    assert len({ids.account_id for ids in directory.ids.values()}) == 3
    assert directory.identities["other"] == "9/19"
    assert [directory.sharing(name) for name in ("twin", "other", "gone")] == [["main", "twin"], ["other"], ()]
    assert directory.ids["twin"].customer_id == CUSTOMER_ID


def test_directory_is_made_once_for_a_configuration_and_again_after_a_reload() -> None:
    settings = Settings(parse(EMULATED, {}))
    before = settings.accounts()
    assert settings.accounts() is before
    settings.config = parse(EMULATED.replace('"19"', '"20"'), {})
    assert settings.identities()["other"] == "9/20"
