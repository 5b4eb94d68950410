"""Writes the file of profiles, which `trmm_async.profiles` reads.

Below: `files`. Above: the commands.
"""

import tomllib
from contextlib import suppress
from typing import Any, Final

from trmm_async.cli.files import output_file
from trmm_async.profiles import ProfileFile
from trmm_async.saved_text import code_page, decoded

__all__ = ["write_profile_file"]

_SETTINGS: Final = (
    "url", "dialect", "rate_limit", "allow_http", "api_key", "keyring", "shared_limits", "proxy", "ca",
    "cert",
)  # fmt: skip
"""The settings of a profile that we write. Whatever else is in its table stays."""


def write_profile_file(book: ProfileFile) -> None:
    """Write the file, completely or not at all, and readable by its owner only. A link to it stays.

    Comments stay, and so does whatever is in the file besides profiles.

    Raises:
        CommandError: it can't be written.
    """
    book.checked()
    with output_file(book.path, private=True) as aside:
        aside.write_bytes(_text(book).encode())


def _text(book: ProfileFile) -> str:
    """The new text of the file: the old one edited, or else written anew, without its comments."""
    import tomlkit

    before = ""
    with suppress(FileNotFoundError):
        before = decoded(book.path.read_bytes(), code_page())
    wanted = _changed(tomllib.loads(before), book)
    # An edit may fail or say something else: an inline table can't hold another table, and keys with dots may
    # end up below a table that they don't belong to.
    with suppress(ValueError, KeyError):
        text = tomlkit.dumps(_changed(tomlkit.parse(before), book))
        if tomllib.loads(text) == wanted:
            return text
    return tomlkit.dumps(wanted)


def _changed(document: Any, book: ProfileFile) -> Any:
    if book.default:
        document["default"] = book.default
    else:
        document.pop("default", None)
    profiles = document.setdefault("profiles", {})
    for name in [name for name in profiles if name not in book.profiles]:
        del profiles[name]
    for name, profile in sorted(book.profiles.items()):
        table = profiles.setdefault(name, {})
        for setting in _SETTINGS:
            value = getattr(profile, setting)
            if value is None or (setting == "keyring" and not value):
                table.pop(setting, None)
            elif table.get(setting) != value:
                table[setting] = value
    return document
