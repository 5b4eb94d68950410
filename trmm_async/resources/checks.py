"""`trmm.checks`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypedDict, Unpack, get_args, overload

import msgspec

from trmm_async import arguments
from trmm_async.calls import Call, Steps, plan
from trmm_async.dialects.stock.agents import agent_ids_if_allowed, results_on_agents
from trmm_async.dialects.stock.checks import (
    ALL_DETAILS,
    CheckDetails,
    changes_body,
    check_body,
    details_of,
)
from trmm_async.dialects.stock.creation import make
from trmm_async.dialects.stock.dialect import CHECKS
from trmm_async.dialects.stock.endpoint import act, delete, put, read, read_as, send
from trmm_async.dialects.stock.explanations import counted
from trmm_async.dialects.stock.nouns import checks_of
from trmm_async.errors import (
    IncompleteError,
    InvalidRequestError,
)
from trmm_async.kinds import CheckKind
from trmm_async.models import Agent, Check, Moment, Noun, no_extra
from trmm_async.resources.check_stream import CheckStream, checked_status, with_status
from trmm_async.resources.filters import AgentQuery, agent_query
from trmm_async.resources.names import AnyClient, AnyScript, AnySite
from trmm_async.resources.resource import Resource, refuse_in_use
from trmm_async.resources.stock.policies import CHECKS as OF_POLICY
from trmm_async.resources.stock.policies import Policy
from trmm_async.words import CheckStatus, MonitoringType, Open, Severity

__all__ = ["CheckChanges", "CheckHistoryPoint", "CheckOnAgent", "Checks"]


_DAYS_MOST: Final = 36_500


class CheckHistoryPoint(Noun, frozen=True, kw_only=True, gc=False):
    """One past result of a check: a percentage, or 0 or 1, by its type; `results` has the other details."""

    time: Moment | None = None
    """When that was."""
    value: float | None = None
    """What was measured: percent for disks, memory and CPU load, 0 or 1 for the others."""
    results: Any = None
    extra: Mapping[str, Any] = no_extra()


class CheckOnAgent(Noun, frozen=True, kw_only=True, gc=False):
    """The result of a policy's check on one agent. The fields from `retcode` on are set for script checks.

    `status` is "passing", "failing" or "pending". `result_id` is the server's id of the result. `fail_count`
    is the number of failures in a row. `execution_time` is in seconds.
    """

    result_id: int
    agent_id: str | None = None
    """The agent's id."""
    hostname: str = ""
    """The agent's host name."""
    status: Open[CheckStatus] = ""
    severity: Open[Severity] | None = None
    """How serious it is."""
    more_info: str | None = None
    """What the agent has told besides."""
    last_run: Moment | None = None
    """When it ran last."""
    fail_count: int | None = None
    retcode: int | None = None
    stdout: str | None = None
    """What it wrote to standard output."""
    stderr: str | None = None
    """What it wrote to standard error."""
    execution_time: float | None = None
    extra: Mapping[str, Any] = no_extra()


class _OnAgent(CheckOnAgent, frozen=True, kw_only=True, gc=False):
    agent: int | None = None


class CheckChanges(TypedDict, total=False):
    """The settings that `checks.update` can change, if checks of that type have them; the rest stays."""

    email_alert: bool
    text_alert: bool
    dashboard_alert: bool
    fails_before_alert: int
    run_interval: int
    disk: str
    warning_threshold: int
    error_threshold: int
    ip: str
    name: str
    severity: Severity
    service: str
    display_name: str
    pass_if_start_pending: bool
    pass_if_missing: bool
    restart_if_stopped: bool
    policy_mode: Literal["default", "manual"] | None
    script: AnyScript
    args: Sequence[str]
    env_vars: Mapping[str, str]
    timeout: int
    info_return_codes: Sequence[int]
    warning_return_codes: Sequence[int]
    success_return_codes: Sequence[int]
    log: Literal["Application", "System", "Security"]
    event_id: int | None
    event_type: Literal["INFO", "WARNING", "ERROR", "AUDIT_SUCCESS", "AUDIT_FAILURE"]
    source: str | None
    message: str | None
    fail_when: Literal["contains", "not_contains"]
    search_last_days: int
    number_of_events: int


_ONE: Final = "/checks/{check:id}/"

_RUN_SECONDS: Final = 15.0
"""Seconds for which the server waits until the agent accepts."""

RUN = send("checks.run", "/checks/{agent:agent}/run/", waits=_RUN_SECONDS)
RESET = put("checks.reset", "/checks/{result:id}/reset/", method="POST")
RESET_ALL = put("checks.reset", "/checks/{agent:agent}/resetall/", method="POST")
HISTORY = read(
    "checks.history",
    "/checks/{result:id}/history/",
    list[CheckHistoryPoint],
    method="PATCH",
    wire={"time": "x", "value": "y"},
)
GET = read("checks.get", _ONE, tuple[CheckDetails, int | None], decode=details_of)
EVERYWHERE = read("checks.everywhere", "/checks/", list[tuple[CheckDetails, int | None]], decode=ALL_DETAILS)
CREATE = send("checks.create", "/checks/", needs="check_type")
UPDATE = put("checks.update", _ONE)
DELETE = delete("checks.delete", _ONE)
_NAMED_IN_BODY: Final[Mapping[str, str]] = {"script": "script"}

RUN_MANY = act("checks.run_many", "/checks/{target:text}/{whose:id}/csbulkrun/", decode=counted)
RESULTS = read(
    "checks.results",
    "/automation/checks/{check:id}/status/",
    list[_OnAgent],
    wire={"result_id": "id", "severity": "alert_severity"},
)


class Checks(Resource):
    """Checks and their results: list them; on a stock server also create, change, run and delete them.

    All errors are `TRMMError`s.
    """

    async def get(self, check: int | Check) -> CheckDetails:
        """Get the settings of one check of an agent or a policy; a stock server only.

        Its result is in `list(agent=…)`; the results of a policy's check are in `results`. `agent_id` is None
        if the key may not list agents.

        Raises:
            NotFoundError: there is no such check.
        """
        return await self._on_stock(GET.name, _with_agent(GET.call(check)))

    async def everywhere(self) -> list[CheckDetails]:
        """List the settings of all checks of all agents and policies, in one call; a stock server only.

        It has no results; `iter` and `list` have them. `agent_id` is None if the key may not list agents.
        """
        return await self._on_stock(EVERYWHERE.name, _everywhere())

    @overload
    async def create(self, settings: CheckKind, *, agent: str | Agent) -> Check: ...

    @overload
    async def create(self, settings: CheckKind, *, policy: int | Policy) -> Check: ...

    async def create(
        self,
        settings: CheckKind,
        *,
        agent: str | Agent | None = None,
        policy: int | Policy | None = None,
    ) -> Check:
        """Create a check of an agent or a policy, and return it; a stock server only. Never sent twice.

        Args:
            settings: what is checked: `DiskSpaceCheck(disk="C:", warning_threshold=20)`, a `CpuLoadCheck`,
                `MemoryCheck`, `PingCheck`, `ServiceCheck`, `ScriptCheck` or `EventLogCheck`. An agent or a
                policy can have one CPU load check, one memory check, and one check of each disk.
            agent: the agent that gets the check.
            policy: the policy that gets the check, in place of `agent`.

        Raises:
            InvalidRequestError: a value is wrong, or not exactly one of `agent` and `policy` is given.
            BadRequestError: there is such a check already, or there is no such script or policy.
            NotFoundError: there is no such agent.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """
        if not isinstance(settings, get_args(CheckKind)):
            raise InvalidRequestError(f"settings must be a check such as PingCheck(ip=…), not {settings!r}")
        body = check_body(CREATE.name, settings)
        owner, listing = _owner(agent, policy)
        await self._names(CREATE.name).in_body(body, _NAMED_IN_BODY)
        made = make("check", listing, CREATE.call(body={**owner, **body}), _is_of(str(body["check_type"])))
        return await self._on_stock(CREATE.name, made)

    async def update(self, check: int | Check | CheckDetails, **changes: Unpack[CheckChanges]) -> None:
        """Change settings of a check; a stock server only. Idempotent: sent again if an answer is lost.

        The type of a check can't be changed. The check is read first, since the server accepts values that
        don't fit its type.

        Args:
            check: the check or its id.
            changes: the fields to change, as `PingCheck` and the other types have them.

        Raises:
            InvalidRequestError: a value is wrong, or checks of its type have no such field; nothing was
                changed.
            NotFoundError: there is no such check.
        """
        check_id = arguments.object_id(check, "check")
        given: dict[str, Any] = dict(changes)
        changes_body(UPDATE.name, given)
        await self._names(UPDATE.name).in_body(given, _NAMED_IN_BODY)
        await self._on_stock(UPDATE.name, _change(check_id, given))

    async def delete(self, check: int | Check | CheckDetails, *, in_use: bool = False) -> None:
        """Delete a check with its results, a policy's check from all its agents; a stock server only.

        If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            check: the check or its id.
            in_use: True also deletes a policy's check, and one whose failure starts tasks, which stay but
                don't run any more. Without it, such a check is looked up first and not deleted.

        Raises:
            InvalidRequestError: it is a policy's check, or its failure starts tasks; nothing was deleted.
            NotFoundError: there is no such check, or it was deleted before.
        """
        check_id = arguments.object_id(check, "check")
        if arguments.boolean(in_use, "in_use"):
            await self._send(DELETE, check_id)
        else:
            await self._on_stock(DELETE.name, _delete_unused(check_id))

    async def results(self, check: int | Check | CheckDetails) -> list[CheckOnAgent]:
        """List the results of a policy's check on each agent; a stock server only.

        The list is empty if the check has not run on any agent yet. `agent_id` is None if the key may not
        list agents.

        Raises:
            NotFoundError: there is no such check.
        """
        return await self._on_stock(
            RESULTS.name, results_on_agents(CheckOnAgent, RESULTS.call(check), GET.call(check))
        )

    @overload
    async def run_many(self, *, client: AnyClient) -> int: ...

    @overload
    async def run_many(self, *, site: AnySite) -> int: ...

    async def run_many(self, *, client: AnyClient | None = None, site: AnySite | None = None) -> int:
        """Make all agents of a client or a site run their checks now; a stock server only. Never sent twice.

        The server doesn't wait for the agents. It counts offline agents, too, which run nothing.

        Returns:
            The number of agents.

        Raises:
            BadRequestError: the client or site has no agents, or doesn't exist.
            OutcomeUnknownError: it was sent and the answer was lost: they may run.
        """
        kind = arguments.exactly_one(RUN_MANY.name, client=client, site=site)
        given = arguments.reference(client if site is None else site, kind)
        return await self._send(RUN_MANY, kind, await self._names(RUN_MANY.name).id_of(kind, given))

    async def run(self, agent: str | Agent) -> None:
        """Make an agent run all its checks now; a stock server only. Never sent twice.

        It returns when the agent has accepted; the results are in `list` later. Meanwhile it holds a worker
        of the server, for at most 15 seconds (`max_waiting`).

        Raises:
            AgentLostError: the agent did not answer; it may run its checks all the same.
            BadRequestError: the agent is running its checks already.
        """
        await self._send(RUN, agent)

    @overload
    async def reset(self, check: Check) -> None: ...

    @overload
    async def reset(self, *, agent: str | Agent) -> None: ...

    async def reset(self, check: Check | None = None, *, agent: str | Agent | None = None) -> None:
        """Reset the result of a check, or of all checks of an agent, to passing, and resolve their alerts.

        A stock server only. Idempotent: sent again if an answer is lost.

        Args:
            check: a check from `list`. An id is not enough, because the server resets the result of a check
                on one agent.
            agent: the agent whose checks are all reset, in place of `check`.

        Raises:
            InvalidRequestError: the check has no result yet, or is not from `list`; or not exactly one of
                `check` and `agent` was given.
        """
        if (check is None) is (agent is None):
            raise InvalidRequestError(
                "checks.reset: give the check whose result is meant, or agent= for all of an agent's"
            )
        if agent is not None:
            await self._send(RESET_ALL, agent)
        else:
            await self._send(RESET, _result_id(check))

    async def history(self, check: Check, *, days: int | None = None) -> list[CheckHistoryPoint]:
        """List the past results of a check on its agent, newest first; a stock server only.

        Args:
            check: a check from `list`, as for `reset`.
            days: only results of the last so many days. None for all that the server keeps (30 days by
                default).
        """
        result_id = _result_id(check)
        body = (
            {}
            if days is None
            else {"timeFilter": arguments.integer(days, "days", minimum=1, maximum=_DAYS_MOST)}
        )
        return await self._send(HISTORY, result_id, body=body)

    async def list(
        self,
        *,
        agent: str | Agent | None = None,
        status: CheckStatus | None = None,
        hostname: str | None = None,
        client: AnyClient | None = None,
        site: AnySite | None = None,
        monitoring_type: MonitoringType | None = None,
    ) -> list[Check]:
        """List the checks of one agent, or of all agents that match all of the filters, with their results.

        For several agents, this takes one call for the list of agents and one call for each agent, a few at a
        time and within the rate limit. With `status="failing"`, a stock server is asked only for agents that
        have failing checks according to its list of agents.

        Args:
            agent: the agent or its id. It can't be combined with the filters of agents.
            status: only checks with this status.
            hostname: only checks of agents with this name, as in `agents.list`.
            client: only checks of this client's agents.
            site: only checks of this site's agents.
            monitoring_type: only checks of servers, or of workstations.

        Raises:
            IncompleteError: the checks of some agents could not be read. It names these agents, and holds the
                checks of the others.
            NotFoundError: there is no such agent (a gateway has no checks for it).
        """
        which = agent_query(hostname, client, site, monitoring_type)
        wanted = checked_status(status)
        if agent is not None:
            if which != AgentQuery():
                raise InvalidRequestError("agent is one, and the filters are for several: give either")
            agent_id = arguments.agent_id(agent)
            return with_status(await self._api.send(lambda dialect: dialect.list_checks(agent_id)), wanted)
        found: list[Check] = []
        try:
            async with CheckStream(self._api, which, wanted) as stream:
                async for check in stream:
                    found.append(check)  # noqa: PERF401 - what came before an error counts
        except IncompleteError as error:
            raise IncompleteError(error.failed, found) from None
        return found

    def iter(
        self,
        *,
        status: CheckStatus | None = None,
        hostname: str | None = None,
        client: AnyClient | None = None,
        site: AnySite | None = None,
        monitoring_type: MonitoringType | None = None,
    ) -> CheckStream:
        """Iterate over the checks of several agents as the answers arrive; see `CheckStream`.

            async with trmm.checks.iter(status="failing") as stream:
                async for check in stream: ...

        The arguments are those of `list`. Nothing is sent before the stream is entered.
        """
        which = agent_query(hostname, client, site, monitoring_type)
        return CheckStream(self._api, which, checked_status(status))


def _result_id(check: object) -> int:
    if not isinstance(check, Check):
        raise InvalidRequestError(
            f"check must be a check from checks.list(), not {check!r}: "
            "the server goes by the id of its result on that agent"
        )
    if check.result_id is None:
        raise InvalidRequestError(
            f"check {check.id} has no result: it has not run yet, or is not from checks.list()"
        )
    return check.result_id


def _owner(
    agent: str | Agent | None, policy: int | Policy | None
) -> tuple[dict[str, object], Call[list[Check]]]:
    """The owner of a new check as it is sent, and the call that lists the owner's checks."""
    arguments.exactly_one(CREATE.name, agent=agent, policy=policy)
    if agent is not None:
        agent_id = arguments.agent_id(agent)
        return {"agent": agent_id}, read_as(CHECKS.call(agent_id), checks_of(agent_id))
    policy_id = arguments.object_id(policy, "policy")
    return {"policy": policy_id}, OF_POLICY.call(policy_id)


def _is_of(check_type: str) -> Callable[[Check], bool]:
    return lambda made: made.check_type == check_type


@plan
def _everywhere() -> Steps[list[CheckDetails]]:
    """The server sends integers for the agents; their ids are in the list of agents."""
    found = yield from EVERYWHERE.call()
    ids = yield from agent_ids_if_allowed(found)
    return [
        details if key is None else msgspec.structs.replace(details, agent_id=ids.get(key))
        for details, key in found
    ]


@plan
def _with_agent(get: Call[tuple[CheckDetails, int | None]]) -> Steps[CheckDetails]:
    """The check with its agent's id, for which the server sends an integer."""
    details, key = yield from get
    if key is None:
        return details
    ids = yield from agent_ids_if_allowed()
    return msgspec.structs.replace(details, agent_id=ids.get(key))


@plan
def _delete_unused(check_id: int) -> Steps[None]:
    details, _ = yield from GET.call(check_id)
    of_policy = [] if details.policy is None else [f"all agents of policy {details.policy}"]
    refuse_in_use(f"checks.delete: check {check_id}", [*of_policy, *(f"task {one}" for one in details.tasks)])
    yield from DELETE.call(check_id)


@plan
def _change(check_id: int, changes: Mapping[str, object]) -> Steps[None]:
    """Read the check first: the server silently ignores fields of other types, and checks no rules."""
    details, _ = yield from GET.call(check_id)
    yield from UPDATE.call(check_id, body=changes_body(UPDATE.name, changes, details))
