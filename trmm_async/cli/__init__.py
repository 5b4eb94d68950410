"""The command line (extra `[cli]`): `trmm`, or `python -m trmm_async.cli`.

`app.py` assembles it; each noun has a file under `commands/`. It uses the SDK's public names, which are
imported when a command first needs them: `trmm --help` must be quick.
"""

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run `trmm` with these words, or with those of the command line. Returns the exit code, see `exits`."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        from trmm_async.cli.app import run
    except ModuleNotFoundError as error:
        from trmm_async.cli.exits import missing_library

        if not (said := missing_library(error)):
            raise
        print(f"trmm: {said}", file=sys.stderr)
        return 1
    return run(words)
