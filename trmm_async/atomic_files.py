"""Files that are complete or not there: they are written beside their place, and renamed into it.

Imports nothing of the package. Used by the file of profiles, the configuration's folder, installers, and the
command line.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["replace_file", "replacing"]


@contextmanager
def replacing(path: Path, mode: int = 0o600) -> Iterator[Path]:
    """Give a new, empty file in the same folder. It replaces `path` at the end of the block.

    After an error it is removed, and `path` is as it was. A link at `path` is replaced, not followed.

    Args:
        path: the file to replace; its folder exists.
        mode: the new file's permissions, from which the system subtracts the umask.

    Raises:
        OSError: the file can't be made or renamed.
    """
    aside = path.with_name(f".{secrets.token_hex(8)}.part")
    # Exclusively: no file or link that somebody has put there is opened.
    os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    try:
        yield aside
        aside.replace(path)
    except BaseException:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file. When it returns the data is on disk: after a crash either the old or the new is there.

    For the arguments and errors see `replacing`.
    """
    with replacing(path, mode) as aside, aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
