from __future__ import annotations

from trmm_async.testing.ledger import Ledger, Request, Run, visible


def test_it_keeps_everything_or_the_newest() -> None:
    everything, newest = Ledger(), Ledger(limit=2)
    for number in range(5):
        for ledger in (everything, newest):
            run = Run(agent_id="a", script=number)
            ledger.add_run(run)
            ledger.add_collected(run)
            ledger.add_request(Request(method="GET", path=str(number), query={}, headers={}, at=0.0))
    assert [run.script for run in everything.runs] == [0, 1, 2, 3, 4]
    assert [run.script for run in newest.runs] == [run.script for run in newest.collected] == [3, 4]
    assert [request.path for request in newest.requests] == ["3", "4"]


def test_the_most_at_once_is_kept_until_reset() -> None:
    ledger = Ledger()
    with ledger.underway():
        with ledger.underway():
            pass
        assert (ledger.in_flight, ledger.max_in_flight) == (1, 2)
        ledger.reset()
        assert ledger.max_in_flight == 1
    assert ledger.in_flight == 0


def test_secrets_are_masked() -> None:
    seen = visible({"X-API-KEY": "secret", "Authorization": "secret", "Cookie": "secret", "Accept": "*/*"})
    assert seen == {"x-api-key": "***", "authorization": "***", "cookie": "***", "accept": "*/*"}
