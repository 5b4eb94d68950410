"""The file of profiles: servers with their settings and keys, by name.

Nothing is written here but a dialect that was detected. `trmm login` writes the rest (`cli.settings`).
"""

import os
import re
import shutil
import stat
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from trmm_async.atomic_files import replacing
from trmm_async.errors import InvalidRequestError
from trmm_async.hidden import hide
from trmm_async.plaintext import alike
from trmm_async.saved_text import bare, code_page, decoded

__all__ = [
    "PATH_VARIABLE",
    "Profile",
    "ProfileFile",
    "cache_folder",
    "config_path",
    "read_profile_file",
    "remember_dialect",
]

PATH_VARIABLE: Final = "TRMM_CONFIG"
"""The environment variable that names another file."""
_HOMELESS: Final = "there is no home folder to keep profiles in: name a file by TRMM_CONFIG"


@dataclass(frozen=True)
class Profile:
    """One server in the file. `keyring`: its key is in the system's keyring."""

    name: str
    url: str = ""
    dialect: str | None = None
    rate_limit: str | None = None
    allow_http: bool | None = None
    api_key: str | None = field(default=None, repr=False)
    keyring: bool = False
    shared_limits: str | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    ca: str | None = None
    cert: str | None = None


@dataclass(frozen=True)
class ProfileFile:
    """The file of profiles.

    Attributes:
        exposed: what is wrong with its permissions; None if nothing is.
        problem: why it can't be read, and what to do; None if it can. Raised only if the file is needed.
    """

    path: Path
    default: str | None = None
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    exposed: str | None = None
    problem: str | None = None

    def checked(self) -> Self:
        """The book. Raises `InvalidRequestError` if it could not be read."""
        if self.problem:
            raise InvalidRequestError(self.problem)
        return self

    def find(self, name: str) -> Profile:
        """The profile of this name. Raises `InvalidRequestError` if there is none."""
        self.checked()
        if name not in self.profiles:
            there = ", ".join(sorted(self.profiles)) or "none: `trmm login` writes one"
            hint = alike(name, list(self.profiles))
            raise InvalidRequestError(f"there is no profile {name!r} in {self.path}; there is {there}{hint}")
        return self.profiles[name]


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The path of the file: `TRMM_CONFIG`, or `trmm/config.toml` in the platform's configuration folder."""
    if named := bare(environ.get(PATH_VARIABLE, "")):
        return Path(named)
    try:
        from platformdirs import user_config_path  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise InvalidRequestError(
            'where the profiles are needs a package: pip install "trmm-async[cli]", or name the file by '
            "TRMM_CONFIG"
        ) from error

    return _in_a_home(user_config_path("trmm", appauthor=False)) / "config.toml"


def cache_folder() -> Path:
    """The platform's folder for cached data. It needs the extra `[cli]`."""
    from platformdirs import user_cache_path  # noqa: PLC0415 - an extra

    return _in_a_home(user_cache_path("trmm", appauthor=False))


def _in_a_home(folder: Path) -> Path:
    """Raise RuntimeError for a user without a home, as platformdirs does since 4.12."""
    if not folder.is_absolute():
        raise RuntimeError(_HOMELESS)
    return folder


def read_profile_file(path: Path | None = None) -> ProfileFile:
    """Read the file of profiles. A missing file has no profiles.

    Raises:
        InvalidRequestError: the file is no TOML, or has values of wrong types.
    """
    try:
        path = path or config_path()
    except RuntimeError:  # platformdirs', for a user without a home
        return ProfileFile(Path("config.toml"), problem=_HOMELESS)
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = tomllib.loads(decoded(file.read(), code_page()))
    except FileNotFoundError:
        return ProfileFile(path)
    except OSError as error:
        reason = error.strerror or str(error)
        return ProfileFile(
            path, problem=f"{path} can't be read ({reason}): mend that, or name another by TRMM_CONFIG"
        )
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequestError(f"{path} is no TOML: {error}") from error
    tables = content.get("profiles", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise InvalidRequestError(f"{path}: profiles must be tables, as [profiles.name]")
    profiles = {name: _read_profile(path, name, table) for name, table in tables.items()}
    return ProfileFile(path, _text(path, "default", content.get("default")), profiles, _exposed(status))


def _read_profile(path: Path, name: str, table: Mapping[str, Any]) -> Profile:
    where = f"profiles.{name}."
    flags = {key: table.get(key) for key in ("allow_http", "keyring")}
    if not all(flag is None or isinstance(flag, bool) for flag in flags.values()):
        raise InvalidRequestError(f"{path}: {where}allow_http and {where}keyring must be true or false")
    return Profile(
        name,
        url=_text(path, f"{where}url", table.get("url")) or "",
        dialect=_text(path, f"{where}dialect", table.get("dialect")),
        rate_limit=_text(path, f"{where}rate_limit", table.get("rate_limit")),
        allow_http=flags["allow_http"],
        api_key=_text(path, f"{where}api_key", table.get("api_key")),
        keyring=bool(flags["keyring"]),
        shared_limits=hide(_text(path, f"{where}shared_limits", table.get("shared_limits"))),
        proxy=hide(_text(path, f"{where}proxy", table.get("proxy"))),
        ca=_text(path, f"{where}ca", table.get("ca")),
        cert=_text(path, f"{where}cert", table.get("cert")),
    )


def _text(path: Path, where: str, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidRequestError(f"{path}: {where} must be text")
    return value


def _exposed(status: os.stat_result) -> str | None:
    if os.name == "nt":
        return None  # on Windows the folder's access list protects the file, and the mode says nothing
    if status.st_uid not in {os.getuid(), 0}:
        return "it belongs to another user"
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return f"others can get at it (mode {stat.S_IMODE(status.st_mode):o})"
    return None


def remember_dialect(path: Path, name: str, dialect: str) -> None:
    """Write the detected dialect into a profile, which saves one request the next time.

    One line is added, and comments and everything else stay. If that is not certain to work (an inline table,
    a file of another user), nothing is written.
    """
    with suppress(OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        path = path.resolve(strict=True)  # a link to the file stays
        before = path.read_bytes()
        text = decoded(before)
        wanted = tomllib.loads(text)
        table = wanted.get("profiles", {}).get(name)
        if not isinstance(table, dict) or "dialect" in table or not _is_ours(path):
            return
        table["dialect"] = dialect
        for head in re.finditer(r"^[ \t]*\[.+\][^\r\n]*(\r?\n|$)", text, re.MULTILINE):
            end = head[1] or "\n"
            with_it = f'{text[: head.start(1)]}{end}dialect = "{dialect}"{end}{text[head.end() :]}'
            # The line in brackets may be a part of a long text, or the head of another table: compare.
            with suppress(tomllib.TOMLDecodeError):
                # Nor is anything overwritten that somebody has written meanwhile.
                if tomllib.loads(with_it) == wanted and path.read_bytes() == before:
                    with replacing(path) as aside:
                        aside.write_bytes(with_it.encode())
                        shutil.copymode(path, aside)
                    return


def _is_ours(path: Path) -> bool:
    return os.name == "nt" or path.stat().st_uid == os.getuid()
