"""The switches of a running simulator: everything that a test can do to it from outside.

Below: `world.py`, `faults.py`, `events.py`, `scripts.py`, each of which does what it is told here. Above:
`simulator.py`, which adds the life cycle. All switches are synchronous, take effect at once, and may be used
before the simulator is started. An unknown agent, alert or script is a `LookupError`.
"""

from __future__ import annotations

import email.utils
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from .events import refusal_rule
from .faults import PROXY_STATUSES, Cut, Delay, Failure, Fault, Garbage, Refusal
from .gate import PERMISSIONS, Restriction, new_key
from .scripts import Behaviour

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .downloads import Downloads
    from .events import Hub
    from .faults import CutPoint, Faults
    from .gate import Gate
    from .nouns import Agent
    from .scripts import Playbook, ScriptHandler
    from .stock.losses import Losses
    from .world import World

__all__ = ["Switches"]

RetryAfter = float | str | datetime
KeyFault = Literal["expired", "inactive"]
CLOSE_STATUS = {4401: 401, 4403: 403, 4003: 403}


class Switches:
    """What a test can do to a simulator."""

    world: World
    _faults: Faults
    _hub: Hub
    _losses: Losses
    _gate: Gate
    _playbook: Playbook
    _downloads: Downloads

    # -- agents and alerts -----------------------------------------------------------------------------------

    def go_offline(self, agent_id: str) -> None:
        """Lose an agent: subscribers get `agent.offline`, and the runs in progress on it are lost."""
        self.world.go_offline(agent_id)

    def come_online(self, agent_id: str) -> None:
        """Bring an agent back: subscribers get `agent.online`."""
        self.world.come_online(agent_id)

    def add_agent(self, *, hostname: str | None = None, site: int | None = None) -> Agent:
        """Have one more agent turn up, online, at a site or any of them, and return its record.

        A change to a field of the record shows in the next answer.
        """
        return self.world.add_agent(hostname=hostname, site=site)

    def raise_alert(
        self,
        agent_id: str,
        severity: str = "error",
        message: str = "Simulated alert",
        alert_type: str = "check",
    ) -> int:
        """Raise an alert, which subscribers of the agent get as `alert`, and return its id."""
        raised = self.world.raise_alert(agent_id, severity=severity, message=message, alert_type=alert_type)
        return raised.id

    def resolve_alert(self, alert_id: int) -> None:
        """Resolve an alert; subscribers get it again, resolved. A second time nothing happens."""
        self.world.resolve_alert(alert_id)

    # -- scripts ---------------------------------------------------------------------------------------------

    def script(
        self,
        script_id: int,
        *,
        seconds: float | None = None,
        stdout: str | None = None,
        stderr: str | None = None,
        retcode: int | None = None,
        lines: Sequence[str] | None = None,
        handler: ScriptHandler | None = None,
        agent_id: str | None = None,
    ) -> None:
        """Set how a script behaves, on all agents or with `agent_id` on one of them.

        What is not given stays as it is: the script's own output, return code 0, a duration out of
        `script_seconds`. What is set for one agent goes before what is set for all. Each call replaces an
        earlier one for the same script and agent. `lines` are the standard output line by line, without their
        line ends. `handler` is called with the `Run` at its beginning and returns a `ScriptReply`; it decides
        everything by itself. ValueError if words are given that contradict each other.
        """
        self.world.script(script_id)
        if agent_id is not None:
            self.world.agent(agent_id)
        if lines is not None and stdout is not None:
            raise ValueError("give stdout or lines, not both")
        if handler is not None and (seconds, stdout, stderr, retcode, lines) != (None,) * 5:
            raise ValueError("a handler decides everything: give it alone")
        text = stdout if lines is None else "".join(f"{line.removesuffix(chr(10))}\n" for line in lines)
        self._playbook.set(script_id, agent_id, Behaviour(seconds, text, stderr, retcode, handler))

    def add_script(self, name: str, *, shell: str = "powershell", description: str = "") -> int:
        """Add a script to the library and return its id; unless told otherwise it prints its arguments."""
        return self.world.add_script(name, shell=shell, description=description).id

    # -- faults of calls -------------------------------------------------------------------------------------

    def fail(
        self,
        method: str,
        path: str,
        *,
        status: int = 500,
        times: int | None = 1,
        after: bool = False,
        html: bool | None = None,
        body: bytes | str | Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: RetryAfter | None = None,
    ) -> Fault:
        """Answer the next `times` matching requests (None: all of them) with an error.

        `after=False`: the request had no effect and counted in no limit. `after=True`: the call took effect
        (the script ran, the alert is resolved) and only its answer is replaced. A call that the server
        refuses anyway has no effect: it gets the server's own answer and leaves the rule for the next one.

        `method` may be `"*"`; `path` is a part of the request's path or, with a `*` in it, a pattern for the
        whole. The body is the server's JSON, or a proxy's page for 502, 503 and 504, unless `html` or `body`
        say otherwise. `retry_after` is seconds, a string to be sent as it is, or a datetime to be sent as a
        date.

        Rules strike in the order of their writing. The rule that is returned counts its `hits`, and ends with
        `remove()` or with the block it is used in.
        """
        page = status in PROXY_STATUSES if html is None else html
        sent = dict(headers or {})
        if retry_after is not None:
            sent["Retry-After"] = _retry_after(retry_after)
        return self._rule(method, path, Failure(status, page, _bytes(body), sent), times, after=after)

    def answer(
        self,
        method: str,
        path: str,
        *,
        status: int = 200,
        body: bytes | str = b"",
        content_type: str = "application/json",
        times: int | None = 1,
        after: bool = False,
    ) -> Fault:
        """Answer the next `times` matching requests with these bytes, readable or not; else as `fail`."""
        content = body.encode() if isinstance(body, str) else body
        return self._rule(method, path, Garbage(status, content, content_type), times, after=after)

    def cut(
        self, method: str, path: str, *, times: int | None = 1, after: bool = True, at: CutPoint = "answer"
    ) -> Fault:
        """Close the connection on the next `times` matching requests.

        `at="answer"` closes it before the first byte of an answer, `"reset"` likewise but with a TCP reset,
        `"body"` after half of the body: an array in chunks without an end, anything else against a
        Content-Length that is never reached. Else as `fail`, but `after` is true unless you say otherwise.
        """
        return self._rule(method, path, Cut(at), times, after=after)

    def slow(
        self, method: str, path: str, seconds: float, times: int | None = 1, *, after: bool = True
    ) -> Fault:
        """Delay the next `times` matching requests by some seconds.

        The time passes before their effect or, with `after`, between it and the answer. A request may meet a
        delay and one other fault.
        """
        return self._rule(method, path, Delay(seconds), times, after=after)

    def _rule(
        self,
        method: str,
        path: str,
        effect: Failure | Garbage | Cut | Delay,
        times: int | None,
        *,
        after: bool,
    ) -> Fault:
        return self._faults.add(Fault(method, path, effect, times=times, after=after))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The rules that may still strike, the oldest first."""
        return self._faults.pending()

    def clear_faults(self) -> None:
        """Take back every fault rule, those of `refuse_events` included, and every loss of frames."""
        self._faults.clear()
        self._hub.refusals.clear()
        self._losses.clear()

    # -- faults of events ------------------------------------------------------------------------------------

    def drop_events(self, agent_id: str | None = None) -> int:
        """Abort the live event sockets of an agent, or all of them, and return how many there were."""
        return self._hub.drop(agent_id)

    def stall_events(self, agent_id: str | None = None) -> int:
        """Make half-open peers of the live event sockets of an agent, or of all, and return how many.

        The connections stay up, but no ping is answered and no event sent on them any more. A new connection
        works.
        """
        return self._hub.stall(agent_id)

    def refuse_events(
        self,
        agent_id: str | None = None,
        *,
        status: int = 403,
        close_code: int | None = None,
        times: int | None = None,
    ) -> Fault:
        """Turn away whoever subscribes to an agent, or to any, from now on; live sockets are left alone.

        The handshake is answered with `status`; or, with a `close_code` such as 4401, 4403 or 4003, it is
        accepted, one frame `{"error": ..., "status": ...}` is sent, and the socket is closed with that code.
        """
        refusal = Refusal(status if close_code is None else CLOSE_STATUS.get(close_code, status), close_code)
        return self._hub.refusals.add(refusal_rule(agent_id, refusal, times))

    def send_frame(self, agent_id: str, frame: str | bytes) -> int:
        """Send a frame of your own to an agent's subscribers, text or binary; return how many they are."""
        self._hub.publish(agent_id, frame)
        return self._hub.count(agent_id)

    # -- keys and downloads ----------------------------------------------------------------------------------

    def add_key(self, *, username: str | None = None, fault: KeyFault | None = None) -> str:
        """Issue a further API key, with limits of its own, and return it.

        It is `username`'s, or the user's whose key the simulator was started with. A `fault` makes it a key
        that the stock dialect knows and refuses: `"expired"` or `"inactive"`.
        """
        key = new_key(self.world.rng)
        self._gate.keys.add(key)
        self._gate.users[key] = username or self._gate.username
        self._gate.faulty |= {key: fault} if fault else {}
        return key

    def revoke_key(self, key: str | None = None) -> None:
        """Make an API key invalid, or all of them: requests with it get 401 from now on."""
        if key is None:
            self._gate.keys.clear()
        self._gate.keys.discard(key or "")

    def restrict(self, *permissions: str) -> Restriction:
        """Take permissions from every key: calls that need one of them get 403 until that is lifted.

        The names are those of Tactical RMM's roles, such as `"can_run_scripts"`; ValueError names the choice.
        What is returned lifts the restriction with `lift()`, or at the end of its block.
        """
        if unknown := set(permissions) - PERMISSIONS:
            choice = ", ".join(sorted(PERMISSIONS))
            msg = f"no such permission: {', '.join(sorted(unknown))}; there are {choice}"
            raise ValueError(msg)
        return Restriction(self._gate, permissions)

    def installer(self, deployment_id: int) -> bytes:
        """Return the bytes of an active deployment's installer, to compare a download with."""
        return self._downloads.content(self.world.deployment(deployment_id))

    @property
    def download_redirects(self) -> int:
        """How many redirects lead to an installer; 0 unless set."""
        return self._downloads.redirects

    @download_redirects.setter
    def download_redirects(self, hops: int) -> None:
        self._downloads.redirects = hops

    @property
    def download_redirect_to(self) -> str | None:
        """Where the last redirect of a download leads to; None, unless set, is this server itself.

        Without a path it is another host on which the installer has the same path, for instance this server
        by another name: `f"http://localhost:{port}"`.
        """
        return self._downloads.redirect_to

    @download_redirect_to.setter
    def download_redirect_to(self, url: str | None) -> None:
        self._downloads.redirect_to = url


def _bytes(body: bytes | str | Mapping[str, object] | None) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def _retry_after(value: RetryAfter) -> str:
    if isinstance(value, datetime):
        return email.utils.format_datetime(value.astimezone(UTC), usegmt=True)
    return value if isinstance(value, str) else f"{value:g}"
