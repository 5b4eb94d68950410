"""The tables of all kinds of objects, and of the kinds of files."""

from collections.abc import Mapping, Sequence
from typing import Final

from trmm_async.config import specs
from trmm_async.config.assignments import ASSIGNMENTS, join_client, split_client
from trmm_async.config.library import LIBRARY
from trmm_async.config.objects import FileKind, Kind
from trmm_async.config.policies import POLICIES, join_policy, split_policy

__all__ = ["FILES", "KINDS", "with_parts"]

KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in (*LIBRARY, *POLICIES, *ASSIGNMENTS)}
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
            join=lambda spec, _, old: specs.KeySpec(name=spec.name, value_from=old and old.value_from),
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
            split=split_policy,
            join=join_policy,
        ),
        FileKind(
            name="clients",
            word="client",
            spec=specs.ClientSpec,
            split=split_client,
            join=join_client,
        ),
        FileKind(name="server", word="server", spec=specs.DefaultsSpec, key=KINDS["server"].key),
    )
}
"""What the files of each folder contain, by the folder's name."""


def with_parts(kinds: Sequence[str]) -> tuple[str, ...]:
    """These kinds and those of their parts, in the order of the table."""
    return tuple(kind.name for kind in KINDS.values() if {kind.name, kind.owner} & {*kinds})
