"""Writing the file of profiles. Reading it, and what is in force, is `trmm_async.profiles`.

Below: `exits`. Above: the commands.
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from trmm_async.cli.exits import CommandError, Exit
from trmm_async.profiles import Book, Profile

__all__ = ["write_book"]


def write_book(book: Book) -> None:
    """Write the file anew, for its owner alone, whole or not at all. Behind a link it stays behind it."""
    import tomli_w

    book.checked()
    path = Path(os.path.realpath(book.path))

    content: dict[str, Any] = {"default": book.default} if book.default else {}
    content["profiles"] = {name: _table(profile) for name, profile in sorted(book.profiles.items())}
    folder = path.parent
    aside = None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(".part", ".", folder)  # made with mode 0600
        with os.fdopen(handle, "wb") as file:
            tomli_w.dump(content, file)
        Path(aside).replace(path)
    except OSError as error:
        raise CommandError(Exit.FAILED, f"{book.path} can't be written: {error}") from error
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
    }
    return {name: value for name, value in values.items() if value is not None}
