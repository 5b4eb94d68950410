"""The outcomes of a run as one self-contained page of HTML: no network, no other file, no server. Pure.

Everything that is shown is in the HTML itself; the page's script only filters it. The output of a script is
shown as text: it is escaped, its control characters are removed, and the page's content security policy
allows only the one script whose digest it names.
"""

import difflib
import math
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Final

from trmm_async.fleet.reports import Group
from trmm_async.models import Agent
from trmm_async.outcomes import Counts
from trmm_async.plaintext import clean, comparable, one_line

__all__ = ["page"]

_LONGEST: Final = 200_000
"""At most so many characters of one output are shown."""

_COMPARED: Final = 50
"""So many groups, at most, are compared with the largest."""

_LINES: Final = 2_000
"""Longer outputs, in lines, are not compared: the time grows with the product of both lengths."""

_BARS: Final = 24
_NAMES: Final = 300
_WORDS: Final = {
    "failed": ("did not run", "bad"),
    "unknown": ("may have run", "lost"),
    "skipped": ("not tried", "odd"),
}


def page(
    groups: Sequence[Group],
    counts: Counts,
    agents: Iterable[Agent],
    *,
    title: str,
    when: datetime,
    good: frozenset[int | None] = frozenset({0, None}),
) -> str:
    """Make the page, to be written as UTF-8.

    Args:
        groups: the outcomes, grouped.
        counts: how many targets have which state.
        agents: agents whose host names and clients are shown; other targets are shown by their ids.
        title: what was run.
        when: when it is written.
        good: the return codes that are successes.
    """
    of = {agent.agent_id: agent for agent in agents}
    times = Counter(comparable(agent.hostname) for agent in of.values())
    names = {
        who: one.hostname if times[comparable(one.hostname)] == 1 else f"{one.hostname} ({who})"
        for who, one in of.items()
    }
    clients = {who: one.client.name for who, one in of.items()}
    body = (
        _head(title, when, counts),
        _filters(groups, clients),
        _plot(groups),
        "<h2 id=groups>What they said</h2>",
        '<div id="said">',
        *(_group(number, group, groups[0], names, good) for number, group in enumerate(groups)),
        '</div><button type="button" id="further" hidden></button>',
        _table(groups, names, clients, good),
    )
    style, script = _asset("report.css"), _asset("report.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{_text(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        + "\n".join(filter(None, body))
        + f"\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _text(text: str) -> str:
    """A line of text, for any place in the page."""
    return escape(one_line(clean(text)).encode("utf-8", "replace").decode())


def _many(text: str) -> str:
    shown = clean(text[:_LONGEST]).encode("utf-8", "replace").decode()
    more = f"\n… ({len(text) - _LONGEST:,} more letters are not shown here)" if len(text) > _LONGEST else ""
    return escape(shown + more)


@cache
def _asset(name: str) -> str:
    return (files("trmm_async.fleet") / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _head(title: str, when: datetime, counts: Counts) -> str:
    told = (
        ("targets", counts.total, ""), ("ran", counts.done, "good"), ("did not run", counts.failed, "bad"),
        ("may have run", counts.unknown, "lost"), ("not tried", counts.skipped, "odd"),
        ("pending", counts.pending, "odd"),
    )  # fmt: skip
    items = "".join(
        f'<li><b class="{style}">{count}</b> {name}</li>'
        for name, count, style in told
        if count or name == "targets"
    )
    return (
        '<a class="skip" href="#groups">To what they said</a>\n'
        f'<h1>{_text(title)}</h1>\n<p class="when">{when:%Y-%m-%d %H:%M %Z}</p>\n'
        f'<ul class="counts">{items}</ul>'
    )


def _filters(groups: Sequence[Group], clients: Mapping[str, str]) -> str:
    there = {clients[who] for group in groups for who in group.agent_ids if who in clients}
    of_clients = "".join(f"<option>{_text(name)}</option>" for name in sorted(there, key=str.casefold))
    codes = dict.fromkeys(map(_code, sorted(groups, key=lambda one: (one.kind, one.retcode or 0))))
    of_codes = "".join(f"<option>{_text(code)}</option>" for code in codes)
    return (
        '<form id="filters" hidden>'
        '<label>Host or output<input id="words" type="search" autocomplete="off"></label>'
        f'<label>Client<select id="client"><option value="">all</option>{of_clients}</select></label>'
        f'<label>Outcome<select id="code"><option value="">all</option>{of_codes}</select></label>'
        '<button type="reset">All again</button><output id="told" role="status"></output></form>'
    )


def _code(group: Group) -> str:
    if group.kind in _WORDS:
        return _WORDS[group.kind][0]
    return "done" if group.retcode is None else f"return code {group.retcode}"


def _style(group: Group, good: frozenset[int | None]) -> str:
    return _WORDS[group.kind][1] if group.kind in _WORDS else "good" if group.retcode in good else "odd"


def _group(
    number: int, group: Group, first: Group, names: Mapping[str, str], good: frozenset[int | None]
) -> str:
    hosts = sorted((names.get(who, who) for who in group.agent_ids), key=str.casefold)
    more = f", and {len(hosts) - _NAMES} more: see the table" if len(hosts) > _NAMES else ""
    few = ", ".join(hosts[:3]) + (f", and {len(hosts) - 3} more" if len(hosts) > 3 else "")
    opened = " open" if number < 5 else ""
    return (
        f'<details id="g{number}" data-group="{number}"{opened}>'
        f'<summary><b>{len(hosts)}</b> <span class="{_style(group, good)}">{_code(group)}</span>: '
        f'<span class="soft">{_text(few)}</span></summary>'
        f'<p class="hosts">{_text(", ".join(hosts[:_NAMES]) + more)}</p>'
        f"{_difference(number, group, first)}<pre>{_many(group.output)}</pre></details>"
    )


def _difference(number: int, group: Group, first: Group) -> str:
    """How the output of this group differs from that of the largest group."""
    if not 0 < number <= _COMPARED or not (group.kept and first.kept) or group.kind != first.kind:
        return ""
    before, after = first.output[:_LONGEST].splitlines(), group.output[:_LONGEST].splitlines()
    if max(len(before), len(after)) > _LINES or before == after:
        return ""
    lines = []
    for line in list(difflib.unified_diff(before, after, lineterm="", n=2))[2:]:
        shown = _many(line)
        mark = {"+": "ins", "-": "del"}.get(line[:1])
        lines.append(f"<{mark}>{shown}</{mark}>" if mark else f"{shown}\n")
    return (
        "<details><summary>How it differs from the largest group</summary>"
        f"<pre>{''.join(lines)}</pre></details>"
    )


def _plot(groups: Sequence[Group]) -> str:
    """A histogram of the execution times."""
    took = [seconds for group in groups for seconds in group.seconds if not math.isnan(seconds)]
    if not took:
        return ""
    longest = max(took) or 0.001
    bars = Counter(min(int(max(each, 0.0) / longest * _BARS), _BARS - 1) for each in took)
    most, width, drawn = max(bars.values()), 600 / _BARS, []
    for place, count in sorted(bars.items()):
        height = 120 * count / most
        span = f"{longest * place / _BARS:.2f} to {longest * (place + 1) / _BARS:.2f} s: {count}"
        drawn.append(
            f'<rect x="{20 + place * width:.1f}" y="{140 - height:.1f}" width="{width - 2:.1f}" '
            f'height="{height:.1f}"><title>{span}</title></rect>'
        )
    middle = sorted(took)[len(took) // 2]
    said = f"{len(took)} took {min(took):.2f} to {longest:.2f} s, half of them at most {middle:.2f} s"
    return (
        f'<h2>How long it took</h2><svg viewBox="0 0 640 165" role="img" aria-label="{said}">{"".join(drawn)}'
        f'<text x="20" y="158">0 s</text><text x="620" y="158" text-anchor="end">{longest:.2f} s</text>'
        f'<text x="20" y="14">{most}</text></svg><p class="soft">{said}.</p>'
    )


def _table(
    groups: Sequence[Group],
    names: Mapping[str, str],
    clients: Mapping[str, str],
    good: frozenset[int | None],
) -> str:
    rows = []
    for number, group in enumerate(groups):
        code, style = _text(_code(group)), _style(group, good)
        for who, seconds in zip(group.agent_ids, group.seconds, strict=True):
            client = _text(clients.get(who, ""))
            took = "" if math.isnan(seconds) else f"{seconds:.2f}"
            rows.append(
                f'<tr data-group="{number}" data-client="{client}" data-code="{code}">'
                f"<td>{_text(names.get(who, who))}<td>{client}"
                f'<td class="{style}">{code}<td class=number>{took}'
                f'<td><a href="#g{number}" data-to="{number}">group {number + 1}</a>'
            )
    return (
        '<h2>Targets</h2><div class="table"><table id="targets"><thead><tr><th scope=col>Host'
        "<th scope=col>Client<th scope=col>Outcome<th scope=col class=number>Seconds<th scope=col>Said"
        f"</thead><tbody>{''.join(rows)}</tbody></table></div>"
        '<button type="button" id="more" hidden></button>'
    )
