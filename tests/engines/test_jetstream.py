"""One stream of JetStream, over a connection that is a few values: what is asked, and what answers mean."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

pytest.importorskip("nats", reason="the library of the extra [nats] is missing")

from trmm_async.engines.jetstream import JetStream, SubjectReader, Tail, ToWrite, WrongTailError
from trmm_async.engines.nats_link import Inbox, Message, NatsAwayError, NatsRefusedError


class Link:
    """Stands for a `NatsLink` to a server that gives these answers, one after the other."""

    max_payload = 2**20

    def __init__(self, *answers: Mapping[str, Any]) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, Any]] = []

    async def ask(self, subject: str, asked: object = None) -> Mapping[str, Any]:
        self.asked.append((subject, asked))
        return self._answers.pop(0)

    async def request(self, subject: str, data: bytes, headers: Mapping[str, str]) -> Message:
        self.asked.append((subject, dict(headers)))
        return Message("", json.dumps(self._answers.pop(0)).encode(), "", "")

    async def send(self, subject: str, data: bytes, inbox: Inbox) -> None:
        self.asked.append((subject, json.loads(data)))


def stream(*answers: Mapping[str, Any]) -> tuple[Link, JetStream]:
    link: Any = Link(*answers)
    return link, JetStream(link, "events", "events.>")


def error(code: int, err_code: int) -> Mapping[str, Any]:
    return {"error": {"code": code, "err_code": err_code, "description": "said"}}


async def test_what_is_written_names_the_message_that_it_stands_behind() -> None:
    link, events = stream({"seq": 8}, {"seq": 9})
    tail = await events.write(ToWrite("events.a", b"x"), Tail(7))
    assert tail.sequence == 8
    await events.write(ToWrite("events.a", b"y", behind=3, alone=True), tail)
    (_, first), (_, second) = link.asked
    assert first == {
        "Nats-Expected-Stream": "events",
        "Nats-Expected-Last-Sequence": "7",
        "Nats-Msg-Id": tail.id,
    }
    assert second["Nats-Expected-Last-Msg-Id"] == tail.id != second["Nats-Msg-Id"]
    assert second["Nats-Expected-Last-Subject-Sequence"] == "3"
    assert second["Nats-Rollup"] == "sub"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(400, 10071), WrongTailError),
        (error(400, 10070), WrongTailError),
        (error(400, 10164), WrongTailError),
        (error(400, 10060), NatsRefusedError),  # another stream than was expected
        (error(503, 10008), NatsAwayError),
    ],
)
async def test_only_another_tail_is_one_and_what_the_server_lacks_may_come_back(
    answer: Mapping[str, Any], kind: type[Exception]
) -> None:
    _, events = stream(answer)
    with pytest.raises(kind):
        await events.write(ToWrite("events.a", b"x"), Tail(7))


async def test_a_stream_that_stands_already_is_used_as_it_is() -> None:
    _, events = stream(error(400, 10058), error(400, 10052))
    await events.create()
    with pytest.raises(NatsRefusedError, match=r"said \(10052\)"):
        await events.create()


async def test_what_is_not_there_is_none() -> None:
    _, events = stream(*[error(404, 10059)] * 5)
    assert await events.standing() is None
    assert await events.last("events.a") is None
    assert await events.first("events.a") is None
    assert await events.at(3) is None
    await events.purge("events.a")


async def test_a_server_that_does_not_say_its_time_is_too_old() -> None:
    _, events = stream({"state": {"last_seq": 5}})
    with pytest.raises(NatsRefusedError, match=r"2\.10 is needed"):
        await events.standing()


STORED = "$JS.ACK.events.name.1.42.7.1700000000000000000.3"


@pytest.mark.parametrize("reply", [STORED, STORED.replace("ACK.", "ACK.domain.account.") + ".token"])
async def test_a_reader_knows_the_number_of_each_message_and_how_many_are_left(reply: str) -> None:
    link: Any = Link()
    inbox = Inbox("inbox")
    inbox.put(Message(reply, b"x", "", ""))
    reader = SubjectReader(link, inbox, "next", {"num_pending": 1})
    found = await reader.next(1.0)
    assert found is not None
    assert (found.sequence, found.data, reader.left) == (42, b"x", 0)
    assert [asked["batch"] for _, asked in link.asked] == [16]


@pytest.mark.parametrize(
    ("status", "said", "is_lost"),
    [
        ("404", "No Messages", False),
        ("408", "Request Timeout", False),
        ("409", "Batch Completed", False),
        ("409", "Message Size Exceeds MaxBytes", False),
        ("409", "Consumer Deleted", True),
        ("503", "", True),
    ],
)
async def test_an_end_of_what_was_asked_for_is_no_end_of_the_reader(
    status: str, said: str, is_lost: bool
) -> None:
    link: Any = Link()
    inbox = Inbox("inbox")
    inbox.put(Message("", b"", status, said))
    reader = SubjectReader(link, inbox, "next", {})
    assert await reader.next(0.0) is None
    assert reader.is_lost is is_lost
    # What ended by itself is asked for again.
    await reader.next(0.0)
    assert len(link.asked) == (1 if is_lost else 2)
