"""Who may log in, and the tokens that come of it."""

from __future__ import annotations

import pytest

from trmm_async.testing.stock.accounts import totp_code


@pytest.mark.parametrize(
    ("moment", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2e9, "279037")],
)
def test_codes_are_those_of_rfc_6238(moment: float, code: str) -> None:
    assert totp_code("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", moment) == code
