"""schemathesis, an outside judge, calls the running service by /openapi.json, in and out of what it allows."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import judge_hooks
import pytest
from docs_page import ROOT
from process_kit.service import Services, config

from sidecar.api.openapi import document

JUDGE = Path(sys.executable).with_name("st")
RULES = ROOT / "tests" / "kits" / "judge.toml"
OPERATIONS = sum(len(item) for path, item in document()["paths"].items() if path != "/openapi.json")
"""schemathesis reads the document by that one."""

EXAMPLES, MANY_EXAMPLES = 6, 500
"""Generated calls of each operation, beside those that the document's limits and examples lead to."""


async def judged(folder: Path, document: str | Path, *options: str) -> tuple[int, str]:
    """The exit code and the report of a run of schemathesis by the document at an address or in a file."""
    process = await asyncio.create_subprocess_exec(
        JUDGE,
        *("--config-file", RULES, "run", document),
        *("--suppress-health-check", "all", "--warnings", "off", *options),
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "judge_hooks", "PYTHONPATH": str(RULES.parent)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode()


@pytest.mark.timeout(900)  # more than a thousand calls, beside other tests
async def test_outside_judge_finds_nothing(services: Services, tmp_path: Path) -> None:
    """The same calls each time: valid ones are accepted, others refused, and answers are as described."""
    sidecar = await services.start(config(None))
    code, report = await judged(
        tmp_path, f"{sidecar.url}/openapi.json", "--max-examples", str(EXAMPLES), "--generation-deterministic"
    )
    assert code == 0, report
    assert re.search(rf"Tested: {OPERATIONS}\b", report), report
    generated = re.search(r"(\d+) generated, (\d+) passed", report)
    assert generated and int(generated[1]) > 1_000, report


@pytest.mark.faults
@pytest.mark.timeout(3600)
async def test_outside_judge_finds_nothing_in_a_long_trial(services: Services, tmp_path: Path) -> None:
    sidecar = await services.start(config(None))
    code, report = await judged(tmp_path, f"{sidecar.url}/openapi.json", "--max-examples", str(MANY_EXAMPLES))
    assert code == 0, report


async def test_judge_finds_an_answer_that_is_not_as_described(services: Services, tmp_path: Path) -> None:
    sidecar = await services.start(config(None))
    told = await sidecar.get("/openapi.json")
    answers = told["paths"]["/livez"]["get"]["responses"]
    answers["200"] = {"description": "", "content": {"application/json": {"schema": {"type": "array"}}}}
    told["paths"] = {"/livez": told["paths"]["/livez"]}
    other = tmp_path / "other.json"
    other.write_text(json.dumps(told))
    code, report = await judged(tmp_path, other, "--url", sidecar.url)
    assert code != 0
    assert "Response violates schema" in report


def test_each_code_that_the_judge_lets_pass_is_on_the_api_page() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    assert [code for code in judge_hooks.CANNOT_BE_TOLD if f"`{code}`" not in page] == []
