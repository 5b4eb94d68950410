"""The synchronous client: complete, typed, and clean at its edges. The server runs in a thread of its own."""

import ast
import asyncio
import functools
import gc
import inspect
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import trmm_async
from tests.cli.stage import Backstage
from tests.each import for_each
from tests.servers import DIALECTS
from tools.sync_stub import PLACE, Stub
from trmm_async import (
    AgentOffline,
    AlertEvent,
    ClosedError,
    Done,
    Event,
    InvalidRequestError,
    NotFoundError,
    StreamSettings,
)
from trmm_async.sync import TRMM
from trmm_async.sync.facade import LEFT_OUT, facade_of, is_live, plain_name

LONGEST = 30.0
EAGER = StreamSettings(poll_interval=0.05, poll_share=1.0)


class Served(Backstage):
    """A simulator in a thread of its own, and synchronous clients of it."""

    def __init__(self, dialect: str, **world: Any) -> None:
        settings = {"rate_limit": None, "deployment_rate_limit": None, "agents": 6} | world
        super().__init__(dialect=dialect, **settings)

    def client(self, **settings: Any) -> TRMM:
        unlimited = {"rate_limit": None, "deployment_rate_limit": None, "dialect": self.server.dialect}
        return TRMM(self.url, api_key=self.api_key, **(unlimited | settings))

    @property
    def agent_ids(self) -> list[str]:
        return list(self.server.agent_ids)


@pytest.fixture(scope="module", params=DIALECTS)
def server(request: pytest.FixtureRequest) -> Iterator[Served]:
    with Served(request.param, script_seconds=(0.001, 0.01)) as one:
        yield one


@pytest.fixture
def trmm(server: Served) -> Iterator[TRMM]:
    with server.client() as one:
        yield one


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    until(lambda: [one for one in threading.enumerate() if one.name.startswith("trmm_async")] == [])


def inside(facade: Any, name: str = "_it") -> Any:
    """What stands behind it, which is nobody's business but a test's."""
    return getattr(facade, name)


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + LONGEST
    while not holds():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.005)


# -- complete, and typed -------------------------------------------------------------------------------------


@functools.cache
def written_anew() -> tuple[str, list[type]]:
    """The stub as it is due, and each class that stands in it."""
    stub = Stub()
    return stub.text(), list(stub._found.values())


def test_the_stub_is_what_the_tool_writes() -> None:
    """`python -m tools.sync_stub` writes it anew."""
    written, due = ast.parse(PLACE.read_text()), ast.parse(written_anew()[0])
    assert ast.dump(written) == ast.dump(due), "run: python -m tools.sync_stub"


def test_all_that_a_client_gives_out_has_a_facade() -> None:
    names = {kind.__name__ for kind in written_anew()[1]}
    nouns = {
        type(value).__name__
        for name, value in vars(trmm_async.TRMM("https://x.example", api_key="k")).items()
        if is_live(type(value)) and not name.startswith("_")
    }
    assert nouns <= names
    assert {"FleetRun", "Subscription", "Consumer", "Handler", "Mirror", "Changes", "Maintenance"} <= names
    assert {"Selector", "AgentStream", "ScriptStream", "CommandStream", "AuditStream"} <= names


def test_a_facade_has_every_public_name_with_its_signature() -> None:
    stubs = {one.name: one for one in ast.parse(PLACE.read_text()).body if isinstance(one, ast.ClassDef)}
    for_each(written_anew()[1], lambda kind: _is_facade(kind, stubs[kind.__name__]))


def _is_facade(kind: type, stub: ast.ClassDef) -> None:
    facade = TRMM if kind is trmm_async.TRMM else facade_of(kind)
    told = {one.name for one in stub.body if isinstance(one, ast.FunctionDef)}
    for base in kind.__mro__:
        for name, member in vars(base).items():
            if name.startswith("_") or not base.__module__.startswith("trmm_async."):
                continue
            if not isinstance(member, property | classmethod) and not inspect.isfunction(member):
                continue
            plain = plain_name(name)
            assert hasattr(facade, plain)
            assert plain in told
            ours = inspect.getattr_static(facade, plain)
            assert not inspect.iscoroutinefunction(ours)
            if inspect.isfunction(member) and kind is not trmm_async.TRMM:
                left_out = LEFT_OUT.get((kind.__name__, name), ())
                kept = [one for one in inspect.signature(member).parameters if one not in left_out]
                assert list(inspect.signature(ours).parameters) == kept
                assert ours.__doc__ == member.__doc__


def test_the_settings_are_those_of_the_client() -> None:
    ours = set(inspect.signature(TRMM).parameters)
    assert ours == set(inspect.signature(trmm_async.TRMM).parameters) - {"session"}


# -- what it does --------------------------------------------------------------------------------------------


def test_calls_wait_and_return_what_they_do(trmm: TRMM, server: Served) -> None:
    agents = trmm.agents.list()
    assert [agent.agent_id for agent in agents] == server.agent_ids
    assert trmm.agents.get(agents[0]).hostname == agents[0].hostname
    found = trmm.agents.find(agents[1].hostname)
    assert found is not None
    assert found.agent_id == agents[1].agent_id
    assert trmm.clients.list()
    assert trmm.stats.sent >= 4
    assert trmm.dialect == server.server.dialect
    assert trmm.url == server.url


def test_a_list_is_iterated(trmm: TRMM, server: Served) -> None:
    with trmm.agents.iter() as stream:
        assert [agent.agent_id for agent in stream] == server.agent_ids
    with trmm.agents.iter() as stream:
        assert next(iter(stream)).agent_id == server.agent_ids[0]


def test_a_selector_is_a_value(trmm: TRMM, server: Served) -> None:
    first = trmm.agents.list()[0]
    chosen = trmm.agents.select(hostname=first.hostname)
    assert chosen.list() == [first]
    (outcome,) = trmm.fleet.run_script(chosen, script=1).wait()
    assert outcome.agent_id == first.agent_id
    with server.client() as other, pytest.raises(InvalidRequestError, match="belongs to another client"):
        other.fleet.run_script(chosen, script=1)


def test_a_run_is_iterated_or_waited_for(trmm: TRMM, server: Served) -> None:
    with trmm.fleet.run_script(iter(server.agent_ids), script=1, timeout=5) as run:
        assert {outcome.agent_id for outcome in run if isinstance(outcome, Done)} == {*server.agent_ids}
    assert run.counts.done == len(server.agent_ids)
    assert [
        one.agent_id for one in trmm.fleet.run_script(server.agent_ids, script=1).wait()
    ] == server.agent_ids


def test_a_run_goes_on_with_its_journal(trmm: TRMM, server: Served, tmp_path: Path) -> None:
    trmm.fleet.run_script(server.agent_ids, script=1, journal=tmp_path / "run.db").wait()
    assert len(trmm.fleet.resume(tmp_path / "run.db").wait()) == len(server.agent_ids)


def test_map_calls_a_function_that_may_use_the_client(trmm: TRMM, server: Served) -> None:
    def hosts(agent_id: str) -> tuple[str, int]:
        return trmm.agents.get(agent_id).hostname, len(trmm.checks.list(agent=agent_id))

    outcomes = trmm.fleet.map(server.agent_ids, hosts, width=3).wait()
    assert all(isinstance(one, Done) and one.result[0] for one in outcomes)
    direct = trmm.fleet.map(server.agent_ids, trmm.agents.get).wait()
    assert all(isinstance(one, Done) for one in direct)


def test_map_knows_what_was_sent_by_a_call_that_failed(trmm: TRMM, server: Served) -> None:
    def change(agent_id: str) -> None:
        trmm.clients.list()
        if agent_id == server.agent_ids[0]:
            trmm.clients.create(name="Acme by map")
        raise NotFoundError(404, "mine", method="GET", path="/")

    first, second = trmm.fleet.map(server.agent_ids[:2], change).wait()
    assert (type(first).__name__, type(second).__name__) == ("Unknown", "Failed")


def test_events_are_a_plain_iterator(trmm: TRMM, server: Served) -> None:
    who = server.agent_ids[0]
    with trmm.events(server.agent_ids[1:], settings=EAGER) as events:
        events.add(who).wait()
        server.do(lambda one: one.raise_alert(who, severity="error", message="full"))
        event = next(event for event in events if isinstance(event, AlertEvent))
        assert (event.agent_id, event.alert.message) == (who, "full")
        assert events.state[who] == "live"
        assert events.position
    with pytest.raises(ClosedError):
        next(events)


def test_a_handler_is_called_in_a_thread_where_it_may_use_the_client(trmm: TRMM, server: Served) -> None:
    who, seen = server.agent_ids[2], []

    def call(event: AlertEvent) -> None:
        seen.append((event.alert.message, trmm.agents.get(event.agent_id).agent_id))

    with trmm.events(who, settings=EAGER) as events:
        handler = events.on(AlertEvent, call)
        server.do(lambda one: one.raise_alert(who, severity="error", message="hot"))
        until(lambda: seen)
        assert (handler.calls, handler.errors) == (1, 0)
        handler.remove()
    assert seen == [("hot", who)]


def test_a_mirror_is_a_mapping_of_one_moment(trmm: TRMM, server: Served) -> None:
    with trmm.mirror() as mirror:
        assert set(mirror) == {*server.agent_ids}
        assert len(mirror) == len(mirror.values()) == len(dict(mirror.items()))
        who = server.agent_ids[3]
        assert mirror[who].agent_id == who
        assert who in mirror
        assert mirror.get("nobody") is None
        assert mirror.fresh
        with mirror.changes() as changes:
            server.do(lambda one: one.go_offline(who))
            if server.server.dialect == "gateway":
                mirror.wait_until(lambda now: now[who].status == "offline", timeout=LONGEST)
                change = next(changes)
                assert (change.agent_id, change.after and change.after.status) == (who, "offline")
        with pytest.raises(KeyError):
            mirror["nobody"]
    server.do(lambda one: one.come_online(who))


def test_a_file_is_downloaded_with_progress(trmm: TRMM, server: Served, tmp_path: Path) -> None:
    client = trmm.clients.list()[0]
    expires = datetime.now(UTC) + timedelta(days=1)
    deployment = trmm.deployments.create(client=client, site=client.sites[0], expires=expires, arch="amd64")
    told: list[int] = []
    path = trmm.deployments.download(deployment, tmp_path, progress=lambda done, total: told.append(done))
    assert path.stat().st_size == told[-1]


def test_a_view_has_its_own_settings_and_no_end(trmm: TRMM) -> None:
    view = trmm.with_options(retries=0)
    assert isinstance(view, TRMM)
    assert view.clients.list() == trmm.clients.list()
    with pytest.raises(InvalidRequestError, match="can't be entered or closed"):
        view.close()
    with pytest.raises(InvalidRequestError, match="can't be entered or closed"), view:
        pass
    assert trmm.clients.list()


def test_attributes_are_read_and_set(trmm: TRMM) -> None:
    trmm.fleet.poll = 3.0
    assert trmm.fleet.poll == 3.0
    assert "poll" in dir(trmm.fleet)
    with pytest.raises(AttributeError, match="'Fleet' object has no attribute 'pol'"):
        trmm.fleet.pol = 3.0  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="'TRMM' object has no attribute 'agent'"):
        _ = trmm.agent  # type: ignore[attr-defined]


def test_maintenance_is_a_block() -> None:
    with Served("stock") as server, server.client() as trmm:
        with trmm.maintenance(*server.agent_ids[:2]):
            assert [one.maintenance_mode for one in trmm.agents.list()].count(True) == 2
        assert not any(one.maintenance_mode for one in trmm.agents.list())


# -- where it is used ----------------------------------------------------------------------------------------


def test_it_works_where_a_loop_runs_already(server: Served) -> None:
    async def cell() -> int:
        with server.client() as trmm:
            return len(trmm.agents.list())

    assert asyncio.run(cell()) == len(server.agent_ids)


def test_several_threads_share_one(trmm: TRMM, server: Served) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(trmm.agents.list()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONGEST)
    assert found == [len(server.agent_ids)] * 8


def test_a_function_in_the_middle_of_the_work_is_refused_and_does_not_hang(trmm: TRMM) -> None:
    said: list[str] = []

    def nested(_: object) -> None:
        try:
            trmm.clients.list()
        except InvalidRequestError as error:
            said.append(str(error))

    detach = trmm.observe(nested)
    trmm.clients.list()
    detach()
    assert "can't wait for it" in said[0]


def test_what_a_call_raises_is_the_clients_own_and_short_to_read(trmm: TRMM) -> None:
    with pytest.raises(NotFoundError) as caught:
        trmm.agents.get("NoSuchAgentIsOnThisServerAtAllNoSuchAgent")
    frames = [Path(one.filename).name for one in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[:4] == ["test_sync.py", "facade.py", "facade.py", "portal.py"]
    assert frames.count("portal.py") == 2
    with pytest.raises(TypeError, match=r"get\(\): missing a required argument: 'agent'"):
        trmm.agents.get()  # type: ignore[call-arg]


def test_no_password_stands_in_the_frames_of_an_error(trmm: TRMM) -> None:
    with pytest.raises(trmm_async.TRMMError) as caught:
        trmm.login("nobody", "Passw0rd-31337")
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    own = [one for one in shown.stack if "trmm_async/sync" in one.filename or one.name == "login"]
    assert own
    assert "31337" not in "".join(str(one.locals) for one in own)


# -- the edges -----------------------------------------------------------------------------------------------


def interrupt_when(holds: Callable[[], object]) -> threading.Thread:
    """Ctrl-C for the main thread, as soon as this holds."""

    def wait() -> None:
        until(holds)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


class TestCtrlC:
    def test_cancels_the_call_that_waits(self, trmm: TRMM, server: Served) -> None:
        server.do(lambda one: one.slow("GET", "/scripts/", seconds=LONGEST))
        seen: list[Any] = []
        detach = trmm.observe(seen.append)
        thread = interrupt_when(lambda: inside(trmm).stats.in_flight == 1)
        with pytest.raises(KeyboardInterrupt):
            trmm.scripts.list()
        thread.join()
        detach()
        assert [type(one.error) for one in seen if isinstance(one, trmm_async.CallEnded)] == [
            asyncio.CancelledError
        ]
        assert trmm.stats.in_flight == 0
        server.do(lambda one: one.clear_faults())
        assert trmm.clients.list()

    def test_loses_no_event(self, trmm: TRMM, server: Served) -> None:
        who = server.agent_ids[4]
        with trmm.events(who, settings=EAGER) as events:
            thread = interrupt_when(lambda: inside(events)._mailbox._reader is not None)
            with pytest.raises(KeyboardInterrupt):
                next(events)
            thread.join()
            server.do(lambda one: one.raise_alert(who, severity="error", message="later"))
            event: Event = next(one for one in events if isinstance(one, AlertEvent))
            assert event.agent_id == who


class TestTheEnd:
    def test_of_a_block_ends_the_thread_and_the_calls_of_other_threads(self, server: Served) -> None:
        ended: list[BaseException] = []
        with server.client() as trmm:
            with trmm.events(server.agent_ids[0], settings=EAGER) as events:

                def read() -> None:
                    try:
                        for _ in events:
                            pass
                    except ClosedError as error:
                        ended.append(error)

                thread = threading.Thread(target=read)
                thread.start()
                until(lambda: inside(events)._mailbox._reader is not None)
        thread.join(LONGEST)
        assert len(ended) == 1
        trmm.close()
        with pytest.raises(ClosedError, match="the client is closed"):
            trmm.clients.list()

    def test_of_the_last_reference_ends_the_thread(self, server: Served) -> None:
        trmm: TRMM | None = server.client()
        assert trmm is not None
        agents = trmm.agents
        trmm = None
        assert agents.list()
        assert any(one.name == "trmm_async: sync" for one in threading.enumerate())
        del agents
        gc.collect()

    def test_of_a_program_leaves_nothing(self, server: Served) -> None:
        program = (
            "import logging\n"
            # On a busy machine a turn of the loop may take long, which asyncio then tells.
            "logging.getLogger('asyncio').setLevel(logging.ERROR)\n"
            "from trmm_async.sync import TRMM\n"
            f"trmm = TRMM({server.url!r}, api_key={server.api_key!r},"
            f" dialect={server.server.dialect!r}, rate_limit=None)\n"
            "print(len(trmm.agents.list()))\n"
        )
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", "-c", program],
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        assert (done.stdout, done.stderr, done.returncode) == (f"{len(server.agent_ids)}\n", "", 0)

    def test_that_cannot_be_reached_from_a_fork_says_so(self, trmm: TRMM) -> None:
        inside(trmm, "_portal")._process += 1
        try:
            with pytest.raises(ClosedError, match="made in another process"):
                trmm.clients.list()
        finally:
            inside(trmm, "_portal")._process -= 1

    def test_a_wrong_setting_leaves_no_thread(self) -> None:
        with pytest.raises(InvalidRequestError, match="timeout"):
            TRMM("https://rmm.example.com", api_key="key", timeout=0)
        with pytest.raises(InvalidRequestError, match="session is not supported by trmm_async"):
            TRMM("https://rmm.example.com", api_key="key", session=object())  # type: ignore[call-arg]


def test_a_key_may_be_asked_for_in_a_thread(server: Served) -> None:
    asked: list[str] = []

    def ask() -> str:
        asked.append(threading.current_thread().name)
        return server.api_key

    with TRMM(server.url, api_key=ask, dialect=server.server.dialect) as trmm:  # type: ignore[arg-type]
        assert trmm.clients.list()
    assert asked == ["trmm_async: a callback"]


def test_it_is_made_by_the_environment(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRMM_URL", server.url)
    monkeypatch.setenv("TRMM_API_KEY", server.api_key)
    monkeypatch.setenv("TRMM_DIALECT", server.server.dialect)
    with TRMM.from_env() as trmm:
        assert trmm.agents.list()


def test_offline_is_waited_for(trmm: TRMM, server: Served) -> None:
    who = server.agent_ids[5]
    with trmm.events(who, settings=EAGER) as events:
        server.do(lambda one: one.go_offline(who))
        assert isinstance(next(one for one in events if isinstance(one, AgentOffline)), AgentOffline)
