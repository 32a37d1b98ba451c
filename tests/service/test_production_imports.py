"""What a sidecar that sends to Microsoft need not have in memory."""

import asyncio
import sys


async def test_service_does_not_load_the_emulator_that_it_does_not_run() -> None:
    code = "import sys, sidecar.service.app; print('sidecar.emulator.server' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert (await process.communicate())[0].split() == [b"False"]
