"""The file of profiles as it is read, and the one line that is written into it."""

import os
import stat
import tomllib
from pathlib import Path

import pytest

from trmm_async.errors import InvalidRequestError
from trmm_async.profiles import Profile, ProfileFile, config_path, read_profile_file, remember_dialect


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def written(place: Path, text: str, mode: int = 0o600) -> Path:
    place.write_text(text)
    place.chmod(mode)
    return place


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("default = ", "is no TOML"),
        ("profiles = 3", "profiles must be tables"),
        ("[profiles]\nmain = 3", "profiles must be tables"),
        ("[profiles.main]\nurl = 3", r"profiles.main.url must be text"),
        ("[profiles.main]\nkeyring = 3", "must be true or false"),
        ("default = 3", "default must be text"),
    ],
)
def test_what_is_wrong_in_it_is_said(place: Path, text: str, says: str) -> None:
    with pytest.raises(InvalidRequestError, match=says):
        read_profile_file(written(place, text))


def test_it_is_in_the_platforms_folder_unless_said_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert config_path({}).parts[-2:] == ("trmm", "config.toml")
    assert config_path({"TRMM_CONFIG": str(tmp_path)}) == tmp_path
    assert config_path({"TRMM_CONFIG": f"\ufeff {tmp_path}\r\n"}) == tmp_path
    monkeypatch.setenv("TRMM_CONFIG", str(written(tmp_path / "other.toml", 'default = "lab"')))
    assert read_profile_file().default == "lab"


def test_all_of_a_profile_is_read_and_its_secrets_are_in_no_repr(place: Path) -> None:
    text = """
        default = "lab"
        colour = "what somebody else has put there"
        [profiles.lab]
        url = "https://lab.example"
        dialect = "stock"
        rate_limit = "10/60"
        allow_http = true
        api_key = "Sesame"
        shared_limits = "redis://:Sesame@h"
        proxy = "http://u:Sesame@p"
        ca = "ca.pem"
        cert = "cert.pem"
        [profiles.main]
        keyring = true
    """
    book = read_profile_file(written(place, text))
    assert book.profiles == {
        "lab": Profile(
            "lab",
            url="https://lab.example",
            dialect="stock",
            rate_limit="10/60",
            allow_http=True,
            api_key="Sesame",
            shared_limits="redis://:Sesame@h",
            proxy="http://u:Sesame@p",
            ca="ca.pem",
            cert="cert.pem",
        ),
        "main": Profile("main", keyring=True),
    }
    assert (book.default, book.exposed, book.problem) == ("lab", None, None)
    assert "Sesame" not in repr(book) + repr(book.profiles["lab"])


def test_a_file_that_is_not_there_has_none_and_one_that_is_none_is_said_when_it_is_needed(
    place: Path, tmp_path: Path
) -> None:
    assert read_profile_file(place) == ProfileFile(place)
    book = read_profile_file(tmp_path)
    with pytest.raises(InvalidRequestError, match=r"can't be read \(Is a directory\): mend that"):
        book.checked()
    with pytest.raises(InvalidRequestError, match="can't be read"):
        book.find("main")


def test_a_profile_that_is_not_there_is_told_with_those_that_are() -> None:
    book = ProfileFile(Path("c.toml"), profiles={"main": Profile("main"), "lab": Profile("lab")})
    assert book.find("lab").name == "lab"
    with pytest.raises(InvalidRequestError, match="there is lab, main; did you mean 'main'"):
        book.find("mian")
    with pytest.raises(InvalidRequestError, match="there is none: `trmm login` writes one"):
        ProfileFile(Path("c.toml")).find("main")


@pytest.mark.parametrize(
    ("mode", "exposed"),
    [(0o600, None), (0o400, None), (0o640, "mode 640"), (0o601, "mode 601"), (0o620, "mode 620")],
)
def test_who_else_can_get_at_it_is_said(place: Path, mode: int, exposed: str | None) -> None:
    found = read_profile_file(written(place, "", mode)).exposed
    assert found is None if exposed is None else exposed in (found or "")


KEPT = """# mine
default = "lab"

[profiles.lab]  # the lab
url = "https://lab.example"
note = '''
[profiles.main]
'''

[profiles.main]
url = "https://main.example"
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["lab", "main"])
def test_a_dialect_that_was_found_is_one_line_more(place: Path, name: str, end: str) -> None:
    before = KEPT.replace("\n", end).encode()
    place.write_bytes(before)
    place.chmod(0o640)
    remember_dialect(place, name, "stock")
    after = place.read_bytes()
    assert tomllib.loads(after.decode())["profiles"][name]["dialect"] == "stock"
    assert after.replace(f'dialect = "stock"{end}'.encode(), b"") == before
    assert stat.S_IMODE(place.stat().st_mode) == 0o640
    assert os.listdir(place.parent) == [place.name]


def test_behind_a_link_the_link_stays(place: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(written(place, KEPT))
    remember_dialect(link, "lab", "gateway")
    assert link.is_symlink()
    assert 'dialect = "gateway"' in place.read_text()


@pytest.mark.parametrize(
    "text",
    [
        '[profiles.lab]\ndialect = "auto"\n',
        'profiles = {lab = {url = "https://x"}}\n',
        "[profiles.other]\n",
        "[profiles.lab\n",
        'profiles.lab.url = "https://x"\n',
        "",
    ],
    ids=["said already", "inline", "another", "no TOML", "dotted", "empty"],
)
def test_where_it_is_not_certain_nothing_is_written(place: Path, text: str) -> None:
    written(place, text)
    remember_dialect(place, "lab", "stock")
    assert place.read_text() == text
    remember_dialect(place.with_name("missing.toml"), "lab", "stock")
    assert os.listdir(place.parent) == [place.name]
