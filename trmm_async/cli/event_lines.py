"""Prints events: a line for people, a row for programs.

Below: `forms`, `output`, `text`. Above: the commands.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import trmm_async as sdk
from trmm_async.cli.forms import Showing
from trmm_async.cli.output import screen
from trmm_async.cli.rows import plain
from trmm_async.cli.text import clean, local, one_line

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["row_of", "shown", "told_of"]


def shown(form: Showing, emit: Callable[[object], None], names: Mapping[str, str]) -> Callable[[Any], None]:
    """Make a function that prints one event. `names`: host names by agents' ids, for events without one."""
    if form.in_words:
        return lambda event: screen().print(told_of(event, names))
    return lambda event: emit(row_of(event, names))


def row_of(event: Any, names: Mapping[str, str]) -> dict[str, Any]:
    """The event as a row for programs: its class, its agent's host name, and its fields."""
    row = {"event": type(event).__name__, **plain(event)}
    return {**row, "hostname": event.hostname or names.get(event.agent_id)}


def told_of(event: Any, names: Mapping[str, str]) -> "Text":
    """The event as a line for people."""
    from rich.text import Text

    style, words = _words(event)
    when = getattr(event, "time", None) or datetime.now(UTC)
    who = clean(names.get(event.agent_id) or event.hostname or event.agent_id)
    head = Text(f"{local(when):%H:%M:%S}  {who}  ", end="")
    return head + Text(one_line(clean(words)), style=style)


def _words(event: Any) -> tuple[str, str]:
    match event:
        case sdk.AgentOnline():
            told = ("green", "came online")
        case sdk.AgentOffline():
            told = ("red", "went offline")
        case sdk.AlertEvent(alert=alert):
            state = "resolved" if alert.resolved else "snoozed" if alert.snoozed else alert.severity
            told = ("yellow", f"alert {alert.id}, {state}: {alert.message}")
        case sdk.ScriptOutput(output=output, done=True, exit_code=code):
            told = ("cyan", f"script ended with {code}{output and ': '}{output}")
        case sdk.ScriptOutput(output=output):
            told = ("cyan", f"script says {output}")
        case sdk.Gap(since=since, until=until, dropped=dropped):
            lost = f", {dropped} events lost" if dropped else ""
            told = ("magenta", f"out of sight from {local(since):%X} to {local(until):%X}{lost}")
        case sdk.Live():
            told = ("dim", "up to date again")
        case sdk.Ended(error=error):
            told = ("red", f"no more events: {error}")
        case _:
            told = ("dim", str(plain(event)))
    return told
