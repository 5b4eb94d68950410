"""Where the key of a command is: the keyring, the file, or somebody who is asked."""

import sys
from io import StringIO
from pathlib import Path

import keyring
import keyring.backends.fail
import keyring.backends.null
import keyring.errors
import pytest

from tests.cli.conftest import Cli
from tests.cli.logins import Drawer, login
from tests.cli.stage import Backstage, Typist, program, terminal
from trmm_async.cli.exits import CommandError, Exit
from trmm_async.cli.keys import ask_key, forget_in_keyring, key_for, store_in_keyring
from trmm_async.effective_settings import Key, Settings
from trmm_async.errors import InvalidRequestError
from trmm_async.profiles import ProfileFile


class TestKeyring:
    def test_has_the_key_in_place_of_the_file(
        self, cli: Cli, stage: Backstage, drawer: Drawer, bare: Path
    ) -> None:
        login(cli, stage, "--keyring")
        assert stage.api_key not in bare.read_text()
        assert drawer.keys == {("trmm", stage.url): stage.api_key}
        assert cli("agents", "--json").code == 0
        assert cli("profiles", "--json").data[0]["key"] == "keyring"
        bare.chmod(0o644)  # no secret in it: no matter
        assert cli("agents", "--json").code == 0

        assert cli("profiles", "remove", "default").code == 0
        assert drawer.keys == {}

    def test_that_lost_the_key(self, cli: Cli, stage: Backstage, drawer: Drawer) -> None:
        login(cli, stage, "--keyring")
        drawer.keys.clear()
        said = cli("agents")
        assert said.code == 2
        assert "the keyring has no key for" in said.error
        assert cli("profiles", "remove", "default").code == 0

    def test_that_is_none(self, cli: Cli, stage: Backstage, drawer: Drawer) -> None:
        login(cli, stage, "--keyring")
        keyring.set_keyring(keyring.backends.fail.Keyring())  # type: ignore[no-untyped-call]
        said = cli("agents")
        assert said.code == 1
        assert "the keyring can't be read" in said.error
        words = ["login", "--url", stage.url, "--key-stdin", "--keyring"]
        said = cli(*words, typed=f"{stage.api_key}\n")
        assert said.code == 1
        assert "the key can't be stored in the keyring" in said.error
        assert cli("profiles", "remove", "default").code == 1

    def test_that_keeps_nothing_is_said_to(
        self, cli: Cli, stage: Backstage, drawer: Drawer, bare: Path
    ) -> None:
        keyring.set_keyring(keyring.backends.null.Keyring())  # type: ignore[no-untyped-call]
        words = ["login", "--url", stage.url, "--key-stdin", "--keyring"]
        said = cli(*words, typed=f"{stage.api_key}\n")
        assert said.code == 1
        assert "the keyring (keyring.backends.null.Keyring) did not keep the key" in said.error
        assert not bare.exists()

    def test_that_can_not_be_loaded_is_a_line(self, stage: Backstage, bare: Path) -> None:
        extra = {"TRMM_CONFIG": str(bare), "PYTHON_KEYRING_BACKEND": "no.such.Backend"}
        words = ["login", "--url", stage.url, "--key-stdin", "--keyring"]
        said = program(words, extra, typed=stage.api_key)
        assert said.code == 1
        assert said.error == (
            "trmm: the key can't be stored in the keyring: No module named 'no'; "
            "without --keyring it is stored in the file\n"
        )
        bare.parent.mkdir(exist_ok=True)
        bare.write_text(f'[profiles.a]\nurl = "{stage.url}"\nkeyring = true\n')
        said = program(["agents"], extra)
        assert (said.code, said.error) == (1, "trmm: the keyring can't be read: No module named 'no'\n")

    def test_that_does_not_let_go_of_the_key(
        self, cli: Cli, stage: Backstage, drawer: Drawer, bare: Path
    ) -> None:
        login(cli, stage, "--keyring")

        class Locked(Drawer):
            def delete_password(self, service: str, username: str) -> None:
                raise keyring.errors.PasswordDeleteError("locked")

        locked = Locked()
        locked.keys = drawer.keys
        keyring.set_keyring(locked)
        said = cli("profiles", "remove", "default")
        assert (said.code, said.error) == (1, "trmm: the keyring can't be changed: locked\n")
        assert "keyring = true" in bare.read_text()

    def test_without_the_package(
        self, cli: Cli, stage: Backstage, drawer: Drawer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "keyring", None)
        words = ["login", "--url", stage.url, "--key-stdin", "--keyring"]
        said = cli(*words, typed=f"{stage.api_key}\n")
        assert said.code == 2
        assert 'pip install "trmm-async[keyring]"' in said.error


class TestOnATerminal:
    def test_the_key_is_asked_for_without_echo(self, gateway: Backstage, bare: Path) -> None:
        with terminal(["login"], {"TRMM_CONFIG": str(bare)}) as screen:
            screen.wait_for("The server's address: ")
            screen.type(f"{gateway.url}\r")
            screen.wait_for("API key for ")
            screen.type(f"{gateway.api_key}\r")
            assert screen.finish() == 0
        assert gateway.api_key not in screen.shown
        assert gateway.api_key in bare.read_text()

    def test_the_question_can_be_interrupted(self, gateway: Backstage, bare: Path) -> None:
        with terminal(["clients", "--url", gateway.url], {"TRMM_CONFIG": str(bare)}) as screen:
            screen.wait_for("API key for ")
            screen.type("\x03")
            assert screen.finish() == 130
        assert "Traceback" not in screen.shown

    def test_nothing_is_no_key(self, gateway: Backstage, bare: Path) -> None:
        with terminal(["clients", "--url", gateway.url], {"TRMM_CONFIG": str(bare)}) as screen:
            screen.wait_for("API key for ")
            screen.type("\r")
            assert screen.finish() == 2
        assert "no API key was given" in screen.shown

    def test_it_is_asked_for_by_any_command(self, gateway: Backstage, bare: Path) -> None:
        with terminal(["clients", "--url", gateway.url], {"TRMM_CONFIG": str(bare)}) as screen:
            screen.wait_for("API key for ")
            screen.type(f"{gateway.api_key}\r")
            assert screen.finish() == 0
        assert "Hermes Network Inc." in screen.shown
        assert gateway.api_key not in screen.shown


SETTINGS = Settings("https://a.example")
BOOK = ProfileFile(Path("config.toml"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What somebody at the terminal is asked, who types "typed", and to a second question nothing."""
    questions: list[str] = []

    def typed(question: str) -> str:
        questions.append(question)
        return "" if len(questions) > 1 else " typed "

    monkeypatch.setattr("getpass.getpass", typed)
    monkeypatch.setattr(sys, "stdin", Typist())
    return questions


def test_a_key_that_is_there_is_not_asked_for(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> None:
    monkeypatch.setenv("TRMM_API_KEY", "of the environment")
    assert key_for(SETTINGS, BOOK).value == "of the environment"
    assert asked == []


def test_somebody_is_asked_who_is_here_and_may_be(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> None:
    with pytest.raises(InvalidRequestError, match=r"no API key for https://a\.example"):
        key_for(SETTINGS, BOOK, may_ask=False)
    assert asked == []
    assert key_for(SETTINGS, BOOK) == Key("typed", "the terminal")
    assert asked == ["API key for https://a.example: "]
    with pytest.raises(CommandError, match="no API key was given") as caught:
        ask_key("https://a.example")
    assert caught.value.code is Exit.USAGE
    monkeypatch.setattr(sys, "stdin", StringIO("piped"))
    with pytest.raises(InvalidRequestError, match=r"no API key for https://a\.example"):
        key_for(SETTINGS, BOOK)
    assert len(asked) == 2


def test_a_key_is_kept_by_its_address_without_a_slash_and_forgotten_once(drawer: Drawer) -> None:
    store_in_keyring("https://a.example/", "key")
    store_in_keyring("https://b.example", "other")
    assert drawer.keys == {("trmm", "https://a.example"): "key", ("trmm", "https://b.example"): "other"}
    for _ in range(2):
        forget_in_keyring("https://a.example/")
        assert drawer.keys == {("trmm", "https://b.example"): "other"}


def test_a_keyring_that_keeps_nothing_did_not_keep_it(drawer: Drawer) -> None:
    drawer.set_password = lambda *_: None  # type: ignore[method-assign]
    words = r"the keyring \(tests\.cli\.logins\.Drawer\) did not keep the key"
    with pytest.raises(CommandError, match=words) as caught:
        store_in_keyring("https://a.example", "Sesame")
    assert caught.value.code is Exit.FAILED
    assert "Sesame" not in str(caught.value)
