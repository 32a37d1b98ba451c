"""deploy/: each file is read as its tool reads it, and agrees with the configuration, the routes and the image."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from docs_page import ROOT, text_of
from process_kit import trace
from process_kit.running import COMMAND, START_SECONDS
from process_kit.service import Services, config

from sidecar import __version__
from sidecar.api.routes import ROUTES, Access
from sidecar.config import parse

DEPLOY = ROOT / "deploy"
CONFIG, DOCKERFILE = text_of("deploy/config.yaml"), text_of("Dockerfile")
UNIT_FILE = DEPLOY / "systemd" / "sidecar.service"
SECRETS = set(re.findall(r"_file: .*/(\w+)$", CONFIG, re.MULTILINE))
USER = 10001
STOP_SECONDS = 15
MANIFESTS = ("deployment.yaml", "sidecar-container.yaml", "replicas.yaml")
KUBERNETES = ("1.29", "1.37")
"""The oldest that runs sidecar containers without being asked to, and a present one."""
PROBES = {route.path for route in ROUTES if route.access is Access.PROBE}

every_manifest = pytest.mark.parametrize("manifest", MANIFESTS)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A folder with a file for each secret, as links, which is how Kubernetes mounts them."""
    (tmp_path / "..data").mkdir()
    for name in SECRETS:
        (tmp_path / "..data" / name).write_text(f"test-{name}-of-deploy\n")
        (tmp_path / name).symlink_to(Path("..data") / name)
    return tmp_path


def test_configuration_takes_every_secret_from_a_file(secrets: Path) -> None:
    assert {"api_key", "encryption_key", "client_secret", "developer_token"} == SECRETS
    parsed = parse(CONFIG, {"SIDECAR_SECRETS": str(secrets)})
    assert [key.get_secret_value() for key in parsed.server.api_keys] == ["test-api_key-of-deploy"]
    assert parsed.microsoft.client_secret.get_secret_value() == "test-client_secret-of-deploy"
    assert parsed.microsoft.environment == "production"


def test_configuration_has_no_variable_without_a_default() -> None:
    assert set(re.findall(r"\$\{([^}]*)\}", CONFIG)) == {
        "SIDECAR_HOST:-127.0.0.1",
        "SIDECAR_SECRETS:-/run/secrets",
        "SIDECAR_STORAGE_URL:-sqlite:///data/outbox.db",
    }


# --- Compose ---------------------------------------------------------------------------------------------------------

COMPOSE = yaml.safe_load(text_of("deploy/compose.yaml"))


def test_compose_gives_the_sidecar_its_files_and_time_to_stop() -> None:
    sidecar = COMPOSE["services"]["sidecar"]
    assert set(sidecar["secrets"]) == set(COMPOSE["secrets"]) == SECRETS
    assert {name: each["file"] for name, each in COMPOSE["secrets"].items()} == {
        name: f"./secrets/{name}" for name in SECRETS
    }
    assert sidecar["volumes"] == ["data:/data", "./config.yaml:/etc/sidecar/config.yaml:ro"]
    assert "VOLUME /data" in DOCKERFILE and "SIDECAR_CONFIG=/etc/sidecar/config.yaml" in DOCKERFILE
    assert int(sidecar["stop_grace_period"].removesuffix("s")) > STOP_SECONDS
    assert (DEPLOY / sidecar["build"]).resolve() == ROOT


def test_compose_limits_and_locks_both_containers() -> None:
    for service in COMPOSE["services"].values():
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_compose_shop_knows_address_and_key_and_runs_on_the_base_of_the_image() -> None:
    shop = COMPOSE["services"]["shop"]
    assert shop["environment"]["SIDECAR_URL"] == "http://sidecar:8077"
    assert shop["environment"]["SIDECAR_API_KEY_FILE"] == "/run/secrets/api_key"
    assert f"ARG BASE={shop['image']}\n" in DOCKERFILE
    assert shop["user"] == f"{USER}:{USER}"


# --- Kubernetes ------------------------------------------------------------------------------------------------------


def documents(manifest: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / manifest).read_text()))


def only(kind: str, manifest: str) -> Any:
    [found] = [each for each in documents(manifest) if each["kind"] == kind]
    return found


def pod(manifest: str) -> Any:
    kind = "StatefulSet" if manifest == "sidecar-container.yaml" else "Deployment"
    return only(kind, manifest)["spec"]["template"]["spec"]


def container(manifest: str) -> Any:
    spec = pod(manifest)
    [found] = [each for each in (*spec.get("initContainers", ()), *spec["containers"]) if each["name"] == "sidecar"]
    return found


@every_manifest
def test_strict_schemas_of_kubernetes_take_every_object(manifest: str) -> None:
    judge = pytest.importorskip("kubernetes_validate", reason="needed for this check: run `make test`")
    given = documents(manifest)
    for version in KUBERNETES:
        for each in given:
            judge.validate(each, version, strict=True)
    given[0]["metadata"]["lables"] = {}
    with pytest.raises(judge.ValidationError, match="lables"):
        judge.validate(given[0], KUBERNETES[0], strict=True)


@every_manifest
def test_config_map_holds_the_configuration_of_deploy(manifest: str) -> None:
    assert only("ConfigMap", manifest)["data"] == {"config.yaml": CONFIG}


@every_manifest
def test_probes_ask_calls_that_need_no_key_on_the_port_of_the_image(manifest: str) -> None:
    sidecar = container(manifest)
    probes = [sidecar[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")]
    assert [probe["path"] for probe in probes] == ["/livez", "/livez", "/readyz"]
    assert {probe["path"] for probe in probes} == PROBES
    [port] = sidecar["ports"]
    assert {probe["port"] for probe in probes} == {port["name"]}
    assert f"EXPOSE {port['containerPort']}\n" in DOCKERFILE
    assert sidecar["startupProbe"]["failureThreshold"] * sidecar["startupProbe"]["periodSeconds"] >= 60


@every_manifest
def test_pod_is_the_images_user_without_rights_and_may_stop_in_order(manifest: str) -> None:
    spec, sidecar = pod(manifest), container(manifest)
    user = spec["securityContext"]
    assert (user["runAsUser"], user["runAsGroup"], user["fsGroup"], user["runAsNonRoot"]) == (USER, USER, USER, True)
    assert f"USER {USER}:{USER}" in DOCKERFILE
    assert spec["terminationGracePeriodSeconds"] > STOP_SECONDS
    assert spec["automountServiceAccountToken"] is False
    assert sidecar["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert sidecar["resources"].keys() == {"requests", "limits"}


@every_manifest
def test_every_mount_has_its_volume_and_its_place_in_the_image(manifest: str) -> None:
    sidecar, spec = container(manifest), pod(manifest)
    mounts = {each["name"]: each["mountPath"] for each in sidecar["volumeMounts"]}
    outbox = {"database": "/run/database"} if manifest == "replicas.yaml" else {"data": "/data"}
    assert mounts == {**outbox, "config": "/etc/sidecar", "secrets": "/run/secrets"}
    claims = [each["metadata"]["name"] for each in only_spec(manifest).get("volumeClaimTemplates", ())]
    assert {*(each["name"] for each in spec["volumes"]), *claims} == set(mounts)


def only_spec(manifest: str) -> Any:
    return next(each["spec"] for each in documents(manifest) if each["kind"] in ("Deployment", "StatefulSet"))


def test_deployment_never_runs_two_sidecars_on_one_outbox() -> None:
    spec = only("Deployment", "deployment.yaml")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    claim = only("PersistentVolumeClaim", "deployment.yaml")
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    [data] = [each for each in pod("deployment.yaml")["volumes"] if each["name"] == "data"]
    assert data["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_sidecar_container_outlives_the_app_and_its_outbox_the_pod() -> None:
    spec = pod("sidecar-container.yaml")
    assert [each["restartPolicy"] for each in spec["initContainers"]] == ["Always"]
    [claim] = only_spec("sidecar-container.yaml")["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "data"
    [shop] = spec["containers"]
    assert {each["name"] for each in shop["env"]} == {"SIDECAR_URL", "SIDECAR_API_KEY"}
    assert shop["env"][1]["valueFrom"]["secretKeyRef"]["key"] in SECRETS


@every_manifest
def test_selectors_find_the_pods_they_mean(manifest: str) -> None:
    labels = only_spec(manifest)["template"]["metadata"]["labels"]
    assert only_spec(manifest)["selector"]["matchLabels"] == labels
    service = only("Service", manifest)["spec"]
    assert service["selector"] == labels
    assert [(port["port"], port["targetPort"]) for port in service["ports"]] == [(8077, "sidecar")]


# --- systemd ---------------------------------------------------------------------------------------------------------

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(
    ANALYZE is None, reason="systemd-analyze is needed for this check: install it (`apt-get install systemd`)"
)


def settings_of_unit(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT_FILE.read_text(), re.MULTILINE)


def analyzed(*arguments: str) -> str:
    assert ANALYZE is not None
    done = subprocess.run(
        [ANALYZE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT_FILE.name
    unit.write_text(UNIT_FILE.read_text().replace("/opt/sidecar/bin/sidecar", COMMAND))
    assert COMMAND in unit.read_text()
    assert analyzed("verify", str(unit)) == ""


@needs_systemd
def test_systemd_rates_the_unit_as_little_exposed() -> None:
    """Of 10, which is what a service without any of these settings gets; 2 is the most that is let pass here."""
    assert "Overall exposure level" in analyzed("security", "--offline=yes", "--threshold=20", str(UNIT_FILE))


def test_unit_gives_the_configuration_what_it_asks_for() -> None:
    assert dict(line.split(":") for line in settings_of_unit("LoadCredential")) == {
        name: f"/etc/sidecar/secrets/{name}" for name in SECRETS
    }
    environment = dict(line.split("=", 1) for line in settings_of_unit("Environment"))
    assert environment == {
        "SIDECAR_HOST": "127.0.0.1",
        "SIDECAR_STORAGE_URL": "sqlite:///%S/sidecar/outbox.db",
        "SIDECAR_SECRETS": "%d",
    }
    assert set(environment) == set(re.findall(r"\$\{(\w+)", CONFIG))
    assert settings_of_unit("StateDirectory") == ["sidecar"]


def test_unit_lets_it_stop_in_order_and_starts_no_broken_configuration_again() -> None:
    [stop] = settings_of_unit("TimeoutStopSec")
    assert int(stop) > STOP_SECONDS
    assert settings_of_unit("RestartPreventExitStatus") == ["2"]
    assert len(settings_of_unit("MemoryMax") + settings_of_unit("TasksMax") + settings_of_unit("LimitNOFILE")) == 3


def allowed_calls() -> set[str]:
    """The system calls that the unit's filters leave, by the groups of this machine's systemd."""
    found: set[str] = set()
    for line in settings_of_unit("SystemCallFilter"):
        calls = {call for group in line.lstrip("~").split() for call in calls_of(group)}
        found = found - calls if line.startswith("~") else found | calls
    return found


def calls_of(group: str) -> Iterator[str]:
    for line in analyzed("syscall-filter", group).splitlines()[1:]:
        name = line.strip()
        if name.startswith("@"):
            yield from calls_of(name)
        elif name and not name.startswith("#"):
            yield name


AT_THE_START = {"execve", "exit_group", "exit"}
"""What systemd lets every unit do."""

OF_ROOT = {"fchown"} if os.geteuid() == 0 else set()
"""SQLite gives new files to the owner of the database, as root only; the unit has a user of its own."""


@needs_systemd
async def test_sidecar_makes_only_system_calls_that_the_unit_allows(services: Services, tmp_path: Path) -> None:
    """From start to stop, with a conversion delivered. And no memory becomes executable: MemoryDenyWriteExecute."""
    strace = trace.strace()
    if strace is None:
        pytest.skip(trace.INSTALL)
    log = tmp_path / "calls"
    sidecar = await services.start(config(None), before=[str(strace), "-D", "-f", "-e", "signal=none", "-o", str(log)])
    assert (await sidecar.post({"event": "purchase", "order_id": "A", "value": 1, "msclkid": "a" * 32})).status == 202
    await sidecar.settled(60)
    sidecar.running.signal(signal.SIGTERM)
    assert await sidecar.running.ended(60) == 0
    lines = await trace.whole(log, sidecar.running.pid)
    calls = {found[1] for line in lines if (found := re.match(r"\d+\s+(\w+)\(", line))}
    assert {"openat", "fdatasync", "accept4", "connect"} <= calls
    assert calls - allowed_calls() - AT_THE_START - OF_ROOT == set()
    executable = [line for line in lines if re.search(r" mprotect\(.*PROT_EXEC|PROT_WRITE\|PROT_EXEC", line)]
    assert executable == []


# --- The sample app --------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def shop_open(sidecar: str, key_file: Path, log: Path) -> AsyncIterator[str]:
    """The sample app beside a sidecar; gives its address."""
    environment = {"PORT": "0", "SIDECAR_URL": sidecar, "SIDECAR_API_KEY_FILE": str(key_file)}
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, DEPLOY / "sample-app" / "shop.py"), env={**os.environ, **environment}, stdout=out
        )
    try:
        async with asyncio.timeout(START_SECONDS):
            while not (found := re.search(r"open on port (\d+)", log.read_text())):
                await asyncio.sleep(0.02)
        yield f"http://127.0.0.1:{found[1]}"
    finally:
        process.kill()
        await process.wait()


async def test_sample_app_sells_and_its_conversion_is_delivered(services: Services, tmp_path: Path) -> None:
    key = tmp_path / "api_key"
    key.write_text("test-key-of-the-shop\n")
    sidecar = await services.start(config(None, server={"port": 0, "api_keys_file": str(key)}))
    sidecar.key = "test-key-of-the-shop"
    landed = {"Referer": f"http://shop.example/?msclkid={'b' * 32}"}
    async with (
        shop_open(sidecar.url, key, tmp_path / "shop.log") as shop,
        aiohttp.ClientSession() as visitor,
    ):
        async with visitor.get(shop) as page:
            assert "Buy" in await page.text()
        async with visitor.post(shop, headers=landed) as page:
            [order_id] = re.findall(r"SHOP-[\w-]+\w", await page.text())
        async with asyncio.timeout(START_SECONDS):
            while not (rows := await sidecar.rows(order_id=order_id, state="delivered")):
                await asyncio.sleep(0.1)
    assert [(row["value"], row["currency"], row["matched_by"]) for row in rows] == [
        (99.99, "USD", ["msclkid", "email"])
    ]


# --- The pages -------------------------------------------------------------------------------------------------------


def test_every_file_names_this_version() -> None:
    files = [path for path in DEPLOY.rglob("*") if path.suffix in (".yaml", ".service")]
    named = {found for path in files for found in re.findall(r"image: sidecar:(\S+)", path.read_text())}
    wheels = re.findall(r"msads_sidecar-([\d.]+)-py3", text_of("docs/docker.md") + text_of("docs/quickstart.md"))
    assert named | set(wheels) == {__version__}


def test_page_makes_each_secret_for_each_way_to_deploy() -> None:
    page = text_of("docs/docker.md")
    for heading, folder in (("With Compose", "secrets"), ("With systemd", "/etc/sidecar/secrets")):
        section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        assert set(re.findall(rf"install -m 0400 .*/dev/stdin {folder}/(\w+)", section)) == SECRETS


def test_unit_is_installed_where_the_page_says() -> None:
    section = text_of("docs/docker.md").partition("\n## With systemd\n")[2]
    [start] = settings_of_unit("ExecStart")
    program, *_, config_file = start.split()
    assert program == "/opt/sidecar/bin/sidecar" and "python3 -m venv /opt/sidecar" in section
    assert f"deploy/config.yaml {config_file}" in section
    [user] = settings_of_unit("User")
    assert re.search(rf"useradd --system .* {user}$", section, re.MULTILINE)
