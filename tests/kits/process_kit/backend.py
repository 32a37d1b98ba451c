"""Backends that post orders to a sidecar: alone and in arrays of all sizes, several at once, and check each answer."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from process_kit.expected import Timed, held, is_identified, second
from process_kit.service import EVENTS, Sidecar
from process_kit.shop import Order, contradicted, spoiled

SIZES = (*[1] * 20, 2, 5, 20, 50, 200, 1_000)
"""How many orders a request carries; 1 goes as an object or as an array."""


@dataclass(frozen=True)
class Submission:
    """One item as it is posted, and the status it must be answered with."""

    body: dict[str, Any]
    status: int
    skipped: bool = False


@dataclass
class Books:
    """What was answered, and what follows from it."""

    posted: Counter[str] = field(default_factory=Counter)
    accepted: dict[str, Timed] = field(default_factory=dict)
    """By order id: what Microsoft must get."""
    wrong: list[str] = field(default_factory=list)

    def note(self, wanted: Submission, got: dict[str, Any], status: int) -> None:
        self.posted[f"{status} {'skipped' if wanted.skipped else ''}".strip()] += 1
        if status != wanted.status or wanted.skipped != (got.get("state") == "skipped" and "id" not in got):
            self.wrong.append(f"{wanted} was answered {status} {got}")
        if status == 202:
            body = wanted.body
            self.accepted[body["order_id"]] = held(body, EVENTS), second(body["time"])


def submissions(orders: Sequence[Order], chance: random.Random, lasting: Any) -> Iterator[Submission]:
    """Each order once; 2 % are made invalid, 3 % come again and 1 % with another content, some time later.

    `lasting(conversion)` says whether a row stays as it is stored: one that dies would be replaced.
    """
    later: list[Submission] = []
    for order in orders:
        body = order.body()
        if order.number % 50 == 7:
            yield Submission(spoiled(body, order.number // 50), 422)
            continue
        conversion = held(body, EVENTS)
        known = is_identified(conversion)
        yield Submission(body, 202 if known else 200, skipped=not known)
        if known and lasting(conversion):
            later += _repeats(order)
        if later and chance.random() < 0.04:
            yield later.pop(chance.randrange(len(later)))
    yield from later


def _repeats(order: Order) -> Iterator[Submission]:
    """More often than 3 % and 1 %: a third of the orders is not stored at all."""
    if order.number % 25 == 3:
        yield Submission(order.body(writing=1 + order.number % 3), 200)
    if order.number % 75 == 4:
        yield Submission(contradicted(order.body()), 409)


async def post(sidecar: Sidecar, wanted: Sequence[Submission], books: Books, chance: random.Random) -> None:
    """One backend: requests one after another."""
    start = 0
    while start < len(wanted):
        chunk = wanted[start : start + chance.choice(SIZES)]
        start += len(chunk)
        if len(chunk) == 1 and chance.random() < 0.9:
            answer = await sidecar.post(chunk[0].body)
            books.note(chunk[0], answer.json(), answer.status)
            continue
        answer = await sidecar.post([item.body for item in chunk])
        _note_array(chunk, answer.status, answer.json(), books)


def _note_array(chunk: Sequence[Submission], status: int, answer: dict[str, Any], books: Books) -> None:
    refused = sum(item.status in (409, 422) for item in chunk)
    whole = 202 if not refused else 422 if refused == len(chunk) else 207
    if status != whole:
        books.wrong.append(f"an array with {refused} of {len(chunk)} to refuse was answered {status}")
    assert "results" in answer, answer
    for item, got in zip(chunk, answer["results"], strict=True):
        books.note(item, got, got["status"])


async def post_all(sidecar: Sidecar, orders: Sequence[Order], lasting: Any, *, clients: int = 6, seed: int) -> Books:
    """All orders, each client with customers of its own; what became of them."""
    books = Books()
    async with asyncio.TaskGroup() as group:
        for client in range(clients):
            chance = random.Random(seed + client)
            mine = [order for order in orders if order.customer % clients == client]
            group.create_task(post(sidecar, list(submissions(mine, chance, lasting)), books, chance))
    return books
