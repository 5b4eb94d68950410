"""Pending actions, listed and cancelled."""

from tests.asked import NOUNS, request_of
from tests.replays.operation import op

OPERATIONS = [
    op(
        "pending_actions.list",
        "GET /logs/pendingactions/",
        lambda _: request_of(NOUNS.pending_actions.list()),
        "_ActionRow",
        "pendingactions_all pendingactions_all2 pendingactions_all_several pendingactions_all_limited_403",
    ),
    op(
        "pending_actions.list",
        "GET /agents/<agent>/pendingactions/",
        lambda _, agent: request_of(NOUNS.pending_actions.list(agent=agent)),
        "_ActionRow",
        "pendingactions_agent pendingactions_agent_several pendingactions_agent_none "
        "pendingactions_agent_404 pendingactions_agent_limited_403",
    ),
    op(
        "pending_actions.cancel",
        "DELETE /logs/pendingactions/<id>/",
        lambda _, number: request_of(NOUNS.pending_actions.cancel(int(number))),
        None,
        "pendingaction_cancel pendingaction_delete_choco pendingaction_delete_reboot "
        "pendingaction_cancel_404 pendingaction_delete_404 pendingaction_delete_limited_403",
    ),
]
