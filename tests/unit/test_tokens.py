"""The refresh token at rest: sealed, tied to its seed, and a lost key is a clear answer."""

from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sign_in_double import Memory

from sidecar.ports.errors import LostKey, StorageUnavailable
from sidecar.store.tokens import SealedTokens
from sidecar.store.vault import Vault

KEY = "test-passphrase-of-the-vault"
TOKEN = "test-refresh-token-1"
SEED = "test-seed-token"


# --- Vault -----------------------------------------------------------------------------------------------------------

VAULT = Vault(KEY)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(), st.text())
def test_what_was_sealed_opens_to_the_same_text(name: str, text: str) -> None:
    assert VAULT.open(name, VAULT.seal(name, text)) == text


def test_sealed_text_shows_nothing_and_differs_each_time() -> None:
    first, second = VAULT.seal("token", TOKEN), VAULT.seal("token", TOKEN)
    assert TOKEN not in first
    assert first != second


def test_a_restarted_vault_with_the_same_passphrase_opens_it() -> None:
    assert Vault(KEY).open("token", Vault(KEY).seal("token", TOKEN)) == TOKEN


@pytest.mark.parametrize("passphrase", ["", "test-another-passphrase", KEY + " "])
def test_another_passphrase_or_none_is_a_lost_key(passphrase: str) -> None:
    sealed = VAULT.seal("token", TOKEN)
    with pytest.raises(LostKey, match=r"storage\.encryption_key"):
        Vault(passphrase).open("token", sealed)


@pytest.mark.parametrize("spoil", [lambda s: s[:-8], lambda s: s[:-4] + "AAAA", lambda s: s[:22], lambda s: "odd"])
def test_damaged_text_is_a_lost_key_and_no_crash(spoil) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LostKey):
        VAULT.open("token", spoil(VAULT.seal("token", TOKEN)))


def test_a_sealed_text_does_not_open_under_another_name() -> None:
    with pytest.raises(LostKey):
        VAULT.open("api_key", VAULT.seal("token", TOKEN))


def test_without_a_passphrase_the_text_is_stored_as_it_is_and_marked() -> None:
    assert Vault("").seal("token", TOKEN) == f"plain:{TOKEN}"
    assert Vault("").open("token", f"plain:{TOKEN}") == TOKEN


def test_a_text_stored_before_there_was_a_passphrase_can_still_be_read() -> None:
    assert VAULT.open("token", Vault("").seal("token", TOKEN)) == TOKEN


def test_vault_never_shows_its_passphrase() -> None:
    assert KEY not in repr(VAULT)


# --- Tokens ----------------------------------------------------------------------------------------------------------


async def test_nothing_is_stored_at_first() -> None:
    assert await SealedTokens(Memory(), Vault(KEY)).load() is None


async def test_a_saved_token_is_loaded_after_a_restart_and_is_not_readable_in_between() -> None:
    memory = Memory()
    await SealedTokens(memory, Vault(KEY)).save(TOKEN)
    assert await SealedTokens(memory, Vault(KEY)).load() == TOKEN
    assert TOKEN not in str(memory.values)


@pytest.mark.parametrize("seed", ["", SEED])
async def test_a_forgotten_token_is_gone_after_a_restart_and_its_seed_does_not_replace_it(seed: str) -> None:
    memory = Memory()
    await SealedTokens(memory, Vault(""), seed).save(TOKEN)
    await SealedTokens(memory, Vault(""), seed).forget()
    assert TOKEN not in str(memory.values)
    assert await SealedTokens(memory, Vault(""), seed).load() is None
    assert await SealedTokens(memory, Vault(""), "test-another-seed").load() == "test-another-seed"


async def test_a_token_stored_in_plain_is_sealed_as_soon_as_there_is_a_key() -> None:
    memory = Memory()
    await SealedTokens(memory, Vault("")).save(TOKEN)
    assert TOKEN in str(memory.values)
    assert await SealedTokens(memory, Vault(KEY)).load() == TOKEN
    assert TOKEN not in str(memory.values)
    assert await SealedTokens(memory, Vault(KEY)).load() == TOKEN


@pytest.mark.parametrize("seed", [SEED, "test-changed-seed"])
async def test_a_plain_token_that_a_seed_goes_before_is_sealed_too(seed: str) -> None:
    memory = Memory()
    await SealedTokens(memory, Vault(""), SEED).save(TOKEN)
    assert await SealedTokens(memory, Vault(KEY), seed).load() == (TOKEN if seed == SEED else seed)
    assert TOKEN not in str(memory.values)


async def test_a_token_that_cannot_be_sealed_just_now_is_used_all_the_same() -> None:
    class Full(Memory):
        async def put(self, name: str, value: str) -> None:
            raise StorageUnavailable("disk_nearly_full", "no room")

    full = Full()
    await Memory.put(full, "refresh_token", f'plain:{{"refresh_token": "{TOKEN}", "seed_sha256": ""}}')
    assert await SealedTokens(full, Vault(KEY)).load() == TOKEN


async def test_without_a_key_what_is_stored_stays_as_it_is() -> None:
    memory = Memory()
    await SealedTokens(memory, Vault("")).save(TOKEN)

    class ReadOnly(Memory):
        async def put(self, name: str, value: str) -> None:
            raise AssertionError("what is stored was written again")

    stored = ReadOnly()
    stored.values = memory.values
    assert await SealedTokens(stored, Vault("")).load() == TOKEN


SEALED = Vault(KEY).seal("refresh_token", '{"refresh_token": "test-x", "seed_sha256": ""}')
HEAD = "aes256gcm-scrypt:"


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "odd",
        "plain",
        "plain:",
        "plain:{",
        "plain:null",
        "plain:[]",
        "plain:5",
        "plain:{}",
        'plain:"text"',
        'plain:{"refresh_token": 5}',
        'plain:{"refresh_token": ["test-x"]}',
        'plain:{"refresh_token": "test-\\ud800"}',
        'plain:{"refresh_token": "test-\\u0000"}',
        'plain:{"refresh_token": "test-\ufffd"}',
        'plain:{"refresh_token": "test-x", "seed_sha256": 1}',
        "plain:" + "[" * 100_000,
        HEAD,
        HEAD + "AAAA",
        HEAD + "A" * 24,
        HEAD + "*" * 80,
        HEAD + "ü" * 80,
        SEALED[:-1],
        SEALED[:-4],
        SEALED[:60],
        SEALED.replace(HEAD, HEAD + "AAAA"),
        SEALED.swapcase(),
        "\ufffd" + SEALED[1:],
        Vault(KEY).seal("api_key", '{"refresh_token": "test-x"}'),
        Vault(KEY).seal("refresh_token", "no json"),
        Vault(KEY).seal("refresh_token", '{"refresh_token": 5}'),
    ],
    ids=count(),  # what is sealed differs each time
)
@pytest.mark.parametrize("key", [KEY, ""])
async def test_unusable_stored_sign_in_always_means_connect_again(damaged: str, key: str) -> None:
    memory = Memory()
    memory.values["refresh_token"] = damaged
    with pytest.raises(LostKey, match=r"[Ss]ign in again at /connect") as lost:
        await SealedTokens(memory, Vault(key)).load()
    assert "test-x" not in str(lost.value)
    assert await SealedTokens(memory, Vault(key), SEED).load() == SEED
    await SealedTokens(memory, Vault(key)).save(TOKEN)
    assert await SealedTokens(memory, Vault(key)).load() == TOKEN


@given(st.text(max_size=80))
@settings(max_examples=200, deadline=None)
async def test_any_stored_text_is_a_token_or_connect_again(text: str) -> None:
    for start in ("", "plain:", HEAD):
        memory = Memory()
        memory.values["refresh_token"] = start + text
        try:
            found = await SealedTokens(memory, Vault("")).load()
        except LostKey:
            continue
        assert found is None or found.isprintable()


async def test_configured_refresh_token_seeds_the_store() -> None:
    assert await SealedTokens(Memory(), Vault(KEY), SEED).load() == SEED


async def test_rotated_token_survives_a_restart_with_the_same_seed() -> None:
    memory = Memory()
    tokens = SealedTokens(memory, Vault(KEY), SEED)
    await tokens.load()
    await tokens.save(TOKEN)
    assert await SealedTokens(memory, Vault(KEY), SEED).load() == TOKEN


async def test_a_changed_seed_replaces_the_stored_token() -> None:
    memory = Memory()
    await SealedTokens(memory, Vault(KEY), SEED).save(TOKEN)
    assert await SealedTokens(memory, Vault(KEY), "test-changed-seed").load() == "test-changed-seed"


async def test_a_seed_added_after_a_sign_in_replaces_it() -> None:
    memory = Memory()
    await SealedTokens(memory, Vault(KEY)).save(TOKEN)
    assert await SealedTokens(memory, Vault(KEY), SEED).load() == SEED


async def test_a_seed_that_went_and_came_back_unchanged_does_not_replace_newer_tokens() -> None:
    memory = Memory()
    await SealedTokens(memory, Vault(KEY), SEED).save(TOKEN)
    without = SealedTokens(memory, Vault(KEY))
    assert await without.load() == TOKEN
    await without.save("test-refresh-token-2")
    assert await SealedTokens(memory, Vault(KEY), SEED).load() == "test-refresh-token-2"


async def test_a_lost_key_is_reported_as_such() -> None:
    memory = Memory()
    await SealedTokens(memory, Vault(KEY)).save(TOKEN)
    with pytest.raises(LostKey, match="sign in again at /connect"):
        await SealedTokens(memory, Vault("test-another-passphrase")).load()


async def test_with_a_lost_key_the_configured_token_is_used() -> None:
    memory = Memory()
    await SealedTokens(memory, Vault(KEY), SEED).save(TOKEN)
    assert await SealedTokens(memory, Vault("test-another-passphrase"), SEED).load() == SEED
