"""`trmm.policies`, over real HTTP."""

import pytest

from tests.servers import stock
from trmm_async import (
    NotFoundError,
)

pytestmark = pytest.mark.usefixtures("nothing_is_odd")

NOBODY = 999_999


class TestPolicies:
    async def test_are_read(self) -> None:
        async with stock() as (_, trmm):
            policy = (await trmm.policies.list())[0]
            assert policy.agents_count is not None
            assert (await trmm.policies.get(policy)).name == policy.name
            assert (await trmm.policies.related(policy)).agents == ()
            assert all(check.result_id is None for check in await trmm.policies.checks(policy))
            assert all(task.policy == policy.id for task in await trmm.policies.tasks(policy))
            await trmm.policies.delete(policy, with_contents=True)
            assert policy.id not in [other.id for other in await trmm.policies.list()]
            for call in (
                trmm.policies.get(NOBODY),
                trmm.policies.related(NOBODY),
                trmm.policies.delete(NOBODY),
            ):
                with pytest.raises(NotFoundError):
                    await call
