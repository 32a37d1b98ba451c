"""What is fetched to build, run and test the sidecar is pinned by hash or digest, and audited."""

import re
import tomllib
from pathlib import Path

import pytest
from docs_page import ROOT, text_of

DOCKERFILE, MAKEFILE = text_of("Dockerfile"), text_of("Makefile")
PROJECT = tomllib.loads(text_of("pyproject.toml"))
LOCKED = sorted((ROOT / "requirements").glob("*.txt"))
COMMANDS = [
    command
    for text in (DOCKERFILE, MAKEFILE)
    for line in text.replace("\\\n", " ").splitlines()
    if not line.startswith("#")
    for command in re.split(r"&&|;", line)
    if re.search(r"(\bpip\b|\$\(PIP\)).* (install|wheel|download)\b", command)
]


def pins(path: Path) -> dict[str, list[str]]:
    """The hashes of each requirement of a locked file."""
    text = re.sub(r"^ *#.*$", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return {line.split()[0]: re.findall(r"--hash=sha256:([0-9a-f]{64})\b", line) for line in text.splitlines() if line}


def test_something_is_installed() -> None:
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", COMMANDS)
def test_each_installed_package_has_a_hash_and_is_a_wheel_or_built_here(command: str) -> None:
    by_hash = "--require-hashes" in command and "--only-binary :all:" in command and "-r requirements/" in command
    from_here = "--no-index" in command and "--no-deps" in command
    assert by_hash or from_here
    builds = re.search(r"(wheel|--editable) .*\.\s*$|wheel-dir", command)
    assert not builds or "--no-build-isolation" in command


def test_packages_built_from_source_are_named_and_built_with_locked_tools() -> None:
    (sources,) = re.findall(r"^SOURCES := (.*)$", MAKEFILE, flags=re.MULTILINE)
    assert sources == "--no-binary msads --no-build-isolation"
    assert "$(SOURCES)" not in DOCKERFILE
    assert "msads" not in {requirement.split("==")[0] for requirement in pins(ROOT / "requirements" / "run.txt")}


@pytest.mark.parametrize("path", LOCKED, ids=[path.name for path in LOCKED])
def test_every_locked_version_has_its_hashes(path: Path) -> None:
    found = pins(path)
    assert found
    for requirement, hashes in found.items():
        assert re.fullmatch(r"[a-z0-9-]+==[\w.+!]+", requirement), requirement
        assert hashes, requirement


def test_image_and_tests_run_what_is_locked_to_run() -> None:
    run, image, tests = (pins(ROOT / "requirements" / f"{name}.txt") for name in ("run", "postgres", "test"))
    assert run.items() <= image.items() <= tests.items()
    assert {requirement.split("==")[0] for requirement in image.keys() - run.keys()} == {"psycopg", "psycopg-binary"}


def test_what_builds_the_package_is_locked() -> None:
    named = {re.split(r"[<>=!~ ]", requirement)[0] for requirement in PROJECT["build-system"]["requires"]}
    assert {requirement.split("==")[0] for requirement in pins(ROOT / "requirements" / "build.txt")} >= named


def test_both_stages_of_the_image_start_from_one_base_by_digest() -> None:
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE) == ["${BASE}", "${BASE}"]
    (base,) = re.findall(r"^ARG BASE=(.*)$", DOCKERFILE, flags=re.MULTILINE)
    assert re.fullmatch(r"[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}", base)


def test_the_audit_covers_every_locked_file_and_the_base_image() -> None:
    rule = MAKEFILE[MAKEFILE.index("\naudit:") : MAKEFILE.index("\nSTRICT ?=")]
    assert {f"requirements/{path.name}" for path in LOCKED} == set(re.findall(r"requirements/\w+\.txt", rule))
    assert "audit-base" in rule.splitlines()[1]
    assert "s/^ARG BASE=//p" in MAKEFILE


def test_the_lock_makes_every_locked_file() -> None:
    rule = MAKEFILE[MAKEFILE.index("\nlock:") : MAKEFILE.index("\nLOCK :=")]
    extras = re.search(r"for extra in ([a-z ]+);", rule)
    assert extras
    made = set(re.findall(r"requirements/(\w+)\.txt", rule)) | set(extras[1].split())
    assert made >= {path.stem for path in LOCKED}
