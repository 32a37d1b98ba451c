"""deploy/ for replicas: one PostgreSQL, several sidecars and one address, for Compose and for Kubernetes."""

import asyncio
import contextlib
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import yaml
from docs_page import ROOT, text_of
from leash_kit import LEASH
from process_kit.service import Services, Sidecar, config

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load(text_of("deploy/replicas/compose.yaml"))
SERVICES = COMPOSE["services"]
MANIFEST = list(yaml.safe_load_all(text_of("deploy/kubernetes/replicas.yaml")))
BALANCER = DEPLOY / "replicas" / "haproxy.cfg"
STOP_SECONDS = 15
KEY = "test-key-of-the-replicas"
"""As deployed: without a key a replica answers only to names that it knows, also whether it is ready."""
CONNECTIONS = 3
"""Of one replica: one that writes, and two that read."""

HAPROXY = shutil.which("haproxy")
needs_haproxy = pytest.mark.skipif(
    HAPROXY is None, reason="haproxy is needed for this check: install it (`apt-get install haproxy`)"
)


def only(kind: str) -> Any:
    [found] = [each for each in MANIFEST if each["kind"] == kind]
    return found


# --- Compose ---------------------------------------------------------------------------------------------------------


def test_compose_limits_and_locks_every_container() -> None:
    for service in SERVICES.values():
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["restart"] == "unless-stopped"


def test_compose_takes_every_image_by_digest_and_builds_ours() -> None:
    assert (DEPLOY / "replicas" / SERVICES["replica"]["build"]).resolve() == ROOT
    for name in ("sidecar", "postgres"):
        assert re.fullmatch(r"[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}", SERVICES[name]["image"])


def test_compose_publishes_the_balancer_alone_and_to_this_machine_alone() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"sidecar"}
    assert SERVICES["sidecar"]["ports"] == ["127.0.0.1:8077:8077"]


def test_compose_gives_each_container_its_secrets_as_files() -> None:
    of_one = yaml.safe_load(text_of("deploy/compose.yaml"))["services"]["sidecar"]["secrets"]
    assert SERVICES["replica"]["secrets"] == [*of_one, "pgpass"]
    assert SERVICES["postgres"]["secrets"] == ["database_password"]
    assert {name: each["file"] for name, each in COMPOSE["secrets"].items()} == {
        name: f"../secrets/{name}" for name in (*of_one, "pgpass", "database_password")
    }


def test_compose_replicas_find_the_database_as_its_owner_with_a_password_from_a_file() -> None:
    replica, postgres = SERVICES["replica"], SERVICES["postgres"]
    url = urlsplit(replica["environment"]["SIDECAR_STORAGE_URL"])
    created = postgres["environment"]
    assert (url.hostname, url.username, url.path) == (
        "postgres",
        created["POSTGRES_USER"],
        f"/{created['POSTGRES_DB']}",
    )
    assert parse_qs(url.query)["passfile"] == ["/run/secrets/pgpass"]
    assert created["POSTGRES_PASSWORD_FILE"] == "/run/secrets/database_password"
    assert replica["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_compose_replicas_stop_in_order_and_fit_into_the_database() -> None:
    replica, postgres = SERVICES["replica"], SERVICES["postgres"]
    assert replica["deploy"]["replicas"] == 3
    assert int(replica["stop_grace_period"].removesuffix("s")) > STOP_SECONDS
    [most] = [value for each in postgres["command"] if (value := each.partition("max_connections=")[2])]
    assert int(most) >= 2 * 3 * CONNECTIONS  # old and new replicas, while they are replaced
    assert not any("fsync" in each or "synchronous_commit" in each for each in postgres["command"])


# --- The balancer ----------------------------------------------------------------------------------------------------


@needs_haproxy
def test_balancer_takes_its_configuration(tmp_path: Path) -> None:
    given = [str(HAPROXY), "-c", "-f"]
    assert subprocess.run([*given, BALANCER], capture_output=True, timeout=60).returncode == 0
    (wrong := tmp_path / "haproxy.cfg").write_text(BALANCER.read_text().replace("option httpchk", "option httpcheck"))
    assert subprocess.run([*given, wrong], capture_output=True, timeout=60).returncode != 0


def test_balancer_knows_every_replica_and_asks_whether_it_is_ready() -> None:
    text = BALANCER.read_text()
    assert f"server-template replica {SERVICES['replica']['deploy']['replicas']} replica:8077" in text
    assert "option httpchk GET /readyz" in text and "bind :8077" in text


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


@contextlib.asynccontextmanager
async def balanced(ports: Sequence[int], folder: Path) -> AsyncIterator[str]:
    """The balancer before servers on these ports, in place of the containers that it would find by name."""
    [port] = free_ports(1)
    text = BALANCER.read_text().replace("bind :8077", f"bind 127.0.0.1:{port}")
    servers = "\n".join(f"    server replica{one} 127.0.0.1:{one}" for one in ports)
    text = re.sub(r"^    server-template .*$", servers, text, flags=re.MULTILINE)
    text = re.sub(r"^resolvers docker\n(    .*\n)*", "", text, flags=re.MULTILINE)
    (file := folder / "haproxy.cfg").write_text(text.replace(" resolvers docker init-addr none", ""))
    process = await asyncio.create_subprocess_exec(*LEASH, str(HAPROXY), "-f", file, stdout=asyncio.subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


async def taken(address: str, order_id: str) -> None:
    """Post an order as an app does: again, until it is taken."""
    body = {"event": "purchase", "order_id": order_id, "value": 1, "msclkid": "a" * 32}
    until = time.monotonic() + 60
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as app:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with app.post(f"{address}/v1/conversions", json=body) as answer:
                    if answer.status == 202:
                        return
            assert time.monotonic() < until, f"{order_id} is not taken"
            await asyncio.sleep(0.05)


@needs_haproxy
async def test_orders_are_taken_through_the_balancer_while_each_replica_is_replaced(
    services: Services, tmp_path: Path
) -> None:
    def settings(port: int) -> dict[str, Any]:
        return config(None, server={"port": port, "api_keys": [KEY]}, storage={"url": f"sqlite:///{port}.db"})

    ports = free_ports(3)
    replicas: list[Sidecar] = [await services.start(settings(port)) for port in ports]
    orders = [f"ORDER-{number}" for number in range(60)]
    waiting = iter(orders)
    async with balanced(ports, tmp_path) as address:
        for number, port in enumerate(ports):
            for _ in range(10):
                await taken(address, next(waiting))
            replicas[number].running.signal(signal.SIGTERM)
            assert await replicas[number].running.ended() == 0
            for _ in range(10):
                await taken(address, next(waiting))
            replicas[number] = await services.start(settings(port))
    for replica in replicas:
        replica.key = KEY
    rows = [[row["order_id"] for row in await replica.rows()] for replica in replicas]
    assert {order for of_one in rows for order in of_one} == set(orders)
    assert all(rows)


# --- Kubernetes ------------------------------------------------------------------------------------------------------


def pod() -> Any:
    return only("Deployment")["spec"]["template"]["spec"]


def test_replicas_are_replaced_one_by_one_and_only_after_a_new_one_is_ready() -> None:
    spec = only("Deployment")["spec"]
    assert spec["replicas"] == 3
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert pod()["containers"][0]["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_replica_serves_until_no_request_is_sent_to_it_and_then_stops_in_order() -> None:
    [sidecar] = pod()["containers"]
    command, seconds = sidecar["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    assert pod()["terminationGracePeriodSeconds"] > int(seconds) + STOP_SECONDS


def test_disruptions_take_one_replica_at_a_time_and_replicas_are_spread() -> None:
    labels = only("Deployment")["spec"]["selector"]
    budget = only("PodDisruptionBudget")["spec"]
    assert (budget["maxUnavailable"], budget["selector"]) == (1, labels)
    spread = pod()["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert all(each["labelSelector"] == labels for each in spread)


def test_database_is_verified_and_its_password_is_a_secret() -> None:
    [sidecar] = pod()["containers"]
    environment = {each["name"]: each for each in sidecar["env"]}
    url = urlsplit(environment["SIDECAR_STORAGE_URL"]["value"])
    assert url.password is None
    assert parse_qs(url.query) == {"sslmode": ["verify-full"], "sslrootcert": ["/run/database/ca.pem"]}
    assert environment["PGPASSWORD"]["valueFrom"]["secretKeyRef"] == {"name": "sidecar-database", "key": "password"}
    [database] = [each for each in pod()["volumes"] if each["name"] == "database"]
    assert database["secret"]["items"] == [{"key": "ca.pem", "path": "ca.pem"}]
