"""The plugin in pytest runs of its own, with and without pytest-asyncio."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.forked import forks

ROOT = Path(__file__).parents[2]

# Stands in for the client, so that what the fixture hands to it is seen.
CLIENT = """
    import trmm_async

    class RateLimit:
        def __init__(self, requests, *, per):
            self.requests, self.per = requests, per

    class TRMM:
        def __init__(self, url, *, api_key, dialect, rate_limit, deployment_rate_limit):
            self.url, self.api_key, self.dialect = url, api_key, dialect
            self.rate_limit, self.deployment_rate_limit = rate_limit, deployment_rate_limit

        async def __aenter__(self):
            self.entered = True
            return self

        async def __aexit__(self, *error):
            print("client closed")

    trmm_async.TRMM, trmm_async.RateLimit = TRMM, RateLimit
"""


def run(folder: Path, test: str, *options: str, conftest: str = "", fresh: bool = False) -> tuple[int, str]:
    """Run one test file in a pytest of its own, with this plugin and what the options name.

    With `fresh`, in an interpreter of its own, too.
    """
    (folder / "test_it.py").write_text(textwrap.dedent(test))
    (folder / "conftest.py").write_text(textwrap.dedent(conftest))
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    words = ["-p", "trmm_async.testing.plugin", "-p", "no:cacheprovider", "--strict-markers", "-W", "error"]
    if fresh:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *words, *options, str(folder)],
            cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    else:
        # The plugins are: they were imported before the fork.
        words += ["-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"]
        done = forks("package").run("pytest", [*words, *options, str(folder)], cwd=folder, env=environment)
    return done.returncode, done.stdout + done.stderr


def passed(outcome: tuple[int, str], count: int) -> None:
    code, out = outcome
    assert code == 0, out
    assert re.search(rf"\b{count} passed", out), out


MODES = [("auto", ""), ("strict", "@pytest.mark.asyncio")]
ASYNCIO = ("-p", "asyncio", "-o", "asyncio_default_fixture_loop_scope=function", "-o")
AUTO = (*ASYNCIO, "asyncio_mode=auto")


@pytest.mark.parametrize(("mode", "mark"), MODES)
def test_the_simulator_is_a_fixture(mode: str, mark: str, tmp_path: Path) -> None:
    test = f"""
        import aiohttp, pytest

        {mark}
        async def test_it(trmm_simulator):
            assert len(trmm_simulator.agents) == 20
            url = trmm_simulator.url + "/api/v3/agents/"
            headers = {{"X-API-KEY": trmm_simulator.api_key}}
            async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
                assert response.status == 200
    """
    passed(run(tmp_path, test, *ASYNCIO, f"asyncio_mode={mode}"), 1)


@pytest.mark.parametrize(("mode", "mark"), MODES)
def test_the_client_is_a_fixture(mode: str, mark: str, tmp_path: Path) -> None:
    test = f"""
        import pytest
        from trmm_async import TRMM

        {mark}
        @pytest.mark.trmm(agents=3, rate_limit=None, script_seconds=0)
        async def test_it(trmm, trmm_simulator):
            assert isinstance(trmm, TRMM)
            agents = await trmm.agents.list()
            assert [agent.agent_id for agent in agents] == trmm_simulator.agent_ids
            result = await trmm.agents.run_script(agents[0].agent_id, script=1)
            assert result.stdout == trmm_simulator.runs[0].stdout
    """
    passed(run(tmp_path, test, *ASYNCIO, f"asyncio_mode={mode}"), 1)


@pytest.mark.parametrize(("mode", "mark"), MODES)
def test_the_client_is_told_the_limits_and_the_dialect_and_closed(
    mode: str, mark: str, tmp_path: Path
) -> None:
    test = f"""
        import pytest

        {mark}
        async def test_it(trmm, trmm_simulator):
            assert trmm.entered
            assert (trmm.url, trmm.api_key) == (trmm_simulator.url, trmm_simulator.api_key)
            assert trmm.dialect == "gateway"
            assert (trmm.rate_limit.requests, trmm.rate_limit.per) == (100, 60.0)
            assert (trmm.deployment_rate_limit.requests, trmm.deployment_rate_limit.per) == (20, 60.0)

        {mark}
        @pytest.mark.trmm(rate_limit=None, dialect="stock")
        async def test_without_a_limit(trmm):
            assert (trmm.rate_limit, trmm.dialect) == (None, "stock")
    """
    outcome = run(tmp_path, test, "-s", *ASYNCIO, f"asyncio_mode={mode}", conftest=CLIENT)
    passed(outcome, 2)
    assert outcome[1].count("client closed") == 2


def test_the_marker_nearest_to_the_test_wins_setting_by_setting(tmp_path: Path) -> None:
    test = """
        import pytest

        pytestmark = pytest.mark.trmm(agents=3, seed=5, rate_limit=(7, 1.0))

        async def test_module(trmm_simulator):
            assert (len(trmm_simulator.agents), trmm_simulator.world.seed) == (3, 5)

        @pytest.mark.trmm(seed=6)
        class TestClass:
            @pytest.mark.trmm(agents=4, prefix="/rmm")
            async def test_method(self, trmm_simulator):
                assert (len(trmm_simulator.agents), trmm_simulator.world.seed) == (4, 6)
                assert trmm_simulator.limits.requests == (7, 1.0)
                assert trmm_simulator.url.endswith("/rmm")
    """
    passed(run(tmp_path, test, *AUTO), 2)


@pytest.mark.parametrize("name", ["asyncio", "pytest_asyncio.plugin"])
def test_pytest_asyncio_is_known_by_both_its_names(name: str, tmp_path: Path) -> None:
    test = "async def test_it(trmm_simulator): assert trmm_simulator.agents"
    options = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
    passed(run(tmp_path, test, "-p", name, *options), 1)


def test_every_test_has_a_simulator_of_its_own(tmp_path: Path) -> None:
    test = """
        async def test_one(trmm_simulator):
            trmm_simulator.raise_alert(trmm_simulator.agent_ids[0])

        async def test_other(trmm_simulator):
            assert not trmm_simulator.world.alerts
    """
    passed(run(tmp_path, test, *AUTO), 2)


@pytest.mark.parametrize("fixture", ["trmm_simulator", "trmm"])
def test_without_pytest_asyncio_the_fixtures_say_so_in_one_line(fixture: str, tmp_path: Path) -> None:
    code, out = run(tmp_path, f"def test_it({fixture}): pass\n\ndef test_other(): pass")
    assert code == 1
    assert f"the fixture '{fixture}' needs pytest-asyncio: pip install pytest-asyncio" in out
    assert "Traceback" not in out
    assert "1 passed, 1 error" in out


@pytest.mark.parametrize("fixture", ["trmm_simulator", "trmm"])
def test_a_synchronous_test_fails_at_once_and_says_why(fixture: str, tmp_path: Path) -> None:
    test = f"""
        import urllib.request

        def test_it({fixture}):
            urllib.request.urlopen({fixture}.url)  # nobody would ever answer

        class TestIt:
            def test_it(self, {fixture}, {"trmm" if fixture != "trmm" else "trmm_simulator"}):
                urllib.request.urlopen({fixture}.url)
    """
    code, out = run(tmp_path, test, *AUTO)
    assert code == 1
    assert "answers asynchronous tests only: write `async def test_it`" in out
    assert "Traceback" not in out
    assert "2 errors" in out


def test_a_synchronous_test_fails_at_once_whatever_leads_to_the_fixture(tmp_path: Path) -> None:
    test = """
        import pytest

        @pytest.fixture
        def server(trmm_simulator):
            trmm_simulator.go_offline(trmm_simulator.agent_ids[0])
            return trmm_simulator

        @pytest.fixture
        def url(server):
            yield server.url

        def test_fixtures(url): pass

        def test_by_name(request):
            request.getfixturevalue("trmm")

        class TestClass:
            @pytest.fixture
            def client(self, trmm): return trmm

            def test_method(self, client): pass

        @pytest.mark.usefixtures("url")
        def test_mark(): pass

        class TestEach:
            @pytest.fixture(autouse=True)
            def each(self, trmm): pass

            def test_autouse(self): pass

        async def test_asynchronous(url):
            assert url
    """
    code, out = run(tmp_path, test, *AUTO)
    assert code == 1
    for word in ("fixtures", "by_name", "method", "mark", "autouse"):
        assert f"answers asynchronous tests only: write `async def test_{word}`" in out
    assert "1 passed" in out


def test_what_an_asynchronous_fixture_has_read_is_for_synchronous_tests_too(tmp_path: Path) -> None:
    test = """
        import pytest
        import pytest_asyncio
        from hypothesis import HealthCheck, given, settings, strategies

        @pytest_asyncio.fixture
        async def agents(trmm, small):
            return await trmm.agents.list()

        @pytest.fixture
        def small(trmm_simulator):
            trmm_simulator.go_offline(trmm_simulator.agent_ids[0])

        def test_it(agents):
            assert sum(agent.status == "online" for agent in agents) < len(agents) == 20

        @settings(suppress_health_check=list(HealthCheck), max_examples=2, deadline=None)
        @given(strategies.integers())
        async def test_a_property(trmm_simulator, number):
            assert trmm_simulator.agents
    """
    passed(run(tmp_path, test, *AUTO), 2)


def test_whoever_does_not_use_it_pays_nothing_for_it(tmp_path: Path) -> None:
    test = """
        import sys

        def test_it():
            assert not {"aiohttp", "msgspec", "websockets", "trmm_async.testing.simulator"} & set(sys.modules)
    """
    passed(run(tmp_path, test, fresh=True), 1)
    passed(run(tmp_path, test, *AUTO, fresh=True), 1)


def test_the_marker_and_the_fixtures_are_documented(tmp_path: Path) -> None:
    assert "@pytest.mark.trmm(**settings)" in run(tmp_path, "", "--markers")[1]
    _, fixtures = run(tmp_path, "", "--fixtures", *AUTO)
    assert "`trmm_async.testing.Simulator` with 20 agents" in fixtures
    assert "`trmm_async.TRMM` connected" in fixtures
