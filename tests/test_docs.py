"""The pages are run: every Python block of README.md and docs/, as a script or as a test.

A block is padded to its own line of its page, so that tracebacks and mypy's errors name the line to look at.
Each is a process of its own, forked from one that has imported what they all import.
"""

import asyncio
import inspect
import os
import re
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec
import pytest

import trmm_async
from tests.engine_servers import redis_server
from tests.forked import Finished, forks
from tests.methods import methods
from trmm_async import TRMM, models
from trmm_async.answers import failure
from trmm_async.calls import Call, Replay, ignore_answer
from trmm_async.fleet import FleetRun
from trmm_async.resources.agent_stream import AgentStream
from trmm_async.resources.commands import CommandStream
from trmm_async.resources.live import ScriptStream
from trmm_async.retry import Again, Final, NoReply, Reply, RetryPolicy, Stage, Tries
from trmm_async.stream import Subscription
from trmm_async.testing import Simulator

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
    *sorted((ROOT / "docs").glob("*.md")),
]
LONGEST = 60.0
WIDEST = 120

FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
SETTING = re.compile(r"^\| `(\w+)` \| `([^`]+)` \|", re.MULTILINE)
SITE = "https://trmm-async.github.io/trmm-async/"
SOURCE = "https://github.com/trmm-async/trmm-async/blob/main/"
LEAK = re.compile(r"Exception ignored|Warning:|Traceback|never (?:retrieved|awaited)")


@dataclass(frozen=True)
class Block:
    """One Python block; `says` is the output that the page shows right behind it."""

    page: Path
    line: int
    words: str
    code: str
    says: str | None

    @property
    def where(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def name(self) -> str:
        return f"{self.page.stem.replace('-', '_').lower()}_{self.line}"

    @property
    def is_test(self) -> bool:
        return "async def test_" in self.code

    @property
    def is_run(self) -> bool:
        return "no-run" not in self.words

    @property
    def text(self) -> str:
        # Test functions are shown as people write them: without types for their fixtures.
        first = "# mypy: allow-untyped-defs" if self.is_test else ""
        return first + "\n" * self.line + self.code

    def write(self, folder: Path, prefix: str = "") -> Path:
        path = folder / f"{prefix}{self.name}.py"
        path.write_text(self.text)
        return path


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    fences = list(FENCE.finditer(text))
    for place, fence in enumerate(fences):
        if fence[1] not in {"python", "py"}:
            continue
        behind = fences[place + 1] if place + 1 < len(fences) else None
        shown = behind is not None and (behind[1], behind[2].strip()) == ("text", "output")
        line = text.count("\n", 0, fence.start()) + 1
        yield Block(page, line, fence[2], fence[3], behind[3] if behind is not None and shown else None)


BLOCKS = [block for page in PAGES for block in _blocks(page)]
SCRIPTS = [block for block in BLOCKS if block.is_run and not block.is_test]
TESTS = [block for block in BLOCKS if block.is_run and block.is_test]


def _named(blocks: list[Block]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", blocks, ids=lambda block: block.where)


def run(script: Path, **variables: str) -> Finished:
    return forks("package").run(str(script), cwd=script.parent, env={**os.environ, **variables})


@_named(SCRIPTS)
def test_a_block_runs_and_ends_by_itself(block: Block, tmp_path: Path) -> None:
    assert "asyncio.run(main())" in block.code, "a block is a whole script, or a test"
    # What people begin with is tried in asyncio's debug mode, too; it takes twice the time.
    variables = {"PYTHONASYNCIODEBUG": "1"} if block.page.name == "README.md" else {}
    done = run(block.write(tmp_path), **variables)
    assert done.returncode == 0, done.stderr
    assert not LEAK.search(done.stderr), done.stderr
    if block.says is not None:
        assert done.stdout == block.says


PYTEST = """
import sys, pytest
sys.exit(pytest.main({options!r}))
"""


def test_the_blocks_that_are_tests_pass(tmp_path: Path) -> None:
    """All in one run, since to begin one takes longer than they do."""
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
        # The plugins are: they were imported before the fork.
        "filterwarnings =\n    error\n    ignore:Module already imported:pytest.PytestAssertRewriteWarning\n"
    )
    files = [str(block.write(tmp_path, "test_")) for block in TESTS]
    options = ["-q", "--strict-markers", "-p", "no:cacheprovider", *files]
    (tmp_path / "run.py").write_text(PYTEST.format(options=options))
    done = run(tmp_path / "run.py")
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^(\d+) passed in ", done.stdout, re.MULTILINE)
    assert passed, done.stdout
    assert int(passed[1]) == sum(block.code.count("def test_") for block in TESTS), done.stdout


@_named(BLOCKS)
def test_a_block_compiles(block: Block) -> None:
    compile(block.text, block.where, "exec")


class TestLinks:
    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_lead_to_pages_and_headings_that_are_there(self, page: Path) -> None:
        links = LINK.findall(CODE.sub("", page.read_text()))
        assert [link for link in links if not _resolves(page, link)] == []

    def test_reach_every_page_from_the_index(self) -> None:
        index = ROOT / "docs" / "README.md"
        linked = {index.parent / link.partition("#")[0] for link in LINK.findall(index.read_text())}
        assert set((ROOT / "docs").glob("*.md")) - linked - {index} == set()


def _resolves(page: Path, link: str) -> bool:
    place, _, anchor = link.partition("#")
    if place.startswith(SITE):
        target = ROOT / "docs" / f"{place.removeprefix(SITE).rstrip('/') or 'README'}.md"
    elif place.startswith(SOURCE):
        target = ROOT / place.removeprefix(SOURCE)
    elif place.startswith(("https://", "mailto:")):
        return True
    else:
        target = page.parent / place if place else page
    return target.exists() and (not anchor or anchor in _anchors(target))


@cache
def _anchors(page: Path) -> frozenset[str]:
    """As GitHub makes them: lower case, no punctuation, hyphens for spaces."""
    headings = HEADING.findall(re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL))
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_fit(page: Path) -> None:
    lines = enumerate(page.read_text().splitlines(), 1)
    # A row of a table can't be broken.
    assert [number for number, line in lines if len(line) > WIDEST and not line.startswith("|")] == []


class TestCompleteness:
    TEXT = "\n".join(page.read_text() for page in PAGES)

    def test_every_public_name_is_on_a_page(self) -> None:
        assert {*trmm_async.__all__} - {*re.findall(r"\w+", self.TEXT)} == set()

    def test_every_method_of_the_client_and_its_nouns_is_on_a_page(self) -> None:
        assert {"trmm.events", "agents.stream_script", "fleet.run_script"} <= methods()
        assert [call for call in methods() if not re.search(rf"(?i)\b{re.escape(call)}\b", self.TEXT)] == []

    @pytest.mark.parametrize(
        "kind",
        [
            FleetRun,
            CommandStream,
            ScriptStream,
            Subscription,
            trmm_async.Selector,
            AgentStream,
            trmm_async.Counts,
            trmm_async.WebhookReceiver,
        ],
    )
    def test_every_property_of_what_they_hand_out_is_on_a_page(self, kind: type) -> None:
        assert [name for name in _public(kind) if not re.search(rf"\.{name}\b", self.TEXT)] == []

    def test_every_setting_is_in_the_table_with_its_default(self) -> None:
        table = dict(SETTING.findall((ROOT / "docs" / "client.md").read_text()))
        parameters = list(inspect.signature(TRMM).parameters.values())[2:]
        assert {each.name: repr(each.default).replace("'", '"') for each in parameters} == table

    def test_every_error_is_in_the_tree(self) -> None:
        page = (ROOT / "docs" / "limits-and-errors.md").read_text()
        errors = {name for name in trmm_async.__all__ if name.endswith("Error")}
        tree = next(fence[3] for fence in FENCE.finditer(page) if "TRMMError\n├" in fence[3])
        assert errors == set(re.findall(r"\w+Error\b", re.sub(r"\(.*?\)", "", tree)))

    def test_the_picture_of_the_house_has_the_floors_that_are_checked(self) -> None:
        contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
        page = (ROOT / "CONTRIBUTING.md").read_text()
        picture = next(fence[3] for fence in FENCE.finditer(page) if fence[2].strip() == "floors")
        drawn = [re.split(r" {2,}", line)[0] for line in picture.splitlines()]
        assert drawn == contracts[0]["layers"]

    def test_the_worked_example_of_an_endpoint_is_in_the_package(self) -> None:
        page = (ROOT / "CONTRIBUTING.md").read_text()
        example = next(fence[3] for fence in FENCE.finditer(page) if fence[2].strip() == "worked example")
        noun = (ROOT / "trmm_async" / "resources" / "stock" / "schedules.py").read_text()
        lines = [line for line in example.splitlines() if line and '"""' not in line]
        assert len(lines) == 5
        assert [line for line in lines if line not in noun] == []

    def test_every_command_of_the_pages_is_in_the_makefile(self) -> None:
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        commands = set(re.findall(r"`make ([a-z-]+)`", self.TEXT))
        assert {"demo", "test"} <= commands <= targets

    def test_every_field_of_an_answer_is_in_the_table(self) -> None:
        page = (ROOT / "docs" / "fields.md").read_text()
        rows = re.findall(r"^\| ((?:`[A-Z]\w+`(?:, )?)+) \| (.*) \|$", page, re.MULTILINE)
        kinds = {kind: set(re.findall(r"\w+", fields)) for names, fields in rows for kind in _ticked(names)}
        rooms = (models,)
        answers = {name for room in rooms for name in room.__all__ if name in trmm_async.__all__}
        answers |= {
            name
            for name in trmm_async.__all__
            if "resources.stock" in getattr(getattr(trmm_async, name), "__module__", "")
            or name
            in {"CheckDetails", "CheckHistoryPoint", "CheckOnAgent", "ScriptFile", "Task", "TaskOnAgent"}
        }
        assert set(kinds) == answers
        for name, words in kinds.items():
            fields = {field.name for field in msgspec.structs.fields(getattr(trmm_async, name))}
            assert fields - words - {"extra"} == set()


def _ticked(text: str) -> list[str]:
    return re.findall(r"`(\w+)`", text)


def _public(kind: type) -> list[str]:
    bases = (base for base in kind.__mro__ if base.__module__.startswith("trmm_async"))
    return [name for base in bases for name in vars(base) if not name.startswith("_")]


REPLAYS = (Replay.SAFE, Replay.IDEMPOTENT, Replay.NEVER)
HAPPENINGS: Mapping[str, Reply | NoReply] = {
    "it never reached the server": NoReply(Stage.NOT_SENT, "refused"),
    "429": Reply(429, {}, b""),
    "408, 460, 499": Reply(408, {}, b""),
    "502, 503, 504": Reply(503, {"retry-after": "1"}, b""),
    "500": Reply(500, {}, b""),
    "any other 5xx": Reply(501, {}, b""),
    "the connection broke": NoReply(Stage.LOST, "closed"),
    "sent, and no answer": NoReply(Stage.LATE, "late"),
    "success, with a body": NoReply(Stage.UNREADABLE, "no JSON", None, Reply(200, {}, b"<html>")),
    "3xx": Reply(302, {"location": "https://example.com/"}, b""),
    "101": Reply(101, {}, b""),
    "any other 4xx": Reply(409, {}, b""),
}


class TestTheTableOfRetries:
    PAGE = (ROOT / "docs" / "limits-and-errors.md").read_text()
    ROWS = re.findall(
        r"^\| (.+) \| (.+) \| (.+) \| (.+) \|$", PAGE.partition("what happened |")[2], re.MULTILINE
    )

    @pytest.mark.parametrize("row", ROWS[1:], ids=lambda row: row[0][:30])
    def test_says_what_the_policy_does(self, row: tuple[str, ...]) -> None:
        result = next(result for words, result in HAPPENINGS.items() if row[0].startswith(words))
        for replay, cell in zip(REPLAYS, row[1:], strict=True):
            again = Tries(replay, RetryPolicy()).judge(result, datetime.now(UTC))
            assert isinstance(again, Again) == cell.startswith("retried"), cell
            tries = Tries(replay, RetryPolicy(retries=0))
            final = tries.judge(result, datetime.now(UTC))
            assert isinstance(final, Final)
            call: Call[None] = Call(method="POST", path="/x/", decode=ignore_answer, replay=replay)
            error = failure(call, result, final.meaning, tries, str)
            assert _ticked(cell) in ([type(error).__name__], []), cell

    def test_has_a_row_for_everything(self) -> None:
        assert len(self.ROWS[1:]) == len(HAPPENINGS)


USAGE = Path(__file__).parent / "usage.md"
"""User code that must go on running as it is written: the public names are fixed by it."""
USAGE_BLOCKS = list(_blocks(USAGE))
FRAME = """
import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from trmm_async import TRMM, AgentOnline, Skipped
from trmm_async.testing import Simulator

def callback(observation): ...

url, key, agent_id = {url!r}, {key!r}, Simulator(agents=60).agent_ids[0]
told = AgentOnline(agent_id=agent_id), Skipped(agent_id, "offline")

async def main() -> None:
    async with TRMM(url, api_key=key, rate_limit=None, dialect={dialect!r}) as trmm:
        agents, place = await trmm.agents.list(), None
        agent, (event, outcome) = agents[0], told
{body}
asyncio.run(main())
"""

DATABASE = "postgresql://db.internal/trmm"
RELAYS = ("redis://bus.internal:6379/1", "redis://…")

REFUSED = """
from contextlib import contextmanager
from trmm_async import UnsupportedError

@contextmanager
def refused(*instead):
    try:
        yield
    except UnsupportedError as error:
        assert all(words in str(error) for words in instead), error
        print("refused", flush=True)
    else:
        raise AssertionError("it was not refused")
"""

WITHOUT_ON_STOCK = {
    "for alert in await trmm.alerts.list(): await trmm.alerts.acknowledge(alert.id); await":
        "for alert in await trmm.alerts.list():\n"
        "            with refused('use alerts.snooze(alert, days=…)', 'alerts.resolve(alert)'):\n"
        "                await trmm.alerts.acknowledge(alert.id)\n"
        "            await",
}  # fmt: skip
"""What a stock server can't do, of all that the page shows, and the same with a look at how it says so."""

WITHOUT_ON_GATEWAY = {
    **{
        f"outcomes = await trmm.fleet.{what}(agents": "with refused('use fleet.run_script('):\n"
        f"            await trmm.fleet.{what}(agents"
        for what in ("run_command", "run_code", "scan_patches")
    },
    'trmm.request_raw("GET", "/core/version/")': 'trmm.request_raw("GET", "/api/v3/clients/")',
    "await trmm.agents.reboot(agent, wait=600)": "with refused(): await trmm.agents.reboot(agent, wait=600)",
    "async with trmm.maintenance(": "with refused():\n    async with trmm.maintenance(",
}
"""The same of a gateway."""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@_named(USAGE_BLOCKS)
async def test_user_code_runs_as_it_is_written(
    block: Block, dialect: str, tmp_path: Path, stack: ExitStack, request: pytest.FixtureRequest
) -> None:
    simulator = Simulator(agents=60, rate_limit=None, script_seconds=0.01, dialect=dialect)
    async with simulator as server:
        server.raise_alert(server.agent_ids[0])
        code = _without(block.code, dialect)
        if DATABASE in code:
            code = code.replace(DATABASE, request.getfixturevalue("database"))
        if RELAYS[0] in code:
            store = stack.enter_context(redis_server(tmp_path))
            for relay in RELAYS:
                code = code.replace(f'"{relay}"', repr(store.url))
        script = tmp_path / "usage.py"
        script.write_text(_adapted(code, server))
        (tmp_path / "fix.ps1").write_text("exit 0")
        happening = _moving(server) if "trmm.mirror(" in code else _happenings(server, server.agent_ids[0])
        happenings = asyncio.create_task(happening)
        try:
            done = await asyncio.to_thread(run, script)
        finally:
            happenings.cancel()
        if happenings.done():
            happenings.result()
        assert done.returncode == 0, done.stderr
        assert not LEAK.search(done.stderr), done.stderr
        assert done.stdout.count("refused") == code.count("with refused("), done.stdout


@pytest.mark.parametrize("without", [WITHOUT_ON_STOCK, WITHOUT_ON_GATEWAY], ids=["stock", "gateway"])
def test_each_thing_that_a_server_has_not_is_in_the_page_once(without: Mapping[str, str]) -> None:
    code = "".join(block.code for block in USAGE_BLOCKS)
    assert [code.count(line) for line in without] == [1] * len(without)


def _without(code: str, dialect: str) -> str:
    for line, looked_at in (WITHOUT_ON_STOCK if dialect == "stock" else WITHOUT_ON_GATEWAY).items():
        code = code.replace(line, looked_at)
    return code


def _adapted(code: str, server: Simulator) -> str:
    """The code with a server's address, key, kind and ids, in what it needs round it to be run."""
    code = code.replace("https://api.example.com", server.url).replace("abc-uuid", server.agent_ids[0])
    kind = server.dialect
    # A client that this server has.
    code = code.replace("Acme", "Hermes Network Inc.")
    code = code.replace('dialect="gateway"', f"dialect={kind!r}")
    code = code.replace('api_key="..."', f"api_key={server.api_key!r}, dialect={kind!r}")
    code = code.replace("api_key=server.api_key)", f"api_key=server.api_key, dialect={kind!r})")
    client = next(iter(server.world.clients.values())).name
    code = code.replace('client="Acme"', f"client={client!r}")
    code = code.replace("Simulator(agents=200)", f"Simulator(agents=200, dialect={kind!r})")
    # Streams of events, and of changes, have no end of their own.
    code = code.replace("change.before, change.after)", "change.before, change.after); break")
    code = code.replace("await relay.run()", RELAYED).replace("in events: ...", "in events: break")
    last = LAST_EVENT[kind]
    code = code.replace(f"{last}: ...", f"{last}: break")
    if "asyncio.run(main())" not in code:
        if "async def test_mine" in code:
            code += "await test_mine()\n"
        body = textwrap.indent(code, " " * 8)
        code = FRAME.format(url=server.url, key=server.api_key, dialect=kind, body=body)
    return REFUSED + code


RELAYED = """running = asyncio.create_task(relay.run())
    while relay.written < 5: await asyncio.sleep(0.01)
    relay.stop(); await running"""

LAST_EVENT = {
    "gateway": "case UnknownEvent(action=name, raw=raw)",
    "stock": "case ScriptOutput(agent_id=who, output=text, done=done, exit_code=code)",
}


async def _moving(server: Simulator) -> None:
    """Each event, and each look at the agents, shows something new.

    On a stock server no agent is ever away: a script that is sent to it then is waited for long.
    """
    while True:
        await asyncio.sleep(0.4)
        server.raise_alert(server.agent_ids[1])
        server.add_agent(site=server.agents[1].site.id)
        if server.dialect == "gateway":
            server.go_offline(server.agent_ids[1])
            await asyncio.sleep(0.4)
            server.come_online(server.agent_ids[1])


async def _happenings(server: Simulator, agent_id: str) -> None:
    """Something of everything, for whoever subscribes to the agent."""
    if server.dialect == "stock":
        # The first look of a subscription is over: how late it is, and what has run since.
        looked = ["/alerts/", "/agents/scripthistory/", "/agents/scripthistory/"]
        while [one.path for one in server.requests if one.path in looked and one.status == 200] != looked:
            await asyncio.sleep(0.05)
        server.go_offline(agent_id)
        server.raise_alert(agent_id)
        server.add_history(agent_id, 1)
        return
    await server.wait_for_subscribers(agent_id, timeout=LONGEST)
    server.go_offline(agent_id)
    server.come_online(agent_id)
    server.raise_alert(agent_id)
    server.drop_events(agent_id)
    await server.wait_for_subscribers(agent_id, timeout=LONGEST)
    server.send_frame(agent_id, '{"action": "news"}')
