"""What people run in a terminal (extra `[cli]`).

Floor 8: over the client. So far the demonstration: `python -m trmm_async.cli.demo`.
"""

__all__: list[str] = []
