"""What a stock server offers beyond a gateway, as intents; of each dialect `Dialect.beyond` gives it."""

from trmm_async.dialects.library import Library as Beyond

__all__ = ["Beyond"]
