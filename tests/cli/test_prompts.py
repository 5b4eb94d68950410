"""Questions to the user at the terminal, and what is piped in."""

import re
import sys
from io import BytesIO, StringIO, TextIOWrapper

import pytest

from tests.cli.stage import Backstage, Typist, terminal
from trmm_async.cli.exits import CommandError, Exit
from trmm_async.cli.prompts import ask, ask_secretly, go_on, read_stdin, somebody_is_here


class TestTheQuestion:
    @pytest.mark.parametrize(("answer", "code"), [("y", 0), ("yes", 0), ("n", 4), ("", 4)])
    def test_is_answered(self, gateway: Backstage, answer: str, code: int) -> None:
        gateway.do(lambda server: server.reset_ledger())
        with terminal(["run", "3", "--client", "34"], gateway.environment) as screen:
            screen.wait_for("Go on? [y/N] ")
            screen.type(f"{answer}\r")
            assert screen.finish() == code
        assert re.search(r"Run Clear-TempFiles on \d agents: JADE-PC, DESKTOP-001", screen.shown)
        assert bool(gateway.do(lambda server: server.runs)) == (code == 0)

    @pytest.mark.parametrize("fresh", [True, False])
    def test_is_interrupted(self, gateway: Backstage, fresh: bool) -> None:
        gateway.do(lambda server: server.reset_ledger())
        with terminal(["run", "3", "--client", "34"], gateway.environment, fresh=fresh) as screen:
            screen.wait_for("Go on? [y/N] ")
            screen.type("\x03")
            assert screen.finish() == 130
        assert "Traceback" not in screen.shown
        assert gateway.do(lambda server: server.runs) == []


@pytest.mark.parametrize(
    ("answer", "goes_on"), [("y\n", True), ("YES \n", True), ("n\n", False), ("", False)]
)
def test_only_a_yes_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, goes_on: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", Typist(answer))
    if goes_on:
        go_on("say --yes", "It would run")
    else:
        with pytest.raises(CommandError, match=r"^not done$") as caught:
            go_on("say --yes", "It would run")
        assert caught.value.code is Exit.REFUSED
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "It would run\nGo on? [y/N] ")


@pytest.mark.parametrize("stdin", [StringIO("y\n"), None], ids=["a pipe", "none"])
def test_nobody_is_asked_who_is_not_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stdin: StringIO | None
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    assert not somebody_is_here()
    with pytest.raises(CommandError, match=r"^say --yes$") as caught:
        go_on("say --yes", "It would run")
    assert caught.value.code is Exit.REFUSED
    assert capsys.readouterr() == ("", "")


def test_an_answer_is_without_what_stands_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Typist("  https://x \nmore\n"))
    assert (ask("Where? "), ask("And? "), ask("Else? ")) == ("https://x", "more", "")


def test_the_end_of_what_is_typed_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_the_end(_question: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", at_the_end)
    assert ask_secretly("Key? ") == ""
    monkeypatch.setattr("getpass.getpass", lambda question: f" {question}\n")
    assert ask_secretly("Key?") == "Key?"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_is_piped_in_is_read_in_its_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    data = "kömma\nzwei\n".encode(encoding)
    for line, text in ((False, "kömma\nzwei\n"), (True, "kömma")):
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(data)))
        assert read_stdin(line=line).lstrip("\ufeff") == text


def test_a_stdin_that_is_a_text_or_closed_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("one\ntwo\n"))
    assert (read_stdin(line=True), read_stdin()) == ("one\n", "two\n")
    monkeypatch.setattr(sys, "stdin", None)
    assert (read_stdin(), read_stdin(line=True)) == ("", "")
