"""A file for each host of a run, with what it printed: under a name that is safe, whatever hosts are called.

Below: `files`, `exits`. Above: `following`, and the commands that show outcomes.
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
"""Bytes of one name; file systems allow 255, and some, encrypted ones, 143."""

_UNFIT: Final = re.compile(r"[^\w.@+-]")
_RESERVED: Final = re.compile(r"(?i)(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)")
"""What Windows takes for a device, whatever stands behind the dot."""

_TITLES: Final = {"failed": "did not run", "unknown": "may have run", "skipped": "not tried"}


class HostFiles:
    """Writes a file for each host into one folder, for its owner alone, each whole or not at all.

    A file has what the host printed: stdout, then stderr. Of a host that did not run it says why, in a line
    that begins with "trmm: ". What was there under the same name before is replaced.

    Args:
        folder: where; it is made, for its owner alone.
        hosts: host names, by agents' ids; the others are called by their ids.

    Raises:
        CommandError: nothing can be written there.
    """

    def __init__(self, folder: Path, hosts: Mapping[str, str]) -> None:
        self._folder = folder
        self._names = file_names(hosts)
        self._taken = set(map(_key, self._names.values()))
        with reporting(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            TemporaryFile(dir=folder).close()  # a run must not begin if nothing can be written here

    def write(self, row: Mapping[str, Any]) -> Path:
        """Write what came of one host, as a row for programs has it; the path.

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
        """What its file is called; of one that nobody has named, by its id."""
        if agent_id not in self._names:
            name = self._names[agent_id] = _free(_safe(agent_id), self._taken)
            self._taken.add(_key(name))
        return self._names[agent_id]


def file_names(hosts: Mapping[str, str]) -> dict[str, str]:
    """A name for the file of each agent, by the agents' ids; no two the same, in upper or lower case. Pure.

    It is the host's name, without what is no letter, digit, or one of `.@+-_`. Where several would have the
    same, each has its agent's id behind it.
    """
    safe = {agent_id: _safe(host) for agent_id, host in hosts.items()}
    times = Counter(map(_key, safe.values()))
    names = {who: name for who, name in safe.items() if times[_key(name)] == 1}
    taken = set(map(_key, names.values()))
    for who in sorted(safe.keys() - names.keys()):
        # No name of a host has a tilde: so it is none of theirs.
        half = _LONGEST // 2
        names[who] = _free(f"{_cut(safe[who], half)}~{_cut(_safe(who), half)}", taken)
        taken.add(_key(names[who]))
    return names


def _safe(text: str) -> str:
    """One part of a path that is no other part of one, hides from nobody, and is no device."""
    name = _UNFIT.sub("_", unicodedata.normalize("NFC", text))
    name = _cut(name, _LONGEST).strip(".") or "_"
    return f"_{name}" if _RESERVED.match(name) or name.startswith("-") else name


def _key(name: str) -> str:
    """What is the same for names that some file system takes for one."""
    return comparable(name.upper())


def _cut(name: str, most: int) -> str:
    return name.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


def _free(name: str, taken: "set[str]") -> str:
    number, found = 1, name
    while _key(found) in taken:
        number += 1
        found = f"{name}~{number}"
    return found
