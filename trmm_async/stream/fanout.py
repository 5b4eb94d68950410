"""Shares one subscription among several consumers and handlers, each with its own pace.

One task reads the subscription for all of them, and one more task for each handler runs its callback, one
event after the other. It stands above `backlog` and `filters`, and below `subscription`.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self

from trmm_async.errors import ClosedError, InvalidRequestError
from trmm_async.events import Event
from trmm_async.models import ClientRef
from trmm_async.plaintext import log_of
from trmm_async.stream.backlog import Backlog
from trmm_async.stream.filters import EventFilter

__all__ = ["Consumer", "Fanout", "Handler"]

_LOG: Final = log_of("events")

Callback = Callable[[Any], object]
OnError = Callable[[Any, Exception], object]


class Consumer:
    """One of several readers of a subscription, with its own queue. `Subscription.consumer` makes it.

        with events.consumer(AlertEvent, severity="error", queue=100) as alerts:
            async for event in alerts: ...

    A slow consumer does not hold up the others: events for which its queue has no room are dropped, and
    reported in a `Gap` with their number. After the `Gap` come the last states of what was dropped, and
    `Live`. A consumer is read by one loop at a time, and ends together with the subscription. Leaving its
    block, or `close`, ends only this consumer.
    """

    def __init__(
        self,
        wants: EventFilter,
        backlog: Backlog,
        leave: Callable[["Consumer"], None],
        check_loop: Callable[[], None],
        read: Callable[[Event], None],
    ) -> None:
        self.wants = wants
        self.backlog = backlog
        self._leave = leave
        self._check_loop = check_loop
        self._read = read
        self._news = asyncio.Event()
        self._end: BaseException | None = None
        self._reading = False

    def __repr__(self) -> str:
        return f"<Consumer {self.backlog!r}>"

    @property
    def dropped(self) -> int:
        """How many events were dropped in all. Each was reported in a `Gap`."""
        return self.backlog.dropped

    def close(self) -> None:
        """Take no more events. Events that wait are discarded. May be called twice."""
        self._leave(self)
        self.backlog.clear()
        self.finish(ClosedError("the consumer is closed"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event. Safe to cancel: no event is lost.

        Raises:
            ClosedError: the consumer or the subscription is closed; or this is another event loop.
            InvalidRequestError: another loop is waiting for the next event.
            APIError: the server has refused all agents. This is its answer for the last one.
        """
        self._check_loop()
        if self._reading:
            raise InvalidRequestError("two loops read the same consumer at once: make a consumer for each")
        self._reading = True
        try:
            while (event := self.backlog.pop()) is None:
                if self._end is not None:
                    raise self._end
                self._news.clear()
                await self._news.wait()
        finally:
            self._reading = False
        self._read(event)
        return event

    def offer(self, event: Event) -> None:
        """Queue an event that passed the filter."""
        self.backlog.push(event)
        self._news.set()

    def finish(self, end: BaseException) -> None:
        """End the consumer: after the events that wait, `end` is raised."""
        self._end = self._end or end
        self._news.set()


class Handler:
    """A callback for events. `Subscription.on` makes it.

    The callback is called with one event after the other, and may be asynchronous. If it raises, the
    exception is logged to "trmm_async.events" and passed to `on_error`, and the next event follows.

    Attributes:
        consumer: the consumer from which it takes its events.
        calls: how often the callback was called.
        errors: how often the callback raised.
    """

    def __init__(self, consumer: Consumer, callback: Callback, on_error: OnError | None) -> None:
        self.consumer = consumer
        self._callback = callback
        self._on_error = on_error
        self._current: Event | None = None
        self.task: asyncio.Task[None] | None = None
        self.calls: int = 0
        self.errors: int = 0

    def __repr__(self) -> str:
        counts = f"{self.calls} calls, {self.errors} errors, {self.dropped} dropped"
        return f"<Handler {self._callback!r}: {counts}>"

    @property
    def dropped(self) -> int:
        """How many events were dropped because the queue was full. The last states are still delivered."""
        return self.consumer.dropped

    def remove(self) -> None:
        """Stop calling the callback. A call that is in progress runs to its end."""
        self.consumer.close()

    def unread(self) -> list[Event]:
        """Events with which the callback was not called yet, or which it is still processing."""
        current = [] if self._current is None else [self._current]
        return [*current, *self.consumer.backlog.unread()]

    async def run(self) -> None:
        """Call the callback with each event, until the consumer ends."""
        while True:
            try:
                event = await anext(self.consumer)
            except Exception:  # noqa: BLE001 - `over` raises the end of the stream for those who wait
                return
            # Its queue yields the gap that its own slowness makes, even if the filter excludes gaps.
            if self.consumer.wants.takes(event):
                self._current = event
                await self._call(event)
                self._current = None

    async def _call(self, event: Event) -> None:
        self.calls += 1
        try:
            await _called(self._callback, event)
        except Exception as error:  # noqa: BLE001 - the stream continues, whatever a callback raises
            self.errors += 1
            _LOG.exception("a callback for events has failed: %r", self._callback)
            await self._report(event, error)

    async def _report(self, event: Event, error: Exception) -> None:
        if self._on_error is None:
            return
        try:
            await _called(self._on_error, event, error)
        except Exception:  # noqa: BLE001 - the same
            _LOG.exception("on_error of a callback for events has failed: %r", self._on_error)


class Fanout:
    """Reads the subscription for all consumers and handlers. Belongs to one event loop.

    Args:
        read: returns the next event of the subscription.
        watch: takes each task that is started.
        check_loop: raises if another event loop than that of the subscription is running.
        clients: the known clients of agents.
        was_read: called with each event that a consumer takes.

    Attributes:
        is_running: it reads, so nobody else can.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[Event]],
        watch: Callable[[asyncio.Task[None]], None],
        check_loop: Callable[[], None],
        clients: dict[str, ClientRef],
        was_read: Callable[[Event], None],
    ) -> None:
        self._read = read
        self._was_read = was_read
        self._watch = watch
        self._check_loop = check_loop
        self._clients = clients
        self._consumers: list[Consumer] = []
        self._handlers: list[Handler] = []
        self.is_running: bool = False
        self._over = asyncio.Event()
        self._end: BaseException | None = None

    def __repr__(self) -> str:
        return f"<Fanout to {len(self._consumers)} consumers, {len(self._handlers)} of them handlers>"

    def __len__(self) -> int:
        return len(self._consumers)

    @property
    def by_client(self) -> bool:
        """Whether a consumer filters by client."""
        return any(consumer.wants.client is not None for consumer in self._consumers)

    def consumer(self, wants: EventFilter, backlog: Backlog) -> Consumer:
        """Add a consumer."""
        made = Consumer(wants, backlog, self._leave, self._check_loop, self._was_read)
        if self._end is not None:
            made.finish(self._end)
        self._consumers.append(made)
        return made

    def handler(self, consumer: Consumer, callback: Callback, on_error: OnError | None) -> Handler:
        """Add a handler, which takes its events from this consumer."""
        made = Handler(consumer, callback, on_error)
        self._handlers.append(made)
        if self.is_running:
            self._start(made)
        return made

    def run(self) -> None:
        """Begin to read. May be called again."""
        if not self.is_running:
            self.is_running = True
            self._watch(asyncio.create_task(self._spread(), name="trmm_async: consumers"))
            for handler in self._handlers:
                self._start(handler)

    async def over(self) -> None:
        """Wait until the stream has ended and every handler has processed its events. Raises the end."""
        await self._over.wait()
        tasks = [handler.task for handler in self._handlers if handler.task is not None]
        if tasks:
            await asyncio.wait(tasks)
        if self._end is not None:
            raise self._end

    def finish(self, end: BaseException) -> None:
        """End all consumers: after the events that wait, `end` is raised."""
        self._end = self._end or end
        for consumer in self._consumers:
            consumer.finish(end)
        self._over.set()

    def forget(self, agent_id: str) -> None:
        """Discard the events of this agent that wait."""
        for consumer in self._consumers:
            consumer.backlog.forget(agent_id)

    def unread(self) -> list[Event]:
        """The events that a consumer has not got, or a handler has not processed."""
        waiting = [event for consumer in self._consumers for event in consumer.backlog.unread()]
        return [*waiting, *(event for handler in self._handlers for event in handler.unread())]

    def _start(self, handler: Handler) -> None:
        handler.task = asyncio.create_task(handler.run(), name="trmm_async: handler")
        self._watch(handler.task)

    def _leave(self, consumer: Consumer) -> None:
        self._consumers = [one for one in self._consumers if one is not consumer]
        self._handlers = [one for one in self._handlers if one.consumer is not consumer]

    async def _spread(self) -> None:
        try:
            while True:
                event = await self._read()
                for consumer in self._consumers:
                    if consumer.wants.lets(event, self._clients):
                        consumer.offer(event)
        except Exception as error:  # noqa: BLE001 - however it ends, readers must not wait forever
            self.finish(error)


async def _called(callback: Callable[..., object], *args: object) -> None:
    result = callback(*args)
    if inspect.isawaitable(result):
        await result
