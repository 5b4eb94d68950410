"""The output of a command while it runs, from a server that may lose any part of it.

Over the dialer and the history. `CommandLog` is pure: it decides what the frames of the socket mean, and
whether something may be missing. `CommandStream` does the I/O.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, Self

from trmm_async import arguments
from trmm_async.codec import http_date
from trmm_async.dialects.stock.dialect import VERSION, version_numbers
from trmm_async.dialects.stock.live_commands import (
    NO_AGENT,
    OWN_WORDS,
    CommandFrame,
    CommandOrder,
    CommandSpec,
    Refused,
    Taken,
    Unreadable,
    command_stream,
    refused,
)
from trmm_async.dialects.stock.login import BAD_TOKEN, Token
from trmm_async.errors import (
    AgentSilentError,
    AuthenticationError,
    ClosedError,
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    TRMMError,
    UnsupportedError,
)
from trmm_async.events import CommandOutput
from trmm_async.models import CommandResult, HistoryEntry
from trmm_async.resources.api import Api
from trmm_async.resources.live import new_cmd_id
from trmm_async.stream import SEND_MOST, Link, LinkSettings, Lost, NoLink
from trmm_async.transport import WATCH

__all__ = ["CommandLog", "CommandSettings", "CommandStream", "checked_command", "report_of"]

_GONE: Final = frozenset({"offline", "overdue"})
_SINCE: Final = (1, 4)
_PAUSE_MOST: Final = 5.0
_TIMEOUT_MOST: Final = 86_400
"""One day: connections don't last longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSettings:
    """Times and sizes of a live command.

    Attributes:
        grace: seconds that output has to get here after the server has stopped listening to the agent, which
            it does 2 s after the command's timeout.
        report: seconds that the agent has to report to the server's history in the end, where the live output
            has to be made up for.
        look_every: seconds between the looks at the history, growing.
        burst: how many frames may come in one go before some count as possibly lost. The server's channel
            holds 100 of them and drops the others; of 500 lines at once 17 were lost, of 2,000 466.
        burst_gap: seconds that end a burst when nothing comes for that long. In the recorded bursts the
            frames came 2 ms apart.
    """

    grace: float = 3.0
    report: float = 5.0
    look_every: float = 0.5
    burst: int = 100
    burst_gap: float = 0.05


class CommandLog:
    """The output of one command so far, and whether something may be missing. Pure: the caller passes times.

    Attributes:
        taken: the server has said that it accepted the command.
        done: the agent has said that the command ended, with `exit_code`.
        pieces: the output.
        why: why the output may be incomplete; empty if nothing indicates that.
        refusal: the error, if the server refused the command.
    """

    def __init__(self, settings: CommandSettings) -> None:
        self._settings = settings
        self._in_a_row = 0
        self._last: float | None = None
        self.taken: bool = False
        self.done: bool = False
        self.exit_code: int | None = None
        self.pieces: list[str] = []
        self.why: str = ""
        self.refusal: TRMMError | None = None

    def __repr__(self) -> str:
        state = "done" if self.done else "taken" if self.taken else "not taken"
        return f"<CommandLog {state}, {len(self.pieces)} pieces{self.why and f', {self.why}'}>"

    @property
    def heard(self) -> bool:
        """Whether anything has come from the agent itself."""
        return self.done or bool(self.pieces)

    def note(self, frame: CommandFrame, now: float) -> CommandOutput | None:
        """Take in a frame. Returns it if it is a piece of output."""
        match frame:
            case Refused(error) if self.taken:
                self.miss(f"the server said: {error}")
            case Refused(error):
                self.refusal = self.refusal or error
            case Taken():
                self.taken = True
            case Unreadable():
                self.miss("a frame could not be read")
            case CommandOutput():
                return self._print(frame, now)
        return None

    def miss(self, why: str) -> None:
        """Something may be missing. The first reason is kept."""
        self.why = self.why or why

    def _print(self, piece: CommandOutput, now: float) -> CommandOutput:
        close = self._last is not None and now - self._last <= self._settings.burst_gap
        self._in_a_row = self._in_a_row + 1 if close else 1
        self._last = now
        if self._in_a_row >= self._settings.burst:
            self.miss(f"{self._settings.burst} frames or more came at once, and the server drops some then")
        self.taken = True
        if piece.output:
            self.pieces.append(piece.output)
        if piece.exit_code is not None:
            self.exit_code = piece.exit_code
        self.done = self.done or piece.done
        return piece


def report_of(
    rows: Iterable[HistoryEntry], command: str, since: datetime, pieces: Sequence[str]
) -> tuple[str | None, bool]:
    """The output in the history of a command that was accepted after `since`, by the server's clock.

    Rows of the same command differ only in their output: it counts if all rows that could be ours have the
    same. The second value is whether waiting longer may bring it.
    """
    found = [
        row.output if row.output is None else row.output.replace("\r\n", "\n")
        for row in rows
        if row.type == "cmd_run" and row.command == command and row.time is not None and row.time >= since
    ]
    possible = {output for output in found if output is None or told_by(output, pieces)}
    if len(possible) == 1 and None not in possible:
        return possible.pop(), False
    return None, None in possible or not found


def told_by(report: str, pieces: Sequence[str]) -> bool:
    """Whether an agent's report contains all pieces that came live, in their order."""
    place = 0
    for piece in pieces:
        place = report.find(piece.strip("\n"), place)
        if place < 0:
            return False
        place += len(piece.strip("\n"))
    return True


class CommandStream:
    """A command's output while it runs: enter it, then iterate it, once.

        async with trmm.agents.stream_command(agent, "ipconfig", shell="cmd") as output:
            async for chunk in output:
                print(chunk.output, end="")
        output.result.exit_code

    Entering opens a socket of its own, sends the command, once, and waits until the server has taken or
    refused it. The last piece has `done=True`, always: where the server's own got lost it is made here, and
    holds all of the output if no piece had come before. It ends by itself, at the latest `timeout` + 2 s +
    `settings.grace` (and `settings.report`) after the sending.

    `complete` says whether all output came live, as far as can be told; if not, `why_incomplete` says why,
    and `result.output` is what the agent reported to the server's history, if that can be found and holds all
    that came live (`result.from_history`). What a command prints in its first milliseconds, before the server
    listens, can be lost without a trace.

    Leaving the block early closes the socket; the command goes on.

    Raises, on entering (the command did not run, unless it is the last):
        AuthenticationError: no login, or one that has ended.
        PermissionDeniedError: the user may not send commands to this agent.
        NotFoundError: there is no such agent.
        UnsupportedError: the server is a gateway, or the agent older than 2.10.0.
        BadRequestError: the server can't read the command.
        ConnectionFailedError: no connection.
    Raises, when iterated:
        AgentSilentError: nothing came of the agent, live or in the history; `reason` says whether it is
            offline.
        OutcomeUnknownError: the connection was lost before anything came.
    """

    def __init__(self, api: Api, agent_id: str, order: CommandOrder, settings: CommandSettings) -> None:
        self._api = api
        self._agent_id = agent_id
        self._order = order
        self._settings = settings
        self._entered = False
        self._spec: CommandSpec | None = None
        self._link: Link | None = None
        self._roll: set[Link] = set()
        self._log = CommandLog(settings)
        self._ready: deque[CommandOutput] = deque()
        self._sent_at = 0.0
        self._result: CommandResult | None = None

    def __repr__(self) -> str:
        state = "ended" if self._result else "running" if self._link else "new"
        return f"<CommandStream on {self._agent_id}, {state}>"

    @property
    def result(self) -> CommandResult:
        """What came of the command, once the iteration has ended.

        Raises:
            ClosedError: it has not ended, or ended in an error.
        """
        if self._result is None:
            raise ClosedError("there is no result yet: iterate the output to its end")
        return self._result

    @property
    def complete(self) -> bool:
        """Whether all output has come live, as far as can be told. False until the end."""
        return self._log.done and not self._log.why

    @property
    def why_incomplete(self) -> str:
        """Why output may be missing, in words; empty if it is complete."""
        return self._log.why or ("" if self._log.done else "it has not ended")

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ClosedError("this stream was used already; call agents.stream_command() again")
        self._entered = True
        (await self._api.dialect()).require_stock("agents.stream_command")
        self._spec = spec = command_stream(self._agent_id, self._order)
        if len(spec.opening.encode()) > SEND_MOST:
            raise InvalidRequestError(f"command is too long: it has to fit into {SEND_MOST} bytes")
        try:
            self._link = link = await self._connect(spec)
            self._sent_at = _now()
            await self._send(spec, link)
        except BaseException:
            await self._hang_up()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._hang_up()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CommandOutput:
        if self._link is None or self._spec is None:
            raise ClosedError("enter the stream first: async with agents.stream_command(…) as output")
        if self._result is not None:
            raise StopAsyncIteration
        while not self._ready and not self._log.done and await self._read(self._spec, self._link):
            pass
        if not self._ready:
            return await self._last_piece(self._spec, self._link)
        if self._ready[0].done:
            # Taken after that, so that a cancelled wait loses nothing.
            self._result = await self._result_of(self._spec, self._link, self._settings.report)
        return self._ready.popleft()

    # -- the socket ------------------------------------------------------------------------------------------

    async def _connect(self, spec: CommandSpec) -> Link:
        token = await self._api.tokens.token()
        made = await self._dial(spec, token)
        if isinstance(made, NoLink) and made.status in BAD_TOKEN:
            token = await self._api.tokens.after(token)
            made = await self._dial(spec, token)
        if isinstance(made, NoLink):
            raise await self._no_link(spec, made)
        return made

    async def _dial(self, spec: CommandSpec, token: Token) -> Link | NoLink:
        return await self._api.dialer.dial(spec.path, LinkSettings(), self._roll, query=token.query)

    async def _no_link(self, spec: CommandSpec, made: NoLink) -> TRMMError:
        if made.status in BAD_TOKEN:
            said = "the server refuses a fresh token too: may its user use the dashboard?"
            return AuthenticationError(made.status, said, method="GET", path=spec.path)
        if made.status in NO_AGENT:
            try:
                await self._api.transport.send(spec.statuses)
            except NotFoundError:
                said = f"there is no agent {self._agent_id}: the server has failed, as it does then"
                return NotFoundError(made.status, said, method="GET", path=spec.path)
            except TRMMError:
                return made.error
            return await self._why_failed(made.error)
        return made.error

    async def _why_failed(self, error: TRMMError) -> TRMMError:
        """Why a server fails although the agent exists: if it is too old, it has no such socket."""
        with suppress(TRMMError):
            version = await self._api.transport.send(VERSION.call())
            if version_numbers(version) < _SINCE:
                return UnsupportedError(
                    f"agents.stream_command needs Tactical RMM 1.4.0 or newer, this server is {version}: "
                    "use agents.run_command(…)"
                )
        return error

    async def _send(self, spec: CommandSpec, link: Link) -> None:
        """Send the command, and wait until the server accepts or refuses it, or the connection is lost."""
        unsent: TRMMError | None = None
        if (watch := WATCH.get()) is not None:
            watch.changes()
        try:
            link.send(spec.opening)
        except ConnectionFailedError as failed:
            # A refusal may have come before, and says more.
            unsent = failed
        while not self._log.taken and self._log.refusal is None and await self._read(spec, link):
            pass
        refusal = self._log.refusal
        if refusal is None and not self._log.taken and link.lost is not None and link.lost.code is not None:
            refusal = refused(spec.path, link.lost.code)
        if (error := refusal or unsent) is not None:
            raise error

    async def _read(self, spec: CommandSpec, link: Link) -> bool:
        """Take in the next frames; False if it is not worth waiting for more."""
        frames: list[bytes] = []
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._sent_at + spec.listens + self._settings.grace):
                frames = await link.receive()
        now = _now()
        for frame in frames:
            piece = None if self._log.done else self._log.note(spec.read(frame), now)
            if piece is not None:
                self._ready.append(piece)
        return bool(frames)

    async def _hang_up(self) -> None:
        links = tuple(self._roll)
        for link in links:
            link.hang_up()
        try:
            for link in links:
                await asyncio.shield(link.gone)
        finally:
            for link in links:
                link.abort()

    # -- the end ---------------------------------------------------------------------------------------------

    async def _last_piece(self, spec: CommandSpec, link: Link) -> CommandOutput:
        """The last piece, if the server sent none: from the history, or an error."""
        lost = link.lost
        if lost is not None:
            self._log.miss(f"{lost.why}; the command may still run")
        elif self._log.pieces and self._log.pieces[0].startswith(OWN_WORDS):
            self._log.miss("the server says that it could not reach the agent")
        else:
            self._log.miss(
                f"no end came within {_now() - self._sent_at:.0f} s, and the server listens no more"
            )
        live = self._log.heard
        offline = not live and lost is None and await self._is_offline(spec)
        result = await self._result_of(spec, link, 0.0 if offline else self._settings.report)
        if not live and not result.from_history:
            raise self._silence(spec, lost, offline=offline)
        self._result = result
        return CommandOutput(
            agent_id=self._agent_id,
            cmd_id=self._order.cmd_id,
            output="" if live else result.output,
            done=True,
            exit_code=result.exit_code,
        )

    async def _result_of(self, spec: CommandSpec, link: Link, grace: float) -> CommandResult:
        output = "".join(self._log.pieces)
        report = await self._report(spec, link, grace) if self._log.why else None
        if report is not None:
            return CommandResult(exit_code=self._log.exit_code, output=report, from_history=True)
        return CommandResult(exit_code=self._log.exit_code, output=output)

    async def _report(self, spec: CommandSpec, link: Link, grace: float) -> str | None:
        """The output that the agent reported to the history; None if it can't be found in time."""
        since = _moment_of(link)
        if since is None:
            return None
        until = _now() + grace
        if not self._log.done:
            # The command may still run until its timeout.
            until = max(until, self._sent_at + self._order.timeout + grace)
        pause = self._settings.look_every
        while True:
            try:
                rows = await self._api.transport.send(spec.history)
            except TRMMError:
                return None
            report, may_come = report_of(rows, self._order.command, since, self._log.pieces)
            if not may_come or _now() + pause > until:
                return report
            await asyncio.sleep(pause)
            pause = min(2 * pause, _PAUSE_MOST)

    async def _is_offline(self, spec: CommandSpec) -> bool:
        with suppress(TRMMError):
            statuses = await self._api.transport.send(spec.statuses)
            return statuses.get(self._agent_id) in _GONE
        return False

    def _silence(self, spec: CommandSpec, lost: Lost | None, *, offline: bool) -> TRMMError:
        """The error if nothing came at all."""
        if lost is not None:
            said = f"the command was sent to {self._agent_id}, and {lost.why}: it may have run"
            return OutcomeUnknownError(said, method="GET", path=spec.path)
        waited = _now() - self._sent_at
        return AgentSilentError(self._agent_id, "offline" if offline else "silent", waited)


def checked_command(command: object, *, shell: object, timeout: object, run_as_user: object) -> CommandOrder:
    """Check all arguments of a command."""
    return CommandOrder(
        command=arguments.command(command),
        shell=arguments.plain_text(shell, "shell"),
        timeout=arguments.integer(timeout, "timeout", minimum=1, maximum=_TIMEOUT_MOST),
        run_as_user=arguments.boolean(run_as_user, "run_as_user"),
        cmd_id=new_cmd_id(),
    )


def _moment_of(link: Link) -> datetime | None:
    """When the connection was opened, by the server's clock; None if the server didn't say it."""
    said = link.answer.headers.get("date", "") if link.answer is not None else ""
    return http_date(said)


def _now() -> float:
    return asyncio.get_running_loop().time()
