"""A file for each host of a run, with its output. The file names are safe, whatever the hosts are called.

Below: `files`. Above: `run_follower`, and the commands that show outcomes.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

from trmm_async.cli.files import output_file, reporting
from trmm_async.plaintext import comparable

__all__ = ["HostFiles", "file_names"]

_LONGEST: Final = 120
"""Bytes of a file name. File systems allow 255, and some that encrypt names 143."""

_UNFIT: Final = re.compile(r"[^\w.@+-]")
_RESERVED: Final = re.compile(r"(?i)(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)")
"""Names that are devices on Windows, with any ending."""

_TITLES: Final = {"failed": "did not run", "unknown": "may have run", "skipped": "not tried"}


class HostFiles:
    """Writes a file for each host into one folder, completely or not at all. Only the owner can read them.

    A file has the host's stdout, then its stderr. If nothing ran there, it has a line that begins with
    "trmm: " and says why. A file of the same name is replaced.

    Args:
        folder: the folder; it is made if there is none.
        hosts: host names, by agents' ids. Files of other agents are called by their ids.

    Raises:
        CommandError: nothing can be written into the folder.
    """

    def __init__(self, folder: Path, hosts: Mapping[str, str]) -> None:
        self._folder = folder
        self._names = file_names(hosts)
        self._taken = set(map(_key, self._names.values()))
        with reporting(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            TemporaryFile(dir=folder).close()  # a run must not begin if nothing can be written here

    def write(self, row: Mapping[str, Any]) -> Path:
        """Write the file of one host, from the row of its outcome. Returns the path.

        Raises:
            CommandError: it can't be written.
        """
        path = self._folder / f"{self._name(str(row['agent_id']))}.txt"
        if row["outcome"] == "done":
            text = f"{row['stdout'] or ''}{row['stderr'] or ''}"
        else:
            why = ": ".join(filter(None, (row["error"], row["reason"])))
            text = f"trmm: {_TITLES[row['outcome']]}: {why}\n"
        with output_file(path, private=True, through_link=False) as aside:
            aside.write_bytes(text.encode("utf-8", "replace"))
        return path

    def _name(self, agent_id: str) -> str:
        """The name of the agent's file, without its ending."""
        if agent_id not in self._names:
            name = self._names[agent_id] = _free(_safe(agent_id), self._taken)
            self._taken.add(_key(name))
        return self._names[agent_id]


def file_names(hosts: Mapping[str, str]) -> dict[str, str]:
    """The names of the agents' files, by the agents' ids. They differ also if case is ignored. Pure.

    A name is the host's, in which everything but letters, digits and `.@+-_` is replaced. If several would be
    the same, each also has its agent's id.
    """
    safe = {agent_id: _safe(host) for agent_id, host in hosts.items()}
    times = Counter(map(_key, safe.values()))
    names = {who: name for who, name in safe.items() if times[_key(name)] == 1}
    taken = set(map(_key, names.values()))
    for who in sorted(safe.keys() - names.keys()):
        # Host names have no tilde, so that this is no other host's name.
        half = _LONGEST // 2
        names[who] = _free(f"{_cut(safe[who], half)}~{_cut(_safe(who), half)}", taken)
        taken.add(_key(names[who]))
    return names


def _safe(text: str) -> str:
    """The text as one part of a path: no `..`, no hidden file, no device, no option."""
    name = _UNFIT.sub("_", unicodedata.normalize("NFC", text))
    name = _cut(name, _LONGEST).strip(".") or "_"
    return f"_{name}" if _RESERVED.match(name) or name.startswith("-") else name


def _key(name: str) -> str:
    """A key that is equal for names which some file system takes for the same."""
    return comparable(name.upper())


def _cut(name: str, most: int) -> str:
    return name.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


def _free(name: str, taken: "set[str]") -> str:
    number, found = 1, name
    while _key(found) in taken:
        number += 1
        found = f"{name}~{number}"
    return found
