"""What all resources work with: a dialect that makes calls, a transport and a dialer to carry them out."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, cast

from trmm_async.calls import ArrayCall, Call, Plan, Replay, Request
from trmm_async.dialects import Dialect, HistoryRun, ScriptRun
from trmm_async.dialects.stock.dialect import VERSION, check_age, version_numbers
from trmm_async.errors import TRMMError
from trmm_async.models import ScriptResult
from trmm_async.resources.dialect_resolver import DialectResolver
from trmm_async.resources.token_provider import TokenProvider
from trmm_async.script_runs import Before, CommandPoller, RunPoller, Watermark, run_script
from trmm_async.stream import Dialer, SharedPoller
from trmm_async.transport import OnSent, SendRecord, Transport

if TYPE_CHECKING:
    from trmm_async.observing import Observers

__all__ = ["Api"]

T = TypeVar("T")


class Api:
    """One server, as the resources see it.

    Attributes:
        shared_poller: polls the server for subscriptions, mirrors and those who wait; set by `client`.
    """

    shared_poller: SharedPoller

    def __init__(  # noqa: PLR0917 - the parts that it connects
        self,
        transport: Transport,
        dialer: Dialer,
        resolver: DialectResolver,
        poller: RunPoller,
        tokens: TokenProvider,
        commands: CommandPoller | None = None,
    ) -> None:
        self.transport = transport
        self.observers: Observers = transport.observers
        self.dialer = dialer
        self.resolver = resolver
        self.poller = poller
        self.tokens = tokens
        self.commands: CommandPoller = commands or CommandPoller(transport, poller.matcher.waits)

    def through(self, transport: Transport) -> "Api":
        """The same server, through a view of the transport with other settings."""
        dialer = self.dialer.within(transport.settings.timeout)
        api = Api(transport, dialer, self.resolver, self.poller, self.tokens, self.commands)
        api.shared_poller = self.shared_poller
        return api

    async def dialect(self) -> Dialect:
        """The dialect in use. Asks the server if it is not known yet. Raises `TRMMError`s only.

        Streams begin here as well, so they are refused whenever a call would be.
        """
        self.transport.check_open()
        return self.resolver.known or await self.resolver.dialect()

    async def send(self, intent: Callable[[Dialect], Request[T]], on_sent: OnSent | None = None) -> T:
        """Ask the dialect for a request and carry it out. Raises `TRMMError`s only; safe to cancel.

        `on_sent` is called with True when the first byte of a call that changes something may leave (of a
        single call, also if it only reads). It is called with False if that attempt certainly had no effect,
        and is made again.
        """
        return await self.carry_out(intent(self.resolver.known or await self.resolver.dialect()), on_sent)

    async def on_stock(self, name: str, request: Request[T]) -> T:
        """Carry out a request that only a stock server understands; `name` is what the user called.

        Raises:
            UnsupportedError: the server is a gateway; nothing was sent.
        """
        dialect = self.resolver.known or await self.resolver.dialect()
        dialect.require_stock(name)
        return await self.carry_out(request)

    async def require_since(self, name: str, given: str, since: str, otherwise: str) -> None:
        """Refuse what is `given` to the method of this name if the server is too old; see `Since`.

        A version that was read earlier counts if it is new enough: servers don't become older, and to tell
        its version, a server asks the internet first.

        Raises:
            UnsupportedError: the server is older, or a gateway.
        """
        version = self.resolver.version
        if version_numbers(version) < version_numbers(since):
            version = await self.read_version(name)
        check_age(version, f"{name}({given})", since, otherwise)

    async def read_version(self, name: str) -> str:
        """Ask a stock server for its version; `name` is what the user called."""
        self.resolver.version = version = await self.on_stock(name, VERSION.call())
        return version

    async def run_script(
        self, agent_id: str, run: ScriptRun, on_sent: OnSent | None = None, before: Before | None = None
    ) -> ScriptResult | None:
        """Run a script on an agent, in the way of this server. For `on_sent` see `send`; see `Before`."""
        dialect = self.resolver.known or await self.resolver.dialect()
        return await self.run(dialect.run_script(agent_id, run), on_sent, before)

    def run(
        self,
        request: Request[ScriptResult | None] | HistoryRun,
        on_sent: OnSent | None = None,
        before: Before | None = None,
    ) -> Coroutine[Any, Any, ScriptResult | None]:
        """Carry out what the dialect made of a run of a script, as `run_script` does."""
        if isinstance(request, Call) and before is None:
            return self.carry_out(request, on_sent)
        return self._run(request, on_sent, before)

    async def _run(
        self,
        request: Request[ScriptResult | None] | HistoryRun,
        on_sent: OnSent | None,
        before: Before | None,
    ) -> ScriptResult | None:
        if isinstance(request, HistoryRun):
            if request.since is not None:
                await self.require_since(*request.since)
            if request.checks is not None:
                await self.carry_out(request.checks)
            return await run_script(self.poller, request, on_sent, before, self.transport)
        return await self.carry_out(request, on_sent, None if before is None else before(Watermark(0, None)))

    async def aclose(self) -> None:
        """Close the connections. Runs that wait for the history end with an error."""
        await self.poller.aclose()
        await self.commands.aclose()
        await self.transport.aclose()

    def carry_out(
        self, request: Request[T], on_sent: OnSent | None = None, record: SendRecord | None = None
    ) -> Coroutine[Any, Any, T]:
        """Send a call, or the calls of a plan one after the other."""
        # Not a coroutine itself: thousands of calls may be in progress, and each coroutine takes memory.
        if isinstance(request, Call):
            return self.transport.send(request, on_sent, record)
        return self._follow(request, on_sent, record)

    async def prepare(self, request: ArrayCall[T] | Plan[ArrayCall[T]]) -> ArrayCall[T]:
        """The call of a long list, after the calls that must come before it."""
        return await self._follow(request, None) if isinstance(request, Plan) else request

    async def _follow(self, plan: Plan[T], on_sent: OnSent | None, record: SendRecord | None = None) -> T:
        steps = plan.steps()
        try:
            call = next(steps)
            while True:
                try:
                    answer = await self._step(call, on_sent, record)
                except TRMMError as error:
                    call = steps.throw(error)
                else:
                    call = steps.send(answer)
        except StopIteration as end:
            return cast("T", end.value)
        finally:
            steps.close()

    async def _step(self, call: Call[Any], on_sent: OnSent | None, record: SendRecord | None) -> Any:
        if call.replay is Replay.SAFE:
            return await self.transport.send(call)
        return await self.transport.send(call, on_sent, record)
