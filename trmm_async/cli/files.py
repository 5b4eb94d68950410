"""Files that commands write: complete or not there, and what to say if they can't be written.

Below: `exits`. Above: `settings`, `tables`, and the commands that write files.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trmm_async.atomic_files import replacing
from trmm_async.cli.exits import CommandError, Exit

__all__ = ["output_file", "reporting"]


@contextmanager
def output_file(path: Path, *, private: bool = False, through_link: bool = True) -> Iterator[Path]:
    """Give an empty file to write into. It replaces `path` at the end; after an error it is removed.

    Args:
        path: the file to replace. Its folder is made if there is none.
        private: whether only the owner may read the file.
        through_link: whether a link at `path` stays, and the file that it points to is replaced.

    Raises:
        CommandError: it can't be written.
    """
    path = Path(os.path.realpath(path)) if through_link else Path(os.path.realpath(path.parent), path.name)
    with reporting(path):
        path.parent.mkdir(mode=0o700 if private else 0o777, parents=True, exist_ok=True)
        with replacing(path, 0o600 if private else 0o666) as aside:
            yield aside


@contextmanager
def reporting(path: Path) -> Iterator[None]:
    """Turn an `OSError` in the block into a `CommandError` that names this file."""
    try:
        yield
    except OSError as error:
        raise CommandError(Exit.FAILED, f"{path} can't be written: {error.strerror or error}") from error
