"""Streams: a subscription to agents' events, and the output of a script while it runs."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Self
from uuid import uuid4

from trmm_async import arguments
from trmm_async.dialects import Pushed, ScriptRun
from trmm_async.dialects.stock.dashboard import SOCKET as COUNTS
from trmm_async.errors import ClosedError, InvalidRequestError, OutcomeUnknownError, TRMMError
from trmm_async.events import DASHBOARD, Event, Gap, ScriptOutput
from trmm_async.models import Agent, ScriptResult
from trmm_async.resources.api import Api
from trmm_async.resources.dashboard import TokenDialer
from trmm_async.resources.names import Names
from trmm_async.resources.selector import Selector
from trmm_async.resources.snapshots import take_snapshot
from trmm_async.stream import PollSource, PushSource, Source, SourceLater, StreamSettings, Subscription
from trmm_async.stream.position import SourcePlace
from trmm_async.stream.source import AgentStreamState, AlertSignal, Outlet, Start

__all__ = ["MergedSource", "ScriptStream", "new_cmd_id", "subscribe"]

_STRAGGLERS = 2.0
"""Seconds to wait for the last pieces of output after the result has come, by another connection."""


def subscribe(
    api: Api,
    agents: Iterable[str | Agent | Selector | Iterable[str | Agent]],
    settings: StreamSettings,
    *,
    snapshot: bool = False,
    since: str | None = None,
    webhooks: AlertSignal | None = None,
    dashboard: bool = False,
) -> Subscription:
    """A subscription to these agents, each once, from the source of events that this server has."""
    if webhooks is not None and not callable(getattr(webhooks, "listen", None)):
        raise InvalidRequestError(f"webhooks must be a WebhookReceiver, not {webhooks!r}")
    everything = list(agents)
    selectors = [one for one in everything if isinstance(one, Selector)]
    given = list(_flat(one for one in everything if not isinstance(one, Selector)))
    agent_ids = tuple(dict.fromkeys(arguments.agent_id(one) for one in given))
    clients = {one.agent_id: one.client for one in given if isinstance(one, Agent)}
    hosts = {one.agent_id: one.hostname for one in given if isinstance(one, Agent)}
    if not agent_ids and not selectors and not dashboard:
        raise InvalidRequestError("events() needs at least one agent (or dashboard=True)")

    async def find() -> Source:
        for selector in selectors:
            async with selector.iter() as selected:
                async for agent in selected:
                    subscription.add(agent)
        if not subscription.state:
            raise InvalidRequestError(
                f"events() needs at least one agent (or dashboard=True): {selectors[0]!r} means none now"
            )
        if not dashboard:
            return await agents_source()
        (await api.dialect()).require_stock("events(dashboard=True)")
        sockets = PushSource(lambda _: COUNTS, TokenDialer(api.dialer, api.tokens), None, settings)
        return MergedSource({DASHBOARD: sockets}, await agents_source())

    async def agents_source() -> Source:
        source = (await api.dialect()).event_source()
        if isinstance(source, Pushed):
            return PushSource(source.socket, api.dialer, partial(take_snapshot, api), settings)
        return PollSource(api.shared_poller, settings, webhooks)

    names = [*agent_ids, DASHBOARD] if dashboard else agent_ids
    source = SourceLater(find)
    subscription = Subscription(
        source,
        names,
        settings,
        snapshot=snapshot,
        since=since,
        clients=clients,
        more=bool(selectors),
        hosts=hosts,
        observers=api.observers,
        server=api.transport.server.base_url,
    )
    return subscription


def _flat(agents: Iterable[object]) -> Iterable[object]:
    for one in agents:
        if isinstance(one, Iterable) and not isinstance(one, str | bytes):
            yield from one
        else:
            yield one


class ScriptStream:
    """A script's output while it runs: enter it, then iterate it, once.

        async with trmm.agents.stream_script(agent, script=1) as output:
            async for chunk in output:
                print(chunk.output, end="")
        output.result.retcode

    Entering subscribes to the agent's events and then sends the script, once. The last piece has `done=True`,
    always: where the server's own got lost, or the server can't tell our output from others', it is made from
    the run's result, and holds all of the output if no piece had come before. So it is on a stock server,
    which has no live output of scripts: one piece, when the script has ended. `complete` says whether all
    output came live. It ends by itself, at the latest when the time of the script and of the client is over.

    Leaving the block early drops the subscription and the answer; the script goes on.
    """

    def __init__(self, api: Api, agent_id: str, run: ScriptRun) -> None:
        self._api = api
        self._agent_id = agent_id
        self._run = run
        self._events: Subscription | None = None
        self._entered = False
        self._answer: asyncio.Task[ScriptResult | None] | None = None
        self._deadline: float | None = None
        self._limit: asyncio.Timeout | None = None
        self._pieces: list[str] = []
        self._result: ScriptResult | None = None
        self.complete: bool = True

    def __repr__(self) -> str:
        state = "ended" if self._result else "running" if self._answer else "new"
        return f"<ScriptStream of script {self._run.script!r} on {self._agent_id}, {state}>"

    @property
    def result(self) -> ScriptResult:
        """The run's result, once the iteration has ended.

        Raises:
            ClosedError: it has not ended, or ended in an error.
        """
        if self._result is None:
            raise ClosedError("there is no result yet: iterate the output to its end")
        return self._result

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ClosedError("this stream was used already; call agents.stream_script() again")
        self._entered = True
        self._run = await Names(self._api).run(self._run)
        spec = (await self._api.dialect()).script_output(self._agent_id)
        if spec is not None:
            settings = StreamSettings()
            sockets = PushSource(lambda _: spec, self._api.dialer, None, settings)
            self._events = Subscription(sockets, [self._agent_id], settings, observers=self._api.observers)
            await self._events.__aenter__()
        self._answer = asyncio.create_task(self._api.run_script(self._agent_id, self._run))
        self._answer.add_done_callback(self._answered)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._answer is not None:
            self._answer.cancel()
            await asyncio.gather(self._answer, return_exceptions=True)
        if self._events is not None:
            await self._events.__aexit__(kind, error, trace)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ScriptOutput:
        if self._answer is None:
            raise ClosedError("enter the stream first: async with agents.stream_script(…) as output")
        if self._result is not None:
            raise StopAsyncIteration
        while (event := await self._next(self._answer)) is not None:
            if isinstance(event, Gap):
                self.complete = False
            elif isinstance(event, ScriptOutput) and event.cmd_id == self._run.cmd_id:
                self._pieces.append(event.output)
                if event.done:
                    self._result = await self._result_after(event, self._answer)
                return event
        return await self._last_piece(self._answer)

    async def _next(self, answer: asyncio.Task[ScriptResult | None]) -> Event | None:
        """The next event; None if it is not worth waiting for more."""
        if self._events is None:
            await asyncio.wait([answer])
            return None
        try:
            async with asyncio.timeout_at(self._deadline) as self._limit:
                return await anext(self._events)
        except TimeoutError:
            return None
        except TRMMError:
            # The server ended the subscription. The result still comes, by its own connection.
            self.complete = False
            await asyncio.wait([answer])
            return None
        finally:
            self._limit = None

    def _answered(self, answer: asyncio.Task[ScriptResult | None]) -> None:
        """The run was answered: wait only a little longer for output, unless the answer was lost."""
        if answer.cancelled():
            return
        error = answer.exception()
        longest = _STRAGGLERS if error is None else 0.0
        if isinstance(error, OutcomeUnknownError):
            longest = self._run.timeout + _STRAGGLERS
        self._deadline = asyncio.get_running_loop().time() + longest
        if self._limit is not None:
            self._limit.reschedule(self._deadline)

    async def _result_after(
        self, last: ScriptOutput, answer: asyncio.Task[ScriptResult | None]
    ) -> ScriptResult:
        await asyncio.wait([answer])
        if isinstance(answer.exception(), OutcomeUnknownError):
            return ScriptResult(retcode=last.exit_code, stdout="".join(self._pieces))
        return answer.result() or ScriptResult(retcode=last.exit_code)

    async def _last_piece(self, answer: asyncio.Task[ScriptResult | None]) -> ScriptOutput:
        result = await answer or ScriptResult()
        self._result = result
        self.complete = False
        return ScriptOutput(
            agent_id=self._agent_id,
            cmd_id=self._run.cmd_id or "",
            script=self._run.script_id,
            output="" if self._pieces else result.stdout,
            done=True,
            exit_code=result.retcode,
        )


def new_cmd_id() -> str:
    """A new id for one run. TRMM accepts ASCII letters, digits and `-_.`, at most 48."""
    return f"trmm-{uuid4().hex}"


class MergedSource:
    """Several sources as one `Source`.

    Args:
        special: names that have a source of their own.
        rest: the source of all other names, and of script runs.
    """

    def __init__(self, special: Mapping[str, Source], rest: Source) -> None:
        self._special = special
        self._rest = rest

    def __repr__(self) -> str:
        return f"<MergedSource {', '.join(map(repr, self._all()))}>"

    def open(self, outlet: Outlet, begun: SourcePlace | None) -> None:
        for source in self._all():
            source.open(outlet, begun)

    def follow(self, agent_id: str, start: Start) -> AgentStreamState:
        return self._of(agent_id).follow(agent_id, start)

    def leave(self, agent_id: str) -> None:
        self._of(agent_id).leave(agent_id)

    def place(self, unread: Sequence[Event]) -> SourcePlace | None:
        return self._rest.place(unread)

    def close(self) -> None:
        for source in self._all():
            source.close()

    def remaining(self) -> list[asyncio.Future[None]]:
        return [future for source in self._all() for future in source.remaining()]

    def cut(self) -> None:
        for source in self._all():
            source.cut()

    def _all(self) -> list[Source]:
        return [self._rest, *self._special.values()]

    def _of(self, agent_id: str) -> Source:
        return self._special.get(agent_id, self._rest)
