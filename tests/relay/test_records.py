"""Events as they stand in a relay's log, and how an agent stands by them."""

from typing import get_args

from tests.relay.buses import QUICK
from trmm_async import (
    AgentOffline,
    AgentOnline,
    CommandOutput,
    Ended,
    Event,
    Live,
    RecordedError,
    ScriptOutput,
    ServerError,
)
from trmm_async.events import note_host
from trmm_async.models import ClientRef
from trmm_async.relay.records import _KINDS, AgentState, Record, read, record_of


def test_an_error_travels_by_its_name_and_its_text() -> None:
    event: Event = Ended(agent_id="a", error=ServerError(500, "oops"), hostname="h")
    for _ in range(2):  # and arrives the same at a relay of a relay
        arrived = read(record_of(event, ClientRef(id=3, name="C")))
        assert isinstance(arrived, Ended)
        assert isinstance(arrived.error, RecordedError)
        assert (arrived.hostname, arrived.error.kind, arrived.error.text) == ("h", "ServerError", "500: oops")
        event = arrived
    assert read(Record("OfALaterVersion", None, "{}")) is None


def test_a_follower_reads_all_events() -> None:
    assert {CommandOutput.__name__, *(kind.__name__ for kind in get_args(Event) if kind is not Ended)} == set(
        _KINDS
    )


def test_how_an_agent_stands_knows_what_was_told() -> None:
    present = AgentState()
    online: Event = AgentOnline(agent_id="a")
    note_host(online, "h")
    done: Event = ScriptOutput(agent_id="a", cmd_id="7", done=True)
    assert not present.has(online)
    things: dict[str, str] = {}
    for event in (online, done, Live(agent_id="a", time=QUICK.clock())):
        things |= present.take(event, record_of(event, None))
    assert set(things) == {"status", "runs"}
    again = AgentState(things)
    assert again.has(AgentOnline(agent_id="a", time=QUICK.clock()))
    assert not again.has(AgentOffline(agent_id="a"))
    assert again.has(done)
    assert not again.has(ScriptOutput(agent_id="a", cmd_id="8", done=True))
    assert again.records == [record_of(online, None)]
    assert again.take(Ended(agent_id="a", error=ServerError(500, "")), record_of(done, None)) == {
        "status": "",
        "runs": "",
    }
    assert not again.has(online)
