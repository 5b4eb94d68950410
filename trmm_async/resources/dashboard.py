"""The dashboard's socket: it is opened with the token of a user, and not with the API key."""

from trmm_async.dialects.stock.login import BAD_TOKEN, Token
from trmm_async.errors import AuthenticationError, TRMMError
from trmm_async.resources.token_provider import TokenProvider
from trmm_async.stream import Dialer, Link, LinkSettings, NoLink

__all__ = ["TokenDialer"]


class TokenDialer:
    """A `Dialer` that shows a token in each handshake, and another one where the server refuses it."""

    def __init__(self, dialer: Dialer, tokens: TokenProvider) -> None:
        self._dialer = dialer
        self._tokens = tokens

    def scrub(self, text: str) -> str:
        """See `Dialer.scrub`."""
        return self._dialer.scrub(text)

    async def dial(self, path: str, settings: LinkSettings, roll: set[Link]) -> Link | NoLink:
        """See `Dialer.dial`. Where nobody has logged in, or can't be without help, that is final."""
        try:
            token = await self._tokens.token()
            made = await self._show(token, path, settings, roll)
            if not _is_refused(made):
                return made
            made = await self._show(await self._tokens.after(token), path, settings, roll)
        except AuthenticationError as error:
            return NoLink(error, final=True)
        except TRMMError as error:
            return NoLink(error)
        if not _is_refused(made):
            return made
        said = "the server refuses a fresh token too: may its user use the dashboard?"
        return NoLink(AuthenticationError(401, said, method="GET", path=path), final=True)

    async def _show(self, token: Token, path: str, settings: LinkSettings, roll: set[Link]) -> Link | NoLink:
        return await self._dialer.dial(path, settings, roll, query=token.query)


def _is_refused(made: Link | NoLink) -> bool:
    return isinstance(made, NoLink) and made.status in BAD_TOKEN
