"""Type-check the code on all pages as strictly as the package: `python -m tests.typed_docs`, in `make check`.

It is no test, since behind mypy, whose cache it shares, it takes a tenth of the time.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.test_docs import BLOCKS, ROOT


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        files = [str(block.write(Path(folder))) for block in BLOCKS]
        settings = f"--config-file={ROOT / 'pyproject.toml'}", f"--cache-dir={ROOT / '.mypy_cache'}"
        # From another folder, so that a name of a page is none of the package's.
        done = subprocess.run([sys.executable, "-m", "mypy", *settings, *files], cwd=folder, check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
