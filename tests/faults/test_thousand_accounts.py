"""A thousand accounts with a few rows each: all of them are served, by one replica and by three."""

import time
from pathlib import Path

import pytest
from postgres_server_kit import running_server
from process_kit.service import Json
from replica_trial import trial
from replica_trial.trial import Trial

ACCOUNTS, ROWS = 1_000, 10

SERVED = """
    SELECT max(settled_at) - max(received_at), count(DISTINCT l.account) FROM entries e JOIN lanes l ON l.id = e.lane
    WHERE state = 'delivered'"""


@pytest.mark.faults
@pytest.mark.parametrize("replicas", [1, 3])
async def test_thousand_accounts_with_ten_rows_each_are_all_served_at_once(tmp_path: Path, replicas: int) -> None:
    with running_server() as server:
        async with trial.opened(
            tmp_path, [server], lambda: server, seed=8, replicas=replicas, accounts=ACCOUNTS, linger="2s"
        ) as run:
            await run.begin()
            await _post(run)
            await run.settled(240)
            ((millis, served),) = server.run(SERVED, database=trial.DATABASE)
            assert served == ACCOUNTS
            print(
                f"{ACCOUNTS:,} accounts with {ROWS} rows each over {replicas} replicas: the last row was delivered "
                f"{int(str(millis)) / 1000:.1f} s after the last one was accepted"
            )


async def _post(run: Trial) -> None:
    """Every account gets a row, then every one the next."""
    placed_at = int(time.time()) - 3_600
    for number in range(ROWS):
        rows = [_order(account, place, number, placed_at) for place, account in enumerate(run.accounts)]
        _, sidecar = run.up()[number % len(run.up())]
        answer = await sidecar.post(rows)
        assert answer.status == 202, answer.text


def _order(account: str, place: int, number: int, placed_at: int) -> Json:
    click = f"{place:08x}{number:024x}"
    return {
        "event": "purchase",
        "account": account,
        "order_id": f"{account}-{number}",
        "value": 1,
        "time": placed_at,
        "msclkid": click,
    }
