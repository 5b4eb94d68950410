"""Reading the events of a subscription, some of them or up to one."""

from collections.abc import Callable

from trmm_async import AlertEvent, Event, Live, Subscription

__all__ = ["is_live", "messages", "says", "some", "up_to"]


async def some(events: Subscription, count: int) -> list[Event]:
    return [await anext(events) for _ in range(count)]


async def up_to(events: Subscription, last: Callable[[Event], bool]) -> list[Event]:
    found: list[Event] = []
    while not found or not last(found[-1]):
        found.append(await anext(events))
    return found


def is_live(event: Event) -> bool:
    return isinstance(event, Live)


def says(message: str) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, AlertEvent) and event.alert.message == message


def messages(events: list[Event]) -> list[str]:
    return [event.alert.message for event in events if isinstance(event, AlertEvent)]
