"""The pytest fixtures, for asynchronous tests under pytest-asyncio in strict or auto mode.

Below: `simulator.py` and, for `trmm` only, the package itself, by its public name; both are imported when a
test asks for them. Above: `plugin.py`, which registers this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from trmm_async import TRMM

    from .simulator import Simulator
    from .throttle import Rate

__all__ = ["trmm", "trmm_simulator"]


@pytest_asyncio.fixture
async def trmm_simulator(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
    """A `trmm_async.testing.Simulator` with 20 agents, running in the test's event loop.

    `@pytest.mark.trmm(agents=50, rate_limit=None)` sets what its constructor takes; of several markers on a
    test, its class and its module, the nearest one to the test wins setting by setting.
    """
    from .simulator import Simulator  # noqa: PLC0415 - this module is loaded in runs that never use it

    settings: dict[str, object] = {}
    for marker in request.node.iter_markers("trmm"):
        settings = {**marker.kwargs, **settings}
    async with Simulator(**settings) as server:  # type: ignore[arg-type]
        yield server


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
