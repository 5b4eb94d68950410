"""Files that are whole or not there: written aside, and given their name at the end.

Below: `exits`. Above: `settings`, `tables`, and the commands that write files.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trmm_async.cli.exits import CommandError, Exit

__all__ = ["whole"]


@contextmanager
def whole(
    path: Path, *, private: bool = False, through_link: bool = True, keep: bool = True
) -> Iterator[Path]:
    """Give a file beside it to write into; at the end of the block it takes the name, after an error it goes.

    Args:
        path: the name; behind a link the file that it points to is written.
        private: whether it stays for its owner alone.
        through_link: whether a link stays; without, the file takes its place.
        keep: whether it takes the name at all; without, it is only found out whether it could.
    """
    path = Path(os.path.realpath(path)) if through_link else Path(os.path.realpath(path.parent), path.name)
    aside: Path | None = None
    try:
        path.parent.mkdir(mode=0o700 if private else 0o777, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(".part", ".", path.parent)  # made with mode 0600
        os.close(handle)
        aside = Path(name)
        yield aside
        if not private:
            mask = os.umask(0)
            os.umask(mask)
            aside.chmod(0o666 & ~mask)
        if keep:
            aside.replace(path)
    except OSError as error:
        raise CommandError(Exit.FAILED, f"{path} can't be written: {error.strerror or error}") from error
    finally:
        if aside is not None:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
