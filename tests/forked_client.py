"""In a shell's command line, `python -I -S` of this file: has a program forked, and ends as it does.

The program has this process's streams, environment and folder. Little is imported: that is what it is for.
"""

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def asked(address: str, order: Mapping[str, Any], files: Sequence[int]) -> socket.socket:
    """Have it forked. On that socket come its process id and then its exit code, a line each."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    data = json.dumps(order).encode() + b"\n"
    sent = socket.send_fds(connection, [data], files) if files else 0
    connection.sendall(data[sent:])
    return connection


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    streams = [number for number in range(3) if _is_open(number)]
    _, address, what, *words = sys.argv
    with (
        asked(
            address,
            {
                "what": what,
                "words": words,
                "environment": dict(os.environ),
                "folder": str(os.getcwd()),  # noqa: PTH109 - pathlib takes long to import
                "streams": streams,
            },
            streams,
        ) as connection,
        connection.makefile() as answers,
    ):
        codes = [int(line) for line in answers]
    code = codes[1]
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)  # with nothing of ours to be written
