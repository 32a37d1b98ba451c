"""How many replicas and databases a load needs, by formula: `python -m bench.capacity` prints a plan.

`bench.simulation` plays the same system event by event; a test holds the two together.
"""

import argparse
import math
from dataclasses import dataclass, fields, replace

DAY_SECONDS = 86_400
MICROSOFT_ROWS, MICROSOFT_PER_MINUTE = 1_000, 1_000
"""Of one request, and requests of one account in a minute."""
PACE_SHARE = 0.98
"""Of Microsoft's limit that the sidecar uses."""


@dataclass(frozen=True)
class Demand:
    """What is to be carried."""

    accounts: int = 10_000
    conversions_a_day: float = 1e9
    peak: float = 3.0
    """The busiest minute, in means of a day."""
    array: int = 100
    """Conversions in one call of an app."""
    retention_days: float = 90.0
    linger_seconds: float = 2.0

    @property
    def mean(self) -> float:
        """Conversions a second over the day."""
        return self.conversions_a_day / DAY_SECONDS

    @property
    def most(self) -> float:
        """Conversions a second in the busiest minute."""
        return self.mean * self.peak


@dataclass(frozen=True)
class Costs:
    """What a conversion costs, as measured: docs/scaling.md says where and how."""

    row_micros: float = 93.0
    """CPU of a replica, for a conversion in an array of 100, until it is delivered."""
    call_micros: float = 190.0
    """CPU of a replica for the call of an app that carries them."""
    request_micros: float = 4_000.0
    """CPU of a replica for one request to Microsoft, beside that of its rows."""
    database_row_micros: float = 87.0
    """CPU of the database's server for a conversion until it is delivered."""
    database_call_micros: float = 60.0
    """CPU of the server for a call, beside its rows, where few share a commit."""
    commit_seconds: float = 0.004
    """From COMMIT until it is on disk, and on the standby."""
    write_row_micros: float = 30.0
    """Time of the writing connection for each row of a group, at both ends."""
    row_bytes: float = 680.0
    """Of a settled row with its indexes, where vacuum has gathered the free space."""
    wal_bytes: float = 2_950.0
    """Write-ahead log of a conversion: its insert, its claim and its settlement."""
    hot_row_bytes: float = 1_800.0
    """Of a row of the last hours, whose old versions still lie beside it."""


@dataclass(frozen=True)
class Machines:
    """What there is to run it on, and what it costs a month; put your own prices in."""

    replica_cores: float = 1.2
    """One process uses little more than one core."""
    database_cores: float = 16.0
    database_bytes: float = 4e12
    """Of settled rows that one database holds."""
    wal_bytes_a_second: float = 100e6
    """What its disk, its standby and its archive take all day."""
    connections: int = 200
    busy: float = 0.6
    """The share of a core or of a disk that is planned for."""
    core_price: float = 25.0
    terabyte_price: float = 100.0
    """Twice: the standby has a copy."""


LEAST_CORES = 4
"""Of a database, for vacuum and copies beside its load."""

CONNECTIONS = 4
"""Of each replica: one that writes, two that read, one for its lease."""


@dataclass(frozen=True)
class Plan:
    """What is needed, in all groups together."""

    groups: int
    """Databases, each with replicas of its own and a part of the accounts."""
    limited_by: str
    """What makes another database necessary."""
    replicas: int
    database_cores: float
    stored_bytes: float
    wal_bytes_a_second: float
    dead_rows_a_day: float
    connections_a_group: int
    requests_a_second: float
    price_a_month: float


def requests_a_second(rows_a_second: float, accounts: int, linger: float) -> float:
    """Of all accounts, whose rows arrive at random and evenly.

    The first row of a batch waits for `linger`, or until the batch is full. So a batch takes the time until its first
    row, and then the shorter of the two.
    """
    of_one = rows_a_second / accounts
    if not of_one:
        return 0.0
    full = (MICROSOFT_ROWS - 1) / of_one
    return accounts / (1 / of_one + min(linger, full))


def most_rows_of_an_account() -> float:
    """Conversions a second that Microsoft takes for one account."""
    return MICROSOFT_ROWS * MICROSOFT_PER_MINUTE * PACE_SHARE / 60


def group_rows(rows_a_second: float, costs: Costs) -> float:
    """Rows of one group commit of a replica: those that arrive while the group before it is written.

    n = r * T and T = commit + n * row; so n = r * commit / (1 - r * row). Infinite where the writer is too slow.
    """
    left = 1 - rows_a_second * costs.write_row_micros / 1e6
    return math.inf if left <= 0 else rows_a_second * costs.commit_seconds / left


def answer_seconds(rows_a_second: float, costs: Costs) -> float:
    """How long a caller waits for its commit, on average: half of the group before its own, and its own.

    A row that meets an idle writer waits only for its own; the writer is idle with the share of time that no row is in.
    """
    rows = group_rows(rows_a_second, costs)
    took = costs.commit_seconds + max(rows, 1.0) * costs.write_row_micros / 1e6
    met = 1 - math.exp(-rows_a_second * took)  # that the writer was busy
    return took * (1 + met / 2)


def replica_cores(demand: Demand, costs: Costs) -> float:
    """CPU seconds of all replicas in a second of the busiest minute."""
    rows = demand.most
    calls = rows / demand.array * costs.call_micros
    requests = requests_a_second(rows, demand.accounts, demand.linger_seconds) * costs.request_micros
    return (rows * costs.row_micros + calls + requests) / 1e6


def planned(demand: Demand, costs: Costs = Costs(), machines: Machines = Machines()) -> Plan:
    """The least that carries the demand with one replica to spare in each group."""
    cores = demand.most * (costs.database_row_micros + costs.database_call_micros / demand.array) / 1e6
    stored = demand.conversions_a_day * (
        demand.retention_days * costs.row_bytes + max(costs.hot_row_bytes - costs.row_bytes, 0)
    )
    log = demand.most * costs.wal_bytes
    wanted = {
        "processor": cores / (machines.database_cores * machines.busy),
        "disk": stored / machines.database_bytes,
        "log": log / (machines.wal_bytes_a_second * machines.busy),
    }
    limited_by = max(wanted, key=lambda name: wanted[name])
    groups = max(1, math.ceil(wanted[limited_by]))
    of_group = math.ceil(replica_cores(demand, costs) / groups / (machines.replica_cores * machines.busy)) + 1
    replicas = groups * max(of_group, 3)
    of_database = max(LEAST_CORES, math.ceil(cores / groups / machines.busy))
    price = (replicas * machines.replica_cores + 2 * groups * of_database) * machines.core_price
    return Plan(
        groups=groups,
        limited_by=limited_by,
        replicas=replicas,
        database_cores=cores,
        stored_bytes=stored,
        wal_bytes_a_second=log,
        dead_rows_a_day=3 * demand.conversions_a_day,  # claimed, settled, and at last pruned
        connections_a_group=replicas // groups * CONNECTIONS,
        requests_a_second=requests_a_second(demand.most, demand.accounts, demand.linger_seconds),
        price_a_month=price + 2 * stored / 1e12 * machines.terabyte_price,
    )


def told(demand: Demand, plan: Plan) -> str:
    """The plan as docs/scaling.md shows it."""
    lines = (
        f"{demand.mean:,.0f} conversions a second, {demand.most:,.0f} in the busiest minute",
        f"{plan.groups} databases (limited by: {plan.limited_by}), {plan.replicas} replicas",
        f"{plan.connections_a_group} connections to each database, {plan.requests_a_second:,.0f} requests a second",
        f"{plan.database_cores:,.1f} cores of databases, {plan.stored_bytes / 1e12:,.1f} TB stored",
        f"{plan.wal_bytes_a_second / 1e6:,.0f} MB of log a second",
        f"{plan.dead_rows_a_day / 1e9:,.1f} billion dead rows a day",
        f"{plan.price_a_month:,.0f} a month by the prices given",
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for field in fields(Demand):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=field.default)
    given = vars(parser.parse_args())
    demand = replace(Demand(**given), accounts=int(given["accounts"]), array=int(given["array"]))
    print(told(demand, planned(demand)))


if __name__ == "__main__":
    main()
