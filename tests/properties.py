"""How many examples a property is tried with: few in the suite, and more for whoever looks for more.

`EXAMPLES=20 pytest tests/test_codec.py` tries twenty times as many.
"""

import os

__all__ = ["many"]


def many(count: int) -> int:
    """That many, times the variable `EXAMPLES`."""
    return count * int(os.environ.get("EXAMPLES", "1"))
