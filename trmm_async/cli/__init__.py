"""What people run in a terminal (extra `[cli]`): `trmm`, or `python -m trmm_async.cli`.

Over the client. Composed in `app.py`; one file a noun under `commands/`. Only the SDK's public names
are used here, and they are loaded when a command first needs one: `trmm --help` must be quick.
"""

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run `trmm` with these words, or with those of the command line; the exit code, see `exits`."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        from trmm_async.cli.app import run
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich", "platformdirs", "tomlkit", "yaml"}:
            raise
        print(f'trmm: {error.name} is missing: pip install "trmm-async[cli]"', file=sys.stderr)
        return 1
    return run(words)
