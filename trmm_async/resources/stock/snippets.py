"""`trmm.scripts.snippets`."""

from collections.abc import Mapping
from typing import Any, Final, TypedDict, Unpack, get_args

from trmm_async import arguments
from trmm_async.dialects.stock.endpoint import Wire, delete, put, read, send
from trmm_async.models import Noun, no_extra
from trmm_async.resources.resource import Resource, refuse_loss
from trmm_async.words import Open, Shell

__all__ = ["Snippet", "SnippetChanges", "Snippets"]

_NAME_MOST: Final = 40
_DESCRIPTION_MOST: Final = 50


class Snippet(Noun, frozen=True, kw_only=True, gc=False):
    """A piece of code that scripts use as `{{name}}`."""

    id: int
    """The server's id of it."""
    name: str = ""
    """The name."""
    description: str = ""
    """The description."""
    code: str = ""
    """The text of it."""
    shell: Open[Shell] = ""
    """What it is written for."""
    extra: Mapping[str, Any] = no_extra()


class SnippetChanges(TypedDict, total=False):
    """The settings that `scripts.snippets.update` can change. What is not given stays unchanged."""

    name: str
    description: str
    code: str
    shell: Shell


def _name(value: object, what: str) -> str:
    return arguments.short_text(value, what, most=_NAME_MOST)


def _description(value: object, what: str) -> str:
    return arguments.short_text(value, what, most=_DESCRIPTION_MOST, empty=True)


_CHECKS: Final[arguments.Checks] = {
    "name": _name,
    "description": ("desc", _description),
    "code": arguments.free_text,
    "shell": lambda value, what: arguments.choice(value, what, get_args(Shell)),
}
_WIRE: Final[Wire] = {"description": "desc"}
_ONE: Final = "/scripts/snippets/{snippet:id}/"

LIST = read("scripts.snippets.list", "/scripts/snippets/", list[Snippet], wire=_WIRE)
GET = read("scripts.snippets.get", _ONE, Snippet, wire=_WIRE)
CREATE = send("scripts.snippets.create", "/scripts/snippets/", needs="name code")
UPDATE = put("scripts.snippets.update", _ONE)
DELETE = delete("scripts.snippets.delete", _ONE)


class Snippets(Resource):
    """Pieces of code that the scripts of a stock server use as `{{name}}`. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    async def get(self, snippet: int | Snippet) -> Snippet:
        """Get one snippet.

        Raises:
            NotFoundError: there is no such snippet.
        """
        return await self._send(GET, snippet)

    async def create(
        self,
        *,
        name: str,
        code: str,
        shell: Shell = "powershell",
        description: str = "",
    ) -> Snippet:
        """Create a snippet and return it. Never sent twice.

        Args:
            name: the unique name that scripts write in braces, of at most 40 characters.
            code: the text.
            shell: the shell that it is written for; the server doesn't check it.
            description: the description, of at most 50 characters.

        Raises:
            BadRequestError: there is a snippet of that name.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
        """
        given = {"name": name, "description": description, "code": code, "shell": shell}
        body = arguments.settings(given, _CHECKS, CREATE.name)
        return await self._create(CREATE, LIST, body=body, is_it=lambda made: made.name == body["name"])

    async def update(self, snippet: int | Snippet, **changes: Unpack[SnippetChanges]) -> None:
        """Change settings of a snippet. Idempotent: sent again if an answer is lost.

        Raises:
            NotFoundError: there is no such snippet.
        """
        await self._send(UPDATE, snippet, body=arguments.settings(changes, _CHECKS, UPDATE.name))

    async def delete(self, snippet: int | Snippet, *, with_code: bool = False) -> None:
        """Delete a snippet. Scripts that use it then run with its name in braces in their code.

        If it is gone already, that counts as success.

        Args:
            snippet: the snippet or its id.
            with_code: True confirms that its code may be lost.

        Raises:
            InvalidRequestError: that was not confirmed; nothing was deleted.
            NotFoundError: there is no such snippet.
        """
        snippet_id = arguments.object_id(snippet, "snippet")
        refuse_loss(f"scripts.snippets.delete: snippet {snippet_id}", with_code=with_code)
        await self._send(DELETE, snippet_id)

    async def list(self) -> list[Snippet]:
        """List all snippets, with their code."""
        return await self._send(LIST)
