"""The pytest fixtures, for asynchronous tests under pytest-asyncio in strict or auto mode.

Below: `simulator.py` and, for `trmm` only, the package itself, by its public name; both are imported when a
test asks for them. Above: `plugin.py`, which registers this module.
"""

from __future__ import annotations

from inspect import isasyncgenfunction, iscoroutinefunction, unwrap
from typing import TYPE_CHECKING, Final

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from trmm_async import TRMM

    from .simulator import Simulator
    from .throttle import Rate

__all__ = ["trmm", "trmm_simulator"]

NAMES: Final = frozenset(__all__)


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
    """Fail a test that would wait for ever for its first answer."""
    function = getattr(request.node, "function", None)
    if function is None or pytest_asyncio.is_async_test(request.node) or iscoroutinefunction(function):
        return
    known: Mapping[str, Sequence[pytest.FixtureDef[object]]] = request.node._fixtureinfo.name2fixturedefs  # noqa: SLF001 - told nowhere else
    # Those of its arguments, of `usefixtures`, and those that each test has by itself (`autouse`).
    found = _reached(request.node._fixtureinfo.initialnames, known)  # noqa: SLF001 - told nowhere else
    if found is None and not known.keys() & NAMES:
        found = request.fixturename  # by request.getfixturevalue(), which only what is synchronous can call
    if found is not None:
        pytest.fail(
            f"the fixture {found!r} answers asynchronous tests only: write `async def "
            f"{function.__name__}`, or run `python -m trmm_async.testing` beside a synchronous test",
            pytrace=False,
        )


def _reached(names: Iterable[str], known: Mapping[str, Sequence[pytest.FixtureDef[object]]]) -> str | None:
    """The one of the two that is reached without a fixture between that can wait for answers itself."""
    seen: set[str] = set()
    ahead = list(names)
    while ahead:
        name = ahead.pop()
        if name in NAMES:
            return name
        if name not in seen and name in known:
            seen.add(name)
            made = known[name][-1]
            if not _is_asynchronous(unwrap(made.func)):
                ahead += made.argnames
    return None


def _is_asynchronous(function: object) -> bool:
    return iscoroutinefunction(function) or isasyncgenfunction(function)


@pytest_asyncio.fixture
async def trmm(trmm_simulator: Simulator) -> AsyncIterator[TRMM]:
    """A `trmm_async.TRMM` connected to `trmm_simulator` with its key, told its dialect and limits."""
    import trmm_async  # noqa: PLC0415 - as above

    def limit(rate: Rate | None) -> trmm_async.RateLimit | None:
        return None if rate is None else trmm_async.RateLimit(rate[0], per=rate[1])

    async with trmm_async.TRMM(
        trmm_simulator.url,
        api_key=trmm_simulator.api_key,
        # Told, and not found out: a test may count the requests.
        dialect="stock" if trmm_simulator.dialect == "stock" else "gateway",
        rate_limit=limit(trmm_simulator.limits.requests),
        deployment_rate_limit=limit(trmm_simulator.limits.deployments),
    ) as client:
        yield client
