"""What every test is held to: it leaves no task behind."""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.clock import SkippingLoops
from tests.forked import end_all
from tests.logs import Log
from tests.peer import KEY
from tests.postgres import PostgresServer, postgres_server
from tests.properties import many
from tests.servers import DIALECTS

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's job in the background ignores Ctrl-C, and so would the programs that tests stop by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

asyncio.set_event_loop_policy(SkippingLoops())

# How long an example takes says how busy the machine is, and no more.
settings.register_profile(
    "trmm_async",
    max_examples=many(100),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    derandomize="CI" in os.environ,
)
settings.load_profile("trmm_async")


def pytest_collection_finish() -> None:
    # Three million objects that stay: each look for garbage, of which tests make many, would walk them all.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def no_fork_is_left() -> Iterator[None]:
    yield
    end_all()


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> None:
    """Set up before all other fixtures of an asynchronous test, so torn down after them."""
    if request.node.get_closest_marker("asyncio") is not None:
        request.getfixturevalue("no_task_is_left")


@pytest.fixture
async def no_task_is_left() -> AsyncIterator[None]:
    yield
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks left behind: {left}"


@pytest.fixture
def nothing_is_odd(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No answer was odd to the codec, which would have read it slowly, and logged that."""
    yield
    assert [one.getMessage() for one in caplog.get_records("call") if one.name == "trmm_async.codec"] == []


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    """Each of the languages: a test that takes it runs on a gateway and on a stock server."""
    return str(request.param)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, for all tests of this process that need one. Who kills it starts it again."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """The URL of an empty database in it."""
    url = postgres.database()
    yield url
    postgres.give_back(url)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[Log]:
    """All that is logged, in which the key of `tests.peer` never stands."""
    caplog.set_level(logging.DEBUG, "trmm_async")
    yield Log(caplog)
    assert KEY not in caplog.text
