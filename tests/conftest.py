"""What every test is held to: it leaves no task behind."""

import asyncio
import gc
import logging
import os
import shlex
import signal
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.clock import SkippingLoops
from tests.forked import SUITE, end_all, forks, shared_folder
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
    max_examples=many(60),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    derandomize="CI" in os.environ,
)
settings.load_profile("trmm_async")


# Three million objects are made until all tests are collected, and stay: each look for garbage would walk
# them all.
gc.disable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("numprocesses", None):
        shared_folder()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: Sequence[Any]) -> None:
    # Half of the time until a worker has collected all tests goes into loading them, which one process does.
    # One that is measured starts by itself.
    is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if is_whole and not any(name.startswith("COVERAGE_") for name in os.environ):
        for spec in specs:
            # What execnet has Python run, too, where it starts one.
            spec.python = shlex.join(forks(SUITE).command("import sys;exec(eval(sys.stdin.readline()))"))


def pytest_unconfigure() -> None:
    end_all()


# Hooks, since a fixture that every test has costs each of them as much as an empty test does.
@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    value = yield
    if isinstance(value, asyncio.Runner):
        # When all other fixtures of the test are gone, and its loop is not.
        fixturedef.addfinalizer(partial(no_task_is_left, value))
    return value


def no_task_is_left(runner: asyncio.Runner) -> None:
    if asyncio.all_tasks(runner.get_loop()):
        runner.run(asyncio.sleep(0))  # what was cancelled last ends now
        left = asyncio.all_tasks(runner.get_loop())
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
