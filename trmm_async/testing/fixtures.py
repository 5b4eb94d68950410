"""The pytest fixtures, for asynchronous tests under pytest-asyncio in strict or auto mode.

Below: `simulator.py` and, for `trmm` only, the package itself, by its public name; both are imported when a
test asks for them. Above: `plugin.py`, which registers this module.
"""

from __future__ import annotations

from inspect import iscoroutinefunction, signature
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trmm_async import TRMM

    from .simulator import Simulator
    from .throttle import Rate

__all__ = ["trmm", "trmm_simulator"]


@pytest_asyncio.fixture
async def trmm_simulator(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
    """A `trmm_async.testing.Simulator` with 20 agents, running in the test's event loop.

    `@pytest.mark.trmm(agents=50, rate_limit=None)` sets what its constructor takes; of several markers on a
    test, its class and its module, the nearest one to the test wins setting by setting.

    It is for asynchronous tests: while a synchronous one runs, the loop that would answer it stands still.
    """
    _check_asynchronous(request)
    from .simulator import Simulator  # noqa: PLC0415 - this module is loaded in runs that never use it

    settings: dict[str, object] = {}
    for marker in request.node.iter_markers("trmm"):
        settings = {**marker.kwargs, **settings}
    async with Simulator(**settings) as server:  # type: ignore[arg-type]
        yield server


def _check_asynchronous(request: pytest.FixtureRequest) -> None:
    """Fail a test that takes one of the fixtures itself and would wait for ever for its first answer."""
    function = getattr(request.node, "function", None)
    if function is None or pytest_asyncio.is_async_test(request.node) or iscoroutinefunction(function):
        return
    for name in ("trmm_simulator", "trmm"):
        if name in signature(function).parameters:
            pytest.fail(
                f"the fixture {name!r} answers asynchronous tests only: write `async def "
                f"{function.__name__}`, or run `python -m trmm_async.testing` beside a synchronous test",
                pytrace=False,
            )


@pytest_asyncio.fixture
async def trmm(trmm_simulator: Simulator) -> AsyncIterator[TRMM]:
    """A `trmm_async.TRMM` connected to `trmm_simulator` with its key, told of its rate limits."""
    import trmm_async  # noqa: PLC0415 - as above

    def limit(rate: Rate | None) -> trmm_async.RateLimit | None:
        return None if rate is None else trmm_async.RateLimit(rate[0], per=rate[1])

    async with trmm_async.TRMM(
        trmm_simulator.url,
        api_key=trmm_simulator.api_key,
        rate_limit=limit(trmm_simulator.limits.requests),
        deployment_rate_limit=limit(trmm_simulator.limits.deployments),
    ) as client:
        yield client
