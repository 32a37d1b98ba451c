"""The limit of real processes over real minutes: ten accounts with a backlog, and a kill -9 among it."""

import asyncio
import time
from bisect import bisect_right
from collections import defaultdict

import pytest
from process_kit.emulator import microsoft
from process_kit.running import Starter
from process_kit.service import GOALS, Json, Services, Sidecar, config
from promises import Show

LIMIT = 1_000
MINUTE = 60_000
ACCOUNTS = 10
BACKLOG = 3_600
"""Rows of each account, one in a request."""


def _settings(base: Json) -> Json:
    accounts = {
        f"shop{n}": {"customer_id": str(100_000_000 + n), "account_id": str(200_000_000 + n)} for n in range(ACCOUNTS)
    }
    return base | {"accounts": accounts, "delivery": {"batch_size": 1, "linger": "0s"}}


def _order(account: int, number: int) -> Json:
    click = f"{account:04x}{number:028x}"
    return {"event": "purchase", "account": f"shop{account}", "order_id": click, "value": 1, "msclkid": click}


async def _fill(sidecar: Sidecar) -> None:
    """A backlog for every account, before anything goes out."""
    for account in range(ACCOUNTS):
        for start in range(0, BACKLOG, 900):
            answer = await sidecar.post([_order(account, start + n) for n in range(900)])
            assert answer.status == 202, answer.text


def _fullest(at: list[int]) -> int:
    """The most arrivals within any sliding minute."""
    return max(bisect_right(at, start + MINUTE - 1) - place for place, start in enumerate(at))


@pytest.mark.faults
@pytest.mark.promise("B2")
@pytest.mark.timeout(1_200)
async def test_ten_accounts_keep_every_sliding_minute_and_use_it(
    starter: Starter, services: Services, shown: Show
) -> None:
    there = await starter.stack.enter_async_context(microsoft(starter, *GOALS, requests_per_minute=LIMIT))
    settings = _settings(config(there))
    sidecar = await services.start(settings)
    await _fill(sidecar)
    began = time.time()
    await asyncio.sleep(80)  # a minute is seen whole only once it has passed
    await sidecar.running.kill()
    await services.start(settings)
    await asyncio.sleep(70)  # and one after the kill
    by_account: defaultdict[str, list[int]] = defaultdict(list)
    refused = 0
    for request in await there.ledger("requests"):
        if request["operation"].endswith("Apply"):
            by_account[request["account_id"]].append(request["at"])
            refused += request["answer"] != "ok"
    assert len(by_account) == ACCOUNTS
    fullest = max(_fullest(at) for at in by_account.values())
    first = int(began * 1000) + 10_000
    used = min(sum(first <= one < first + MINUTE for one in at) for at in by_account.values())
    total = sum(map(len, by_account.values()))
    assert used >= 0.95 * LIMIT
    shown(
        f"{total:,} requests of {ACCOUNTS} accounts, a kill -9 among them",
        lost=refused + max(0, fullest - LIMIT),
        figure=f"fullest minute {fullest}, used {used / LIMIT:.1%} of one under backlog",
    )
