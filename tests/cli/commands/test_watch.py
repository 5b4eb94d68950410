"""What `trmm watch` says of the time that it had."""

import asyncio

import pytest

from trmm_async.cli.commands.watch import _until


async def closed_late() -> None:
    """Fail, and take long to clean up, as with a client that is closed then."""
    try:
        raise LookupError
    finally:
        await asyncio.sleep(60)


async def test_what_was_not_seen_is_said_wherever_the_time_is_over(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with _until(limit := asyncio.timeout(0), lambda: "nothing was watched"):
        async with limit:
            await closed_late()
    assert capsys.readouterr().err == "nothing was watched when the time was over\n"


async def test_a_time_of_somebody_else_is_an_error() -> None:
    with pytest.raises(TimeoutError), _until(asyncio.timeout(60)):
        raise TimeoutError
