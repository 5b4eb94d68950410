"""`python -m benchmarks.plot result.json picture.svg`: a run's ratios as one picture, rivals beside ours."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.report import Report, Row, number

_OURS, _TARGET, _RIVAL = "#1f6f8b", "#c0392b", "#9aa5ab"
_MARKS: Final = "osD^vPX*<>"


def draw(found: Report, path: Path) -> None:
    """Write the picture of all rows that are ratios."""
    rows = [row for row in found.rows if row.unit == "×"][::-1]
    # The same run gives the same file: text as text, no date, no random names.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "trmm_async", "font.family": "sans-serif"})
    figure = Figure(figsize=(11, 1.5 + 0.42 * len(rows)), layout="constrained")
    axes = figure.subplots()
    rivals = sorted({name for row in rows for name in row.rivals})
    for place, row in enumerate(rows):
        _draw_row(axes, place, row, rivals)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: number(value))
    axes.set_yticks(range(len(rows)), [row.what for row in rows])
    axes.set_xlabel("times the named rival of the row, log scale; 1 is the same, lower is better")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    kinds = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(kinds.values(), kinds.keys(), loc="outside lower center", ncols=4, frameon=False)
    machine = f"{found.machine['processor']}, {found.machine['cores']} cores, {found.machine['python']}"
    axes.set_title(f"{found.taken:%d %B %Y}, {machine}", loc="left", fontsize=10)
    figure.savefig(path, metadata={"Date": None})


def _draw_row(axes: Any, place: int, row: Row, rivals: Sequence[str]) -> None:
    axes.barh(place, row.value, height=0.55, color=_OURS, label="trmm_async")
    axes.annotate(f" {number(row.value)}", (row.value, place), va="center", fontsize=8)
    if row.target is not None:
        axes.plot([row.target] * 2, [place - 0.4, place + 0.4], color=_TARGET, linewidth=2, label="target")
    for name, value in row.rivals.items():
        mark = _MARKS[rivals.index(name) % len(_MARKS)]
        axes.plot(value, place, mark, color=_RIVAL, markersize=6, markeredgecolor="#555555", label=name)


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    draw(Report.load_from(source), target)
