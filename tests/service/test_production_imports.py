"""What a sidecar that sends to Microsoft need not have in memory."""

import asyncio
import sys

NOT_NEEDED = {
    "cryptography": "seals the refresh token, where storage.encryption_key is set",
    "pygments": "rich brings it",
    "rich": "structlog draws tracebacks with it, where some other package has brought it",
    "sidecar.emulator.server": "the stand-in for Microsoft",
    "structlog": "writes log lines for people, where logging.format is console",
}
"""Modules and packages with what they are for."""


async def test_service_does_not_load_what_it_does_not_use() -> None:
    code = "import sys, sidecar.cli.run, sidecar.service.app; print(*sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    loaded = (await process.communicate())[0].decode().split()
    assert "sidecar.service.app" in loaded
    assert NOT_NEEDED.keys() & loaded == set()
