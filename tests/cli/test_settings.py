"""The file of profiles: how it is written, read, and used."""

import os
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.stage import Backstage, environment
from tests.test_effective_settings import ENVIRONMENT, LAB, MAIN, settled
from trmm_async.cli.exits import CommandError
from trmm_async.cli.settings import write_profile_file
from trmm_async.effective_settings import GlobalOptions, client_settings, find_key, resolve
from trmm_async.errors import InvalidRequestError
from trmm_async.profiles import Profile, ProfileFile, read_profile_file


class TestTheFile:
    def test_is_written_for_its_owner_alone_and_read_again(self, bare: Path) -> None:
        write_profile_file(ProfileFile(bare, default="lab", profiles={"lab": LAB, "main": MAIN}))
        assert stat.S_IMODE(bare.stat().st_mode) == 0o600
        assert stat.S_IMODE(bare.parent.stat().st_mode) == 0o700
        assert list(bare.parent.iterdir()) == [bare]
        again = read_profile_file()
        assert (again.default, again.profiles, again.exposed) == ("lab", {"lab": LAB, "main": MAIN}, None)

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
    def test_a_key_that_others_can_read_is_not_used(self, bare: Path, mode: int) -> None:
        write_profile_file(ProfileFile(bare, default="main", profiles={"main": MAIN}))
        bare.chmod(mode)
        book = read_profile_file()
        settings = resolve(GlobalOptions(), book, {})
        with pytest.raises(InvalidRequestError, match=f"mode {mode:o}.*chmod 600"):
            find_key(settings, book, {})
        # One from elsewhere is.
        elsewhere = find_key(settings, book, {"TRMM_API_KEY": "k"})
        assert elsewhere is not None
        assert elsewhere.value == "k"

    def test_that_cannot_be_written_is_said(self, bare: Path) -> None:
        bare.parent.write_text("in the way")
        with pytest.raises(CommandError, match="can't be written"):
            write_profile_file(ProfileFile(bare))

    def test_behind_a_link_stays_behind_it(self, bare: Path, tmp_path: Path) -> None:
        bare.parent.mkdir()
        kept = tmp_path / "dotfiles" / "trmm.toml"
        bare.symlink_to("../dotfiles/trmm.toml")
        for name in ("lab", "main"):
            write_profile_file(ProfileFile(bare, default=name, profiles={"lab": LAB}))
            assert bare.is_symlink()
            assert list(kept.parent.iterdir()) == [kept]
            assert stat.S_IMODE(kept.stat().st_mode) == 0o600
            assert read_profile_file().default == name

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_that_an_editor_of_windows_has_saved(self, bare: Path, encoding: str) -> None:
        bare.parent.mkdir()
        text = '[profiles.a]\r\nurl = "https://a.example"\r\napi_key = "\ufeffkey"\r\n'
        bare.write_bytes(text.encode(encoding))
        bare.chmod(0o600)
        assert settled(GlobalOptions(), {}, read_profile_file()) == ("https://a.example", "auto", "key")

    def test_that_can_not_be_read_matters_only_if_it_is_needed(self, bare: Path) -> None:
        bare.mkdir(parents=True)  # in the place of the file
        book = read_profile_file()
        assert settled(GlobalOptions(), ENVIRONMENT, book)[2] == "env-key"
        assert settled(GlobalOptions(url="https://x.example"), {"TRMM_API_KEY": "k"}, book)[2] == "k"
        says = rf"{bare} can't be read \(Is a directory\): mend that, or name another by TRMM_CONFIG"
        for given, environ in (
            (GlobalOptions(), {}),
            (GlobalOptions(profile="main"), ENVIRONMENT),
            (GlobalOptions(), {"TRMM_PROFILE": "x"}),
        ):
            with pytest.raises(InvalidRequestError, match=says):
                resolve(given, book, environ)
        with pytest.raises(InvalidRequestError, match=says):
            write_profile_file(book)

    @pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("setpriv") is None,
        reason="only root can be somebody without a home",
    )
    def test_of_a_user_without_a_home_matters_only_if_it_is_needed(self, gateway: Backstage) -> None:
        nobody = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", sys.executable]
        if subprocess.run([*nobody, "-c", ""], cwd="/", capture_output=True, check=False).returncode:
            pytest.skip("this Python is where only its user can read it")
        homeless = environment({"TRMM_URL": gateway.url, "TRMM_API_KEY": gateway.api_key})
        for name in ("HOME", "XDG_CONFIG_HOME"):
            homeless.pop(name, None)
        for words, code, says in (
            (["agents", "--jsonl"], 0, ""),
            (
                ["profiles"],
                2,
                "trmm: there is no home folder to keep profiles in: name a file by TRMM_CONFIG\n",
            ),
            (["agents", "--profile", "x"], 2, "trmm: there is no home folder"),
        ):
            done = subprocess.run(
                [*nobody, "-m", "trmm_async.cli", *words],
                env=homeless, cwd="/",
                capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            assert (done.returncode, done.stderr[: len(says)]) == (code, says), done.stderr


class TestSharedLimits:
    URL = "redis://:Sesame-4711@limits.internal:6379/0"

    def book(self, bare: Path, mode: int = 0o600) -> ProfileFile:
        bare.parent.mkdir()
        bare.write_text(
            f'[profiles.a]\nurl = "https://a.example"\napi_key = "k"\nshared_limits = "{self.URL}"\n'
        )
        bare.chmod(mode)
        return read_profile_file()

    def test_are_those_of_the_environment_or_else_of_the_profile(self, bare: Path) -> None:
        book = self.book(bare)
        other = {"TRMM_SHARED_LIMITS": "redis://other"}
        assert resolve(GlobalOptions(), book, {}).shared_limits == self.URL
        assert resolve(GlobalOptions(), book, other).shared_limits == "redis://other"
        assert resolve(GlobalOptions(profile="a"), book, other).shared_limits == self.URL
        assert resolve(GlobalOptions(url="https://b.example"), book, {}).shared_limits is None
        assert client_settings(resolve(GlobalOptions(), book, {}))["shared_limits"] == self.URL

    def test_show_no_password(self, bare: Path) -> None:
        book = self.book(bare)
        assert "Sesame" not in repr(book) + repr(resolve(GlobalOptions(), book, {}))

    def test_with_a_password_that_others_can_read_are_refused(self, bare: Path) -> None:
        book = self.book(bare, 0o644)
        with pytest.raises(InvalidRequestError, match=r"the password of shared_limits in .* is not used"):
            resolve(GlobalOptions(), book, {})
        assert (
            resolve(GlobalOptions(), book, {"TRMM_SHARED_LIMITS": "redis://other"}).shared_limits
            == "redis://other"
        )

    def test_stay_in_the_file_when_it_is_written_anew(self, bare: Path) -> None:
        write_profile_file(self.book(bare))
        assert read_profile_file().profiles["a"].shared_limits == self.URL


def test_comments_and_what_is_not_ours_stay_when_the_file_is_written(bare: Path) -> None:
    bare.parent.mkdir(parents=True)
    bare.write_text(
        "# of the whole team\n"
        'default = "lab"  # until May\n\n'
        "[profiles.lab]\n"
        "# behind the VPN\n"
        'url = "https://lab.example.com"  # port 443\n'
        'api_key = "old"\n'
        'owner = "us"\n\n'
        "[other]\n"
        "x = 1 # one\n"
    )
    bare.chmod(0o600)
    book = read_profile_file()
    lab = replace(book.profiles["lab"], api_key=None, keyring=True)
    write_profile_file(
        replace(book, profiles={"lab": lab, "new": Profile("new", url="https://new.example.com")})
    )
    text = bare.read_text()
    for kept in (
        "# of the whole team",
        "# until May",
        "# behind the VPN",
        "# port 443",
        'owner = "us"',
        "x = 1 # one",
    ):
        assert kept in text
    assert "old" not in text
    assert read_profile_file().profiles.keys() == {"lab", "new"}
    assert read_profile_file().profiles["lab"].keyring
    write_profile_file(
        replace(read_profile_file(), default=None, profiles={"new": read_profile_file().profiles["new"]})
    )
    assert "lab" not in bare.read_text()
    assert "x = 1 # one" in bare.read_text()


@pytest.mark.parametrize(
    "before",
    [
        "",
        'profiles.x.url = "https://x"\n',
        'profiles = {x = {url = "https://x"}}\n',
        '[profiles.x]\nurl = "https://x"\n',
        '[profiles]\nx = {url = "https://x"}\n[more]\ny = 2\n',
    ],
)
def test_a_file_of_any_form_says_what_it_is_to_say(bare: Path, before: str) -> None:
    bare.parent.mkdir(parents=True)
    bare.write_text(before)
    bare.chmod(0o600)
    book = read_profile_file()
    y = Profile("y", url="https://y.example.com", rate_limit="5/1")
    write_profile_file(replace(book, default="y", profiles={**book.profiles, "y": y}))
    again = read_profile_file()
    assert again.default == "y"
    assert again.profiles == {**book.profiles, "y": y}
    assert ("y = 2" in bare.read_text()) == ("y = 2" in before)
