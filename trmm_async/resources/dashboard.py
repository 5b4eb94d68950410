"""Opens the dashboard's socket, which needs the token of a user, not the API key."""

from trmm_async.dialects.stock.login import BAD_TOKEN, Token
from trmm_async.errors import AuthenticationError, TRMMError
from trmm_async.resources.token_provider import TokenProvider
from trmm_async.stream import Dialer, Link, LinkSettings, NoLink

__all__ = ["TokenDialer"]


class TokenDialer:
    """A `Dialer` that sends a token in each handshake, and tries a new one if the server refuses it."""

    def __init__(self, dialer: Dialer, tokens: TokenProvider) -> None:
        self._dialer = dialer
        self._tokens = tokens

    def scrub(self, text: str) -> str:
        return self._dialer.scrub(text)

    async def dial(self, path: str, settings: LinkSettings, roll: set[Link]) -> Link | NoLink:
        # If nobody has logged in, or the login can't be renewed without help, another attempt would not help.
        try:
            token = await self._tokens.token()
            made = await self._dial_with(token, path, settings, roll)
            if not _is_refused(made):
                return made
            made = await self._dial_with(await self._tokens.after(token), path, settings, roll)
        except AuthenticationError as error:
            return NoLink(error, final=True)
        except TRMMError as error:
            return NoLink(error)
        if not _is_refused(made):
            return made
        said = "the server refuses a fresh token too: may its user use the dashboard?"
        return NoLink(AuthenticationError(401, said, method="GET", path=path), final=True)

    async def _dial_with(
        self, token: Token, path: str, settings: LinkSettings, roll: set[Link]
    ) -> Link | NoLink:
        return await self._dialer.dial(path, settings, roll, query=token.query)


def _is_refused(made: Link | NoLink) -> bool:
    return isinstance(made, NoLink) and made.status in BAD_TOKEN
