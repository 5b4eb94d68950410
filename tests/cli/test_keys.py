"""Where the key of a command is: the keyring, the file, or somebody who is asked."""

import sys
from pathlib import Path

import keyring
import keyring.backends.fail
import keyring.backends.null
import keyring.errors
import pytest

from tests.cli.conftest import Cli
from tests.cli.logins import Drawer, login
from tests.cli.stage import Backstage, program, terminal


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
