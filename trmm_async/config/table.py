"""The kinds of objects that a folder can have, as one table, and what the files of each folder hold."""

from collections.abc import Mapping
from typing import Final

from trmm_async.config import specs
from trmm_async.config.library import LIBRARY
from trmm_async.config.objects import FileKind, Kind
from trmm_async.config.places import PLACES, parts_of_client, whole_client
from trmm_async.config.policies import POLICIES, parts_of_policy, whole_policy

__all__ = ["FILES", "KINDS"]

KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in (*LIBRARY, *POLICIES, *PLACES)}
"""All kinds of objects by their names, in the order in which they are created."""

FILES: Final[Mapping[str, FileKind]] = {
    kind.name: kind
    for kind in (
        FileKind(
            name="custom_fields",
            word="custom field",
            spec=specs.CustomFieldSpec,
            key=KINDS["custom_fields"].key,
        ),
        FileKind(
            name="key_store",
            word="key store entry",
            spec=specs.KeySpec,
            whole=lambda spec, _, old: specs.KeySpec(name=spec.name, value_from=old and old.value_from),
        ),
        FileKind(name="snippets", word="snippet", spec=specs.SnippetSpec, is_code=True),
        FileKind(name="scripts", word="script", spec=specs.ScriptSpec, is_code=True),
        FileKind(name="community_scripts", word="community script", spec=specs.MarksSpec),
        FileKind(name="url_actions", word="URL action", spec=specs.UrlActionSpec),
        FileKind(name="alert_templates", word="alert template", spec=specs.AlertTemplateSpec),
        FileKind(
            name="policies",
            word="policy",
            spec=specs.PolicyFile,
            parts=parts_of_policy,
            whole=whole_policy,
        ),
        FileKind(
            name="clients",
            word="client",
            spec=specs.ClientSpec,
            parts=parts_of_client,
            whole=whole_client,
        ),
        FileKind(name="server", word="server", spec=specs.DefaultsSpec, key=KINDS["server"].key),
    )
}
"""The folders, and what the files in each hold."""
