"""`ChangeOrders`: each change needs a dry run and the approval of a person, and is made once."""

import json
import secrets
from collections.abc import Sequence
from typing import Final

from mcp.server.mcpserver.resolve import Elicit
from pydantic import BaseModel, Field

from trmm_async.client import TRMM, share_key
from trmm_async.mcp_server.answers import ChangeReport, ChangeTarget
from trmm_async.mcp_server.call_log import CallLog
from trmm_async.mcp_server.texts import refusal

__all__ = ["Approval", "ChangeOrders"]

_ORDERS_MOST: Final = 100
_QUESTION_MOST: Final = 2_000
"""The longest question for a person, in characters without the targets: a longer one is not read."""


class Approval(BaseModel):
    """The form that the person at the client is shown."""

    approve: bool = Field(description="Do it?")


class ChangeOrders:
    """Remembers dry runs. Each may be carried out once.

    Args:
        reads: the client that reads. It must have another key than `changes`.
        changes: the client for changes; None: no change is possible.
        log: the log to which approvals are written.
        max_targets: how many targets one change may have.
    """

    def __init__(self, reads: TRMM, changes: TRMM | None, log: CallLog, max_targets: int) -> None:
        self._reads = reads
        self._changes = changes
        self._log = log
        self._max_targets = max_targets
        self._orders: dict[str, str] = {}

    def plan(self, what: str, targets: Sequence[ChangeTarget]) -> ChangeReport:
        """Record a dry run. The same call may be made once after it."""
        self._check_bounds(what, targets)
        while len(self._orders) >= _ORDERS_MOST:
            self._orders.pop(next(iter(self._orders)))
        self._orders[_fingerprint(what, targets)] = secrets.token_hex(4)
        return ChangeReport(
            dry_run=True,
            what=what,
            targets=list(targets),
            next="call it again with dry_run=false; the person at the client is asked then",
        )

    def question(self, what: str, targets: Sequence[ChangeTarget]) -> Elicit[Approval]:
        """The question for the person, before a change whose dry run was made."""
        self._check_bounds(what, targets)
        order = self._orders.get(_fingerprint(what, targets))
        if order is None:
            raise refusal("nothing was changed: make the same call with dry_run=true before")
        shown = "\n".join(f"- {target}" for target in targets)
        # The number is new for each dry run, so an earlier answer can't be used for another change.
        return Elicit(f"{what}, on {len(targets)}:\n{shown}\n(order {order})", Approval)

    async def begin(self, what: str, targets: Sequence[ChangeTarget], approval: Approval) -> TRMM:
        """Return the client for a change. The dry run is used up, and the approval is in the log.

        Raises:
            ToolError: the change was not approved, or was made before; or both clients have the same key.
        """
        if not approval.approve:
            raise refusal("nothing was changed: the person at the client said no")
        # Keys that callables return can be compared only now.
        if self._changes is not None and await share_key(self._reads, self._changes):
            raise refusal("nothing was changed: the key for changes is the one that reads")
        if self._changes is None or self._orders.pop(_fingerprint(what, targets), None) is None:
            raise refusal("nothing was changed: this was done before; make a new dry run")
        try:
            self._log.add("approval", what, targets=[str(target) for target in targets])
        except OSError as error:
            raise refusal("nothing was changed: the log of calls can't be written.", str(error)) from error
        return self._changes

    def _check_bounds(self, what: str, targets: Sequence[ChangeTarget]) -> None:
        if not targets:
            raise refusal("nothing was changed: name at least one target")
        if len(targets) > self._max_targets:
            raise refusal(
                f"nothing was changed: {len(targets)} targets, and at most {self._max_targets} are allowed"
            )
        if len(what) > _QUESTION_MOST:
            raise refusal(
                f"nothing was changed: a person has to read what is asked: {len(what)} characters; "
                f"at most {_QUESTION_MOST} are allowed"
            )


def _fingerprint(what: str, targets: Sequence[ChangeTarget]) -> str:
    return json.dumps([what, [[target.untrusted_id, target.untrusted_text] for target in targets]])
