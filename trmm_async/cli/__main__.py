"""`python -m trmm_async.cli`: the same as `trmm`."""

import sys

from trmm_async.cli import main

if __name__ == "__main__":
    sys.exit(main())
