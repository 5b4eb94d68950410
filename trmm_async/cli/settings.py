"""Writing the file of profiles. Reading it, and what is in force, is `trmm_async.profiles`.

Below: `exits`. Above: the commands.
"""

import os
import re
import shutil
import tempfile
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from trmm_async.cli.exits import CommandError, Exit
from trmm_async.profiles import Book, Profile
from trmm_async.saved_text import code_page, decoded

__all__ = ["remember_dialect", "write_book"]


def write_book(book: Book) -> None:
    """Write the file, for its owner alone, whole or not at all. Behind a link it stays behind it.

    Comments, and what is in it besides profiles, stay.
    """
    book.checked()
    try:
        _replace(book.path, _text(book).encode())
    except OSError as error:
        raise CommandError(Exit.FAILED, f"{book.path} can't be written: {error}") from error


def _text(book: Book) -> str:
    """The file as it is to be: edited where that is certain to say so, else anew, without its comments."""
    import tomlkit

    before = ""
    with suppress(FileNotFoundError):
        before = decoded(book.path.read_bytes(), code_page())
    wanted = _changed(tomllib.loads(before), book)
    # An inline table takes no other; keys with dots come to stand below a table that is none of theirs.
    with suppress(ValueError, KeyError):
        text = tomlkit.dumps(_changed(tomlkit.parse(before), book))
        if tomllib.loads(text) == wanted:
            return text
    return tomlkit.dumps(wanted)


def _changed(document: Any, book: Book) -> Any:
    if book.default:
        document["default"] = book.default
    else:
        document.pop("default", None)
    profiles = document.setdefault("profiles", {})
    for name in [name for name in profiles if name not in book.profiles]:
        del profiles[name]
    for name, profile in sorted(book.profiles.items()):
        table = profiles.setdefault(name, {})
        values = _table(profile)
        for gone in set(_SETTINGS) & table.keys() - values.keys():
            del table[gone]
        for setting, value in values.items():
            if table.get(setting) != value:
                table[setting] = value
    return document


def remember_dialect(path: Path, name: str, dialect: str) -> None:
    """Write the dialect that was found into a profile that somebody has written by hand, without one.

    It saves a request the next time, and no more. So one line is added, comments and all else stay, and where
    that can't be done for certain (an inline table, a file of somebody else) nothing is.
    """
    with suppress(OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        text = decoded(path.read_bytes())
        wanted = tomllib.loads(text)
        table = wanted.get("profiles", {}).get(name)
        if not isinstance(table, dict) or "dialect" in table or not _is_ours(path):
            return
        table["dialect"] = dialect
        for head in re.finditer(r"^[ \t]*\[.+\][^\r\n]*(\r?\n|$)", text, re.MULTILINE):
            end = head[1] or "\n"
            with_it = f'{text[: head.start(1)]}{end}dialect = "{dialect}"{end}{text[head.end() :]}'
            # What is between brackets may be a line of a long text, or name another table: this tells.
            with suppress(tomllib.TOMLDecodeError):
                if tomllib.loads(with_it) == wanted:
                    _replace(path, with_it.encode(), like_before=True)
                    return


def _is_ours(path: Path) -> bool:
    return os.name == "nt" or path.stat().st_uid == os.getuid()


def _replace(path: Path, data: bytes, *, like_before: bool = False) -> None:
    """Put this into the place of a file, for its owner alone, or for whom it was for before."""
    path = Path(os.path.realpath(path))
    folder = path.parent
    aside = None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(".part", ".", folder)  # made with mode 0600
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        if like_before:
            shutil.copymode(path, aside)
        Path(aside).replace(path)
    finally:
        if aside is not None:
            with suppress(OSError):
                Path(aside).unlink(missing_ok=True)


def _table(profile: Profile) -> dict[str, Any]:
    values = {
        "url": profile.url,
        "dialect": profile.dialect,
        "rate_limit": profile.rate_limit,
        "allow_http": profile.allow_http,
        "api_key": profile.api_key,
        "keyring": profile.keyring or None,
        "shared_limits": profile.shared_limits,
        "proxy": profile.proxy,
        "ca": profile.ca,
        "cert": profile.cert,
    }
    return {name: value for name, value in values.items() if value is not None}


_SETTINGS: Final = (
    "url",
    "dialect",
    "rate_limit",
    "allow_http",
    "api_key",
    "keyring",
    "shared_limits",
    "proxy",
    "ca",
    "cert",
)
"""What is ours in a table; whatever else stands there stays."""
