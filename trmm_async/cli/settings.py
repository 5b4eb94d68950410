"""Writing the file of profiles. Reading it, and what is in force, is `trmm_async.profiles`.

Below: `exits`. Above: the commands.
"""

import tomllib
from contextlib import suppress
from typing import Any, Final

from trmm_async.cli.exits import CommandError, Exit
from trmm_async.profiles import Book, Profile, replace_file
from trmm_async.saved_text import code_page, decoded

__all__ = ["write_book"]


def write_book(book: Book) -> None:
    """Write the file, for its owner alone, whole or not at all. Behind a link it stays behind it.

    Comments, and what is in it besides profiles, stay.
    """
    book.checked()
    try:
        replace_file(book.path, _text(book).encode())
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
