"""`trmm.policies`."""

from trmm_async import arguments
from trmm_async.administration import Policy, PolicyUse
from trmm_async.models import Check, Task
from trmm_async.resources.api import Api

__all__ = ["Policies"]


class Policies:
    """Automation policies of a stock server, to be read. Every method raises `TRMMError`s only.

    On a gateway they are an `UnsupportedError`.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    async def get(self, policy: int | Policy) -> Policy:
        """One policy.

        Raises:
            NotFoundError: there is no such policy.
        """
        policy_id = arguments.object_id(policy, "policy")
        return await self._api.send(lambda dialect: dialect.beyond("policies.get").get_policy(policy_id))

    async def related(self, policy: int | Policy) -> PolicyUse:
        """Where a policy is set.

        Raises:
            NotFoundError: there is no such policy.
        """
        policy_id = arguments.object_id(policy, "policy")
        return await self._api.send(lambda dialect: dialect.beyond("policies.related").policy_use(policy_id))

    async def checks(self, policy: int | Policy) -> list[Check]:
        """A policy's checks. They have no results of their own: those are in `checks.list(agent=…)`."""
        policy_id = arguments.object_id(policy, "policy")
        return await self._api.send(
            lambda dialect: dialect.beyond("policies.checks").policy_checks(policy_id)
        )

    async def tasks(self, policy: int | Policy) -> list[Task]:
        """A policy's tasks; `tasks.run(task, agent=…)` runs one."""
        policy_id = arguments.object_id(policy, "policy")
        return await self._api.send(lambda dialect: dialect.beyond("policies.tasks").policy_tasks(policy_id))

    async def list(self) -> list[Policy]:
        """All policies."""
        return await self._api.send(lambda dialect: dialect.beyond("policies.list").list_policies())
