"""Every error is one line on stderr that says what to do, with its exit code. No traceback, no key."""

import pickle
import re
from pathlib import Path

import pytest

import trmm_async as sdk
from tests.cli.conftest import Cli
from tests.cli.stage import Backstage, Said, in_shell, program
from trmm_async.cli.commands.explain import names, page
from trmm_async.cli.exits import CommandError, Exit, guarded

WHERE = {"method": "GET", "path": "/x/"}
ERRORS: list[tuple[Exception, int, str]] = [
    (sdk.InvalidRequestError("client must be an id"), 2, "client must be an id"),
    (sdk.BadRequestError(400, "bad name", **WHERE), 4, "the server refuses: GET /x/: 400: bad name"),
    (sdk.AmbiguousNameError("PC", ["a", "b"]), 2, "2 agents are named 'PC', give the id: a, b"),
    (sdk.UnknownNameError("PC", "agent"), 2, "there is no agent 'PC'"),
    (sdk.UnsupportedError("not here"), 4, "not here"),
    (
        sdk.IncompleteError({"abc": sdk.ServerError(500, "oops")}),
        1,
        "1 agents could not be asked: abc (500: oops)",
    ),
    (sdk.ClosedError("closed"), 1, "closed"),
    (sdk.ConnectionFailedError("refused", **WHERE), 1, "no answer from the server; `trmm doctor`"),
    (sdk.TimeoutError("late", **WHERE), 1, "no answer in time; `trmm doctor`"),
    (sdk.OutcomeUnknownError("lost", **WHERE), 3, "look before you repeat it. POST"),
    (sdk.ServerFaultError(502, "bad gateway", **WHERE), 3, "look before you repeat it."),
    (sdk.AgentSilentError("abc", "offline", 3.0), 3, "look before you repeat it."),
    (sdk.UnidentifiedError("which?"), 3, "look before you repeat it. which?"),
    (sdk.AgentLostError(200, "timeout", **WHERE), 3, "look before you repeat it."),
    (sdk.AuthenticationError(401, "Invalid", **WHERE), 4, "the API key is refused: `trmm login`"),
    (
        sdk.PermissionDeniedError(403, "no", **WHERE),
        4,
        "not allowed; `trmm doctor` tells what the key may do.",
    ),
    (sdk.NotFoundError(404, "Not found.", **WHERE), 1, "the server has no such thing: "),
    (sdk.AgentUnreachableError(200, "natsdown", **WHERE), 1, "GET /x/: 200: natsdown"),
    (sdk.RateLimitedError(429, "slow down", **WHERE), 4, "wait a minute."),
    (sdk.ServerError(500, "oops", **WHERE), 1, "GET /x/: 500: oops"),
    (sdk.RedirectedError(302, "moved", **WHERE), 1, "GET /x/: 302: moved"),
    (sdk.DecodeError(200, "no JSON", body="<html>\n<p>", **WHERE), 1, "the body begins"),
    (sdk.JournalError("no journal x"), 1, "no journal x"),
    (sdk.KeySourceError("the keyring can't be read"), 1, "the keyring can't be read"),
    (sdk.LimiterUnavailableError("no store: nothing was sent"), 4, "no store: nothing was sent"),
    (sdk.RecordedError("TimeoutError", "late"), 1, "late"),
    (OSError(28, "No space left on device"), 1, "No space left on device"),
    (CommandError(Exit.REFUSED, "not done"), 4, "not done"),
    (sdk.ConfigError("it is wrong", file="policies/x.yaml", line=2), 2, "policies/x.yaml:2: it is wrong"),
    (sdk.ApplyStoppedError("+ policy 'X' failed"), 1, "stopped: + policy 'X' failed; nothing was changed"),
    (sdk.HalfDoneError("the client was made, its site was not", [7]), 1, "half done: the client was made"),
    (sdk.StillInMaintenanceError({"a": sdk.ClosedError("x")}), 1, "still in maintenance mode: a (x)"),
    (ModuleNotFoundError("no", name="rich.text"), 1, 'rich is missing: pip install "trmm-async[cli]"'),
    (ModuleNotFoundError("no", name="statistics"), 1, "a bug of ours: ModuleNotFoundError"),
    (KeyError("a\nbug"), 1, "a bug of ours: KeyError: "),
    (KeyboardInterrupt(), 130, "interrupted"),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("error", "code", "says"), ERRORS, ids=lambda value: type(value).__name__)
def test_each_kind(error: BaseException, code: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise error

    assert guarded(work, debug=False) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("trmm: ")
    assert says.removesuffix(" POST") in captured.err


def test_every_public_error_was_looked_at() -> None:
    kinds = {type(error).__name__ for error, _, _ in ERRORS}
    public = {name for name in sdk.__all__ if name.endswith("Error")}
    assert public - kinds == {"TRMMError", "APIError"}


def test_every_public_error_has_a_page_and_names_it() -> None:
    public = {name for name in sdk.__all__ if name.endswith("Error")}
    assert set(names()) >= public
    for name in names():
        head, summary, *parts = page(name).split("\n\n")
        assert head == f"# {name}"
        assert summary.endswith(".")
        assert [part for part in parts if part.startswith("## ")] == ["## What happened", "## What now"]
    for error, _, _ in ERRORS:
        if isinstance(error, sdk.TRMMError):
            assert error.__notes__ == [f"What happened, what now: trmm explain {type(error).__name__}"]


def test_an_error_of_a_user_names_the_page_of_what_it_is() -> None:
    class MineError(sdk.NotFoundError):
        pass

    assert MineError(404, "gone").__notes__ == ["What happened, what now: trmm explain NotFoundError"]
    copied = pickle.loads(pickle.dumps(sdk.NotFoundError(404, "gone")))
    assert copied.__notes__ == sdk.NotFoundError(404, "gone").__notes__


def test_a_page_is_found_whatever_way_it_is_typed(cli: Cli) -> None:
    asked = ["RateLimitedError", "ratelimited", "rate-limited", "trmm_async.RateLimitedError"]
    told = [cli("explain", name) for name in asked]
    assert {said.out for said in told} == {page("RateLimitedError")}
    assert "## What now" in told[0].out


def test_all_pages_are_listed(cli: Cli) -> None:
    said = cli("explain")
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()[1:]] == names()


def test_a_page_that_is_not_there(cli: Cli) -> None:
    said = cli("explain", "RateLimetedError")
    assert (said.code, said.out) == (2, "")
    assert "did you mean 'RateLimitedError'?" in said.error


def test_a_traceback_is_shown_to_those_who_ask(cli: Cli, gateway: Backstage) -> None:
    for words in (["--debug", "agent", "nobody"], ["agent", "nobody", "--debug"]):
        said = cli(*words)
        assert said.code == 2
        assert "Traceback (most recent call last)" in said.error
        assert said.error.splitlines()[-1] == "trmm: there is no agent 'nobody'"
    assert "Traceback" not in cli("agent", "nobody", "--", "--debug").error


@pytest.mark.parametrize(
    ("words", "says"),
    [
        # The words between are typer's, and not the same in each version.
        (["agents", "--limit", "-1"], "Invalid value for '--limit': "),
        (["agents", "--limit", "-1"], "0. See: trmm agents list --help"),
        (["nonsense"], "No such command 'nonsense'. See: trmm --help"),
        (["agents", "--nonsense"], "No such option: --nonsense"),
        (["agents", "list", "extra"], "unexpected extra argument"),
        (["agent"], "Missing argument 'AGENT'. See: trmm agent --help"),
        (["agents", "--json", "--jsonl"], "--json and --jsonl are two formats: choose one"),
        (["agents", "--kind", "toaster"], "--kind is server or workstation, not 'toaster'"),
        (["agents", "--kind", "severs"], "not 'severs'; did you mean 'server'?"),
        (
            ["agents", "--status", "onlin"],
            "--status is online, offline or overdue, not 'onlin'; did you mean 'online'",
        ),
        (["agents", "--status", ""], "--status is online, offline or overdue, not ''"),
        (["agents", "--hostname", " "], "--hostname is a pattern"),
        (["agents", "--sort", "last_sen"], "did you mean 'last_seen'?"),
        (
            ["checks", "--result", "fail"],
            "--result is passing, failing or pending, not 'fail'; did you mean 'failing'?",
        ),
        (["alerts", "--severity", "critical"], "not 'critical'; did you mean 'error'?"),
        (["alerts", "--severity", "purple"], "--severity is error, warning or info, not 'purple'"),
        (["agents", "--status", "Down"], "not 'Down'; did you mean 'offline' or 'overdue'?"),
        (["alerts", "--severity", "warn"], "did you mean 'warning'?"),
        (["deploy", "create", "--client", "34", "--site", "41", "--arch", "amd46"], "did you mean 'amd64'"),
        (
            ["deploy", "create", "--client", "34", "--site", "41", "--kind", "x"],
            "--kind is server or workstation",
        ),
        (["deploy", "create", "--client", "34", "--site", "41", "--expires", "999999w"], "5200w at most"),
        (["run", "1", "--all", "--when-online", "999999w"], "5200w at most"),
        (["watch", "--for", "-1"], "--for is a number of seconds above 0, not -1"),
        (["watch", "--for", "nan"], "--for is a number of seconds above 0, not nan"),
        (["resume", "x.db", "--retry", "faild"], "did you mean 'failed'?"),
        (["simulator", "--port", "70000"], "--port"),
        (["simulator", "--dialect", "x"], "auto, gateway or stock, not 'x'"),
        (["agents", "--client", "nobody"], "there is no client 'nobody'"),
        (["agents", "--rate-limit", "many"], "the rate limit is COUNT/SECONDS as 100/60, or none"),
        (["agents", "--dialect", "french"], "auto, gateway or stock"),
        (["agents", "--url", "gopher://x"], "url"),
        (["run", "1"], "on which agents?"),
        (["run", "nothing", "--all"], "there is no script 'nothing'"),
        (["run", "1", "--all", "--env", "x"], "--env is NAME=VALUE"),
        (["run", "1", "--all", "--timeout", "301"], "--timeout"),
        (["alerts", "resolve", "x"], "ID"),
        (["profiles", "use", "nobody"], "there is no profile 'nobody'"),
    ],
)
def test_what_is_used_wrongly(
    cli: Cli, gateway: Backstage, words: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "--url" in words:
        monkeypatch.delenv("TRMM_URL")
    said = cli(*words)
    assert (said.code, said.out) == (2, "")
    assert said.error.count("\n") == 1
    assert says in said.error


class TestFromOutside:
    def test_no_server(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRMM_API_KEY", "k")
        said = cli("agents", "--url", "http://127.0.0.1:9")
        assert (said.code, said.out) == (1, "")
        assert "trmm: no answer from the server; `trmm doctor` looks why." in said.error

    def test_a_key_that_is_refused(
        self, cli: Cli, either: Backstage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TRMM_API_KEY", "SECRET-AND-WRONG")
        said = cli("agents")
        assert said.code == 4
        assert "the API key is refused: `trmm login` sets another" in said.error
        assert "SECRET" not in said.error

    def test_what_the_key_may_not_do(self, cli: Cli, either: Backstage) -> None:
        restriction = either.do(lambda server: server.restrict("can_list_agents"))
        said = cli("agents")
        either.do(lambda _: restriction.lift())
        assert said.code == 4
        assert "trmm: not allowed; `trmm doctor` tells what the key may do." in said.error

    def test_a_broken_answer(self, cli: Cli, either: Backstage) -> None:
        either.do(lambda server: server.answer("GET", "/agents/", body="<html>\noops</html>"))
        said = cli("agents", "--dialect", either.do(lambda server: server.dialect))
        assert said.code == 1
        assert said.error.count("\n") == 1


class TestAFileOfNames:
    def test_that_is_not_there(self, cli: Cli, gateway: Backstage, tmp_path: Path) -> None:
        path = tmp_path / "nobody"
        said = cli("run", "1", "--file", str(path))
        assert (said.code, said.error) == (2, f"trmm: --file: there is no file {path}; - is stdin\n")

    def test_that_is_a_folder(self, cli: Cli, gateway: Backstage, tmp_path: Path) -> None:
        said = cli("run", "1", "--file", str(tmp_path))
        assert (said.code, said.error.count("\n")) == (2, 1)
        assert f"{tmp_path} can't be read: " in said.error

    @pytest.mark.parametrize(("content", "place"), [(b"J\xe4DE-PC\n", 1), (b"\xff\xfd", 0)])
    def test_that_is_no_text(
        self, cli: Cli, gateway: Backstage, content: bytes, place: int, tmp_path: Path
    ) -> None:
        path = tmp_path / "hosts.txt"
        path.write_bytes(content)
        said = cli("run", "1", "--file", str(path))
        words = f"--file: {path} is no text in UTF-8, see byte {place}: save it as such"
        assert (said.code, said.error) == (2, f"trmm: {words}\n")

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
    def test_with_a_mark_in_front_as_windows_writes_it(
        self, cli: Cli, gateway: Backstage, encoding: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "hosts.txt"
        path.write_text("JADE-PC\n", encoding=encoding)
        said = cli("run", "3", "--file", str(path))
        assert (said.code, said.error) == (0, "1 agent: 1 succeeded\n")

    @pytest.mark.parametrize(
        ("piped", "page"),
        [
            ("JADE-PC\n".encode("utf-8-sig"), "utf-8"),
            ("JADE-PC\r\n".encode("utf-16"), "utf-8"),
            ("B\u00dcRO-1\n".encode(), "cp1252"),
            ("B\u00dcRO-1\n".encode("cp1252"), "cp1252"),
            ("B\u00dcRO-1\n".encode("cp850"), "cp850"),
        ],
    )
    def test_that_is_piped(self, piped: bytes, page: str) -> None:
        with Backstage(agents=1, rate_limit=None, script_seconds=0.01) as stage:
            stage.do(lambda server: server.add_agent(hostname="B\u00dcRO-1", site=41))
            extra = {**stage.environment, "PYTHONIOENCODING": page}
            said = program(["run", "3", "--file", "-"], extra, piped)
        assert (said.code, said.error) == (0, "1 agent: 1 succeeded\n")
        assert ("B\u00dcRO-1" in said.out) is (b"RO" in piped)

    def test_that_is_typed_and_no_text(self, gateway: Backstage) -> None:
        strict = {**gateway.environment, "PYTHONIOENCODING": "utf-8:strict"}
        said = program(["run", "3", "--file", "-"], strict, b"\xff\n")
        expected = "trmm: --file: stdin is no text in UTF-8, see byte 0: save it as such\n"
        assert (said.code, said.error) == (2, expected)


@pytest.mark.parametrize("words", [["agents"], ["agents", "--json"], ["agents", "--debug"], ["doctor"]])
def test_the_key_is_never_shown(cli: Cli, gateway: Backstage, words: list[str]) -> None:
    said: Said = cli(*words)
    assert gateway.api_key not in said.out + said.error


def test_a_reader_that_goes_away_is_no_error(gateway: Backstage) -> None:
    said = in_shell("(TRMM agents --jsonl; echo $? >&2) | true", gateway)
    assert said.code == 0
    assert "Traceback" not in said.error
    assert re.fullmatch(r"(141|0)\n", said.error), said.error


def test_as_a_process_it_ends_with_the_same_code() -> None:
    said = program(["agents"], {"TRMM_CONFIG": "/nonexistent"}, fresh=True)
    assert (said.code, said.out) == (2, "")
    assert said.error.startswith("trmm: which server?")
