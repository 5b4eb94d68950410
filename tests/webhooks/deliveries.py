"""Deliveries of webhooks: recorded ones, and one made by hand."""

from pathlib import Path

from trmm_async.webhooks.delivery import TEMPLATE

__all__ = ["RECORDINGS", "body"]

RECORDINGS = Path(__file__).parents[1] / "recordings" / "webhooks"


def body(alert_id: int = 5, *, resolved: bool = False, **changes: str) -> dict[str, str]:
    """What a server makes of the template for an alert, with some values changed."""
    filled = dict.fromkeys(TEMPLATE, "None")
    return filled | {
        "trmm": "1",
        "alert_id": str(alert_id),
        "resolved": "True" if resolved else "None",
        "alert_type": "check",
        "severity": "error",
        **changes,
    }
