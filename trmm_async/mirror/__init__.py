"""A live copy of the fleet (`trmm.mirror`), and `trmm.maintenance`.

This package stands above the resources and below `client`. Its modules, from the top: `mirror` (the object
that the user holds), `feeds` (which keep it up to date), `state` (its agents, their alerts, and the readers
of changes; no I/O), and `maintenance`.
"""

from trmm_async.mirror.maintenance import Maintenance
from trmm_async.mirror.mirror import Mirror
from trmm_async.mirror.state import Change, Changes, MirrorSettings

__all__ = ["Change", "Changes", "Maintenance", "Mirror", "MirrorSettings"]
