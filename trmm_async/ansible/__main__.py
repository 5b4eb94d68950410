"""`python -m trmm_async.ansible` prints the folder of the plugin."""

from trmm_async.ansible import PLUGINS

print(PLUGINS)  # noqa: T201 - that is what it is for
