"""docs/emulator.md has a whole script for a pipeline: it is run as it stands, but for the ports."""

import asyncio
import contextlib
import os
import signal
import textwrap
import time
from pathlib import Path
from typing import Any

from cli_kit import free_port
from docs_page import blocks, text_of
from process_kit.running import COMMAND

from sidecar.config import parse

SECONDS = 240.0


async def test_script_for_a_pipeline_does_what_it_says(tmp_path: Path) -> None:
    """The settings make waits short; a throttle and a lost answer double nothing; the refund arrives."""
    (script,) = [content for _, language, content in blocks(text_of("docs/emulator.md")) if language == "sh"]
    emulator, service = free_port(), free_port()
    script = script.replace("8443", str(emulator)).replace("127.0.0.1:8077", f"127.0.0.1:{service}")
    whole = script.replace("storage: {url", f"server: {{port: {service}}}\nstorage: {{url")
    assert whole.count(str(service)) == 2
    path = f"{Path(COMMAND).parent}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", whole),
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, err = (text.decode() for text in await process.communicate())
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, err
    assert out.count(": delivered") == 2
    assert '"seen": 2' in out
    assert '"changed": 0' in out and '"changed": 1' not in out
    assert '"adjusted_value": "60' in out or '"adjusted_value": 60' in out


async def test_program_of_the_page_starts_an_emulator_that_its_configuration_leads_to(tmp_path: Path) -> None:
    """The lines of the page, in a function, since they await."""
    page = text_of("docs/emulator.md")
    (program,) = [content for _, language, content in blocks(page) if language == "python"]
    (settings,) = [content for _, language, content in blocks(page) if language == "yaml"]
    imports, _, body = program.partition("\noptions")
    seen = "\n        found.append((emulator.url, str(emulator.ca_pem)))\n"
    found: list[tuple[str, str]] = []
    names: dict[str, Any] = {"time": time, "found": found}
    exec(f"{imports}\nasync def shown():\n{textwrap.indent('options' + body, '    ')}{seen}", names)
    await names["shown"]()
    [(url, certificate)] = found
    (tmp_path / "ca.pem").write_text(certificate)
    there = settings.replace("ca.pem", str(tmp_path / "ca.pem")).replace("https://127.0.0.1:8443", url)
    assert parse(there, {}).microsoft.endpoints.given() == {
        "campaign": url,
        "customer": url,
        "authority": f"{url}/common",
    }
