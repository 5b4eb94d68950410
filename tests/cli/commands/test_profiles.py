"""`trmm login` and `trmm profiles`: what is written, and what is checked first."""

import asyncio
import re
import stat
from pathlib import Path
from typing import Any

import keyring
import keyring.backends.fail
import pytest

from tests.cli.conftest import Cli
from tests.cli.logins import Drawer, login
from tests.cli.stage import Backstage, program
from trmm_async import TRMM, InvalidRequestError, KeySourceError
from trmm_async.effective_settings import VARIABLES
from trmm_async.testing import Simulator


def test_the_key_is_checked_and_written_for_its_owner_alone(cli: Cli, stage: Backstage, bare: Path) -> None:
    login(cli, stage)
    assert stat.S_IMODE(bare.stat().st_mode) == 0o600
    assert stage.api_key in bare.read_text()
    (row,) = cli("profiles", "--json").data
    assert row == {
        "name": "default",
        "url": stage.url,
        "dialect": stage.do(lambda server: server.dialect),
        "key": "file",
        "default": True,
    }
    assert cli("agents", "--jsonl").code == 0
    for words in (["profiles"], ["profiles", "--json"], ["doctor"]):
        said = cli(*words)
        assert stage.api_key not in said.out + said.error


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_key_that_powershell_pipes(stage: Backstage, bare: Path, encoding: str) -> None:
    words = ["login", "--url", stage.url, "--key-stdin"]
    said = program(words, {"TRMM_CONFIG": str(bare)}, f"{stage.api_key}\r\n".encode(encoding))
    assert said.code == 0, said.error
    assert f'"{stage.api_key}"' in bare.read_text()


def test_the_address_may_be_in_the_environment(
    cli: Cli, stage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRMM_URL", stage.url)
    said = cli("login", "--key-stdin", typed=f"{stage.api_key}\n")
    assert said.code == 0
    monkeypatch.delenv("TRMM_URL")
    assert cli("profiles", "--json").data[0]["url"] == stage.url
    # A profile that is there keeps its own.
    monkeypatch.setenv("TRMM_URL", "https://other.example")
    assert cli("login", "--key-stdin", typed=f"{stage.api_key}\n").code == 0
    assert cli("profiles", "--json").data[0]["url"] == stage.url


@pytest.mark.parametrize("words", [["login", "--key-stdin"], ["doctor"], ["agents"]])
@pytest.mark.parametrize("url", ["https://[::1", "https://user:hunter2@host", "https://a..b"])
def test_a_bad_address_is_one_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, words: list[str], url: str
) -> None:
    monkeypatch.setenv("TRMM_URL", url)
    monkeypatch.setenv("TRMM_API_KEY", "k")
    said = cli(*words, typed="k")
    assert (said.code, said.out, said.error.count("\n")) == (2, "", 1)
    assert said.error.startswith("trmm: url")
    assert "hunter2" not in said.error


def test_a_key_that_does_not_work_is_not_written(cli: Cli, stage: Backstage, bare: Path) -> None:
    said = cli("login", "--url", stage.url, "--key-stdin", typed="WRONG\n")
    assert said.code == 4
    assert "the API key is refused" in said.error
    assert not bare.exists()


def test_a_key_that_may_little_is(cli: Cli, stage: Backstage, bare: Path) -> None:
    restriction = stage.do(lambda server: server.restrict("can_list_clients"))
    said = cli("login", "--url", stage.url, "--key-stdin", typed=f"{stage.api_key}\n")
    stage.do(lambda _: restriction.lift())
    assert said.code == 0
    assert "the key works, but may not list clients" in said.error
    assert bare.exists()


def test_several_profiles(cli: Cli, gateway: Backstage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRMM_URL")
    monkeypatch.delenv("TRMM_API_KEY")
    login(cli, gateway, "--profile", "one")
    login(cli, gateway, "--profile", "two", "--rate-limit", "50/60")
    login(cli, gateway, "--profile", "three", "--default")
    rows = {row["name"]: row for row in cli("profiles", "--jsonl").lines}
    assert [name for name, row in rows.items() if row["default"]] == ["three"]
    assert cli("profiles", "use", "two").error == "two is the default\n"
    assert cli("agents", "--profile", "one", "--json").code == 0
    assert cli("profiles", "remove", "two").error == "two is removed\n"
    assert cli("agents").error.startswith("trmm: which server?")
    assert [row["name"] for row in cli("profiles", "--json").data] == ["one", "three"]
    table = cli("profiles").out.splitlines()
    assert table[0].split() == ["Profile", "URL", "Dialect", "Key"]


def test_a_profile_that_others_can_read_says_so(cli: Cli, stage: Backstage, bare: Path) -> None:
    login(cli, stage)
    bare.chmod(0o644)
    said = cli("agents")
    assert said.code == 2
    assert f"chmod 600 {bare}" in said.error
    assert cli("profiles", "--json").data[0]["key"] == "file, not used: others can get at it (mode 644)"
    login(cli, stage)  # writes it anew
    assert stat.S_IMODE(bare.stat().st_mode) == 0o600
    assert cli("agents", "--json").code == 0


def test_a_password_that_somebody_wrote_into_an_address_is_not_listed(cli: Cli, bare: Path) -> None:
    bare.parent.mkdir(parents=True, exist_ok=True)
    bare.write_text('[profiles.lab]\nurl = "https://me:Sesame@lab.example"\n')
    bare.chmod(0o600)
    for words in ((), ("--json",)):
        said = cli("profiles", *words)
        assert "https://…@lab.example" in said.out
        assert "Sesame" not in said.out + said.error


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["login", "--key-stdin"], "which server? Say --url"),
        (["login", "--url", "http://127.0.0.1:9"], "nobody is here to be asked for the key: --key-stdin"),
        (["login", "--url", "http://127.0.0.1:9", "--key-stdin"], "there was no key on stdin"),
    ],
)
def test_what_is_missing_is_said(cli: Cli, words: list[str], says: str) -> None:
    said = cli(*words)
    assert (said.code, said.out) == (2, "")
    assert says in said.error


class TestTheLibrary:
    """`TRMM.from_profile` and `TRMM.from_env` find what the command line finds."""

    @pytest.mark.parametrize("words", [(), ("--keyring",)])
    async def test_a_profile_that_login_wrote_is_a_client(
        self, cli: Cli, stage: Backstage, drawer: Drawer, words: tuple[str, ...]
    ) -> None:
        await asyncio.to_thread(login, cli, stage, "--profile", "lab", *words)
        async with TRMM.from_profile("lab") as trmm:
            assert trmm.dialect == stage.server.dialect  # as it was found by login
            assert trmm.stats.sent == 0
            assert len(await trmm.agents.list()) == 20
            assert stage.api_key not in repr(trmm)

    def test_what_is_given_goes_before_it(self, bare: Path) -> None:
        write(bare, 'url = "https://a.example"\ndialect = "stock"\nrate_limit = "50/60"\napi_key = "key"')
        assert TRMM.from_profile("lab").dialect == "stock"
        assert TRMM.from_profile("lab", dialect="gateway", timeout=3).dialect == "gateway"
        with pytest.raises(InvalidRequestError, match="timeout"):
            TRMM.from_profile("lab", timeout=0)

    def test_one_that_is_not_there_names_those_that_are_alike(self, bare: Path) -> None:
        write(bare, 'url = "https://a.example"\napi_key = "key"')
        with pytest.raises(InvalidRequestError, match=r"no profile 'lav' in .*; did you mean 'lab'\?"):
            TRMM.from_profile("lav")
        with pytest.raises(InvalidRequestError, match="named by a text"):
            TRMM.from_profile("")

    def test_a_key_of_another_server_is_not_used(self, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(bare, 'url = "https://a.example"')
        monkeypatch.setenv("TRMM_URL", "https://b.example")
        monkeypatch.setenv("TRMM_API_KEY", "key")
        with pytest.raises(InvalidRequestError, match=r"no API key for https://a\.example \(that in"):
            TRMM.from_profile("lab")
        with pytest.raises(InvalidRequestError, match=r"no API key for https://a\.example \(that in"):
            TRMM.from_env(url="https://a.example")
        monkeypatch.setenv("TRMM_URL", "HTTPS://A.example:443/")
        assert "https://a.example" in repr(TRMM.from_profile("lab"))

    def test_a_keyring_that_can_not_be_read_is_a_typed_error(self, bare: Path, drawer: Drawer) -> None:
        write(bare, 'url = "https://a.example"\nkeyring = true')
        keyring.set_keyring(keyring.backends.fail.Keyring())  # type: ignore[no-untyped-call]
        with pytest.raises(KeySourceError, match="the keyring can't be read"):
            TRMM.from_profile("lab")

    def test_the_environment_names_a_profile_too(self, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(bare, 'url = "https://a.example"\ndialect = "stock"\napi_key = "key"')
        with pytest.raises(InvalidRequestError, match="TRMM_URL is not set"):
            TRMM.from_env()  # a file alone is no environment
        monkeypatch.setenv("TRMM_PROFILE", "lab")
        assert repr(TRMM.from_env()) == "<TRMM https://a.example stock, not yet used>"
        monkeypatch.setenv("TRMM_DIALECT", "gateway")
        assert TRMM.from_env().dialect == "gateway"

    def test_every_variable_of_the_documentation_is_one_of_the_table(self) -> None:
        page = Path(__file__).parents[3] / "docs" / "cli.md"
        assert set(re.findall(r"`(TRMM_[A-Z_]+)`", page.read_text())) == set(VARIABLES.values())


def write(path: Path, lines: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"[profiles.lab]\n{lines}\n")
    path.chmod(0o600)


BY_HAND = """\
# Kept by hand.
[profiles.other]  # another server
url = "https://other.example"

[ profiles."lab" ] # this one
url = "{url}"  # a comment
api_key = "{key}"
"""


def test_a_profile_written_by_hand_remembers_the_dialect_that_was_found(
    cli: Cli, stage: Backstage, bare: Path
) -> None:
    bare.parent.mkdir()
    before = BY_HAND.format(url=stage.url, key=stage.api_key).replace("\n", "\r\n")
    bare.write_bytes(before.encode())
    bare.chmod(0o600)
    asked = stage.do(_questions)
    for _ in range(2):
        assert cli("clients", "--profile", "lab", "--jsonl").code == 0
        dialect = stage.do(lambda server: server.dialect)
        line = f'# this one\r\ndialect = "{dialect}"\r\n'
        assert bare.read_bytes() == before.replace("# this one\r\n", line).encode()
    assert stage.do(_questions) == asked + 1
    assert list(bare.parent.iterdir()) == [bare]
    assert stat.S_IMODE(bare.stat().st_mode) == 0o600


async def test_a_program_remembers_it_too_when_it_is_closed(
    stage: Backstage, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare.parent.mkdir()
    before = BY_HAND.format(url=stage.url, key=stage.api_key)
    bare.write_text(before)
    bare.chmod(0o600)
    dialect = stage.do(lambda server: server.dialect)
    async with TRMM.from_profile("lab") as trmm:
        assert trmm.dialect == "auto"
        await trmm.clients.list()
        assert bare.read_text() == before
    assert bare.read_text() == before.replace("# this one\n", f'# this one\ndialect = "{dialect}"\n')
    assert list(bare.parent.iterdir()) == [bare]
    assert stat.S_IMODE(bare.stat().st_mode) == 0o600
    assert TRMM.from_profile("lab").dialect == dialect
    monkeypatch.setenv("TRMM_PROFILE", "lab")
    assert TRMM.from_env().dialect == dialect


@pytest.mark.parametrize("why", ["nothing was asked", "it is said", "the file has gone"])
async def test_a_program_writes_nothing_else(stage: Backstage, bare: Path, why: str) -> None:
    bare.parent.mkdir()
    before = BY_HAND.format(url=stage.url, key=stage.api_key)
    bare.write_text(before)
    bare.chmod(0o600)
    more: dict[str, Any] = {"dialect": stage.do(lambda server: server.dialect)} if why == "it is said" else {}
    async with TRMM.from_profile("lab", **more) as trmm:
        if why != "nothing was asked":
            await trmm.clients.list()
        if why == "the file has gone":
            bare.unlink()
    assert [path.read_text() for path in bare.parent.iterdir()] == [before] * (why != "the file has gone")


def _questions(server: Simulator) -> int:
    return sum("/deployments/" in one.path for one in server.requests)


@pytest.mark.parametrize("why", ["it says auto", "the command line says it", "it is an inline table"])
def test_a_dialect_that_was_not_found_or_has_no_place_is_not_written(
    cli: Cli, stage: Backstage, bare: Path, why: str
) -> None:
    bare.parent.mkdir()
    text = BY_HAND.format(url=stage.url, key=stage.api_key)
    words = ["clients", "--profile", "lab", "--jsonl"]
    if why == "it says auto":
        text += 'dialect = "auto"\n'
    elif why == "the command line says it":
        words += ["--dialect", stage.do(lambda server: server.dialect)]
    else:
        text = f'profiles = {{ lab = {{ url = "{stage.url}", api_key = "{stage.api_key}" }} }}\n'
    bare.write_text(text)
    bare.chmod(0o600)
    assert cli(*words).code == 0
    assert bare.read_text() == text
