"""`WebhookReceiver`: takes TRMM's alert webhooks, under any ASGI framework or aiohttp.

Over `delivery`, which decides. Answers first: for checks and tasks TRMM posts inside the agent's own request,
and waits. Who listens is told after the answer, and reads the alert from the server then; also where the
answer reaches nobody, since TRMM hangs up when it has waited long enough, and posts once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from trmm_async import arguments
from trmm_async.errors import InvalidRequestError
from trmm_async.hidden import HiddenBytes, hide
from trmm_async.webhooks.delivery import (
    Delivery,
    Verdict,
    may_be_secret,
    refuse_early,
    too_large,
    verdict_on,
)

if TYPE_CHECKING:
    from aiohttp import web

    from trmm_async.client import TRMM
    from trmm_async.resources.names import AnyClient, AnySite
    from trmm_async.resources.stock.policies import Policy
from trmm_async.webhooks.setup import WebhookSetup, install, uninstall

__all__ = ["WebhookReceiver"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Listener = Callable[[int | None, str | None], None]

_REMEMBERED: Final = 10_000
_GONE: Final = 499


class WebhookReceiver:
    """Takes TRMM's alert webhooks and tells subscriptions which alert to look at.

    It is an ASGI application: mount it in FastAPI, Starlette or the like as it is; `aiohttp_app()` is the
    same for aiohttp. Hand it to `trmm.events(…, webhooks=receiver)`, in the same event loop. It answers any
    path.

    A delivery is taken if it is a POST with the secret in `X-TRMM-Secret` (compared in constant time), of
    JSON, and of no more than `max_body` bytes; nothing of it is believed but which alert it is about. One
    that comes twice counts once.

    Args:
        secret: what TRMM sends as the secret; or several, while one takes the place of another.
        max_body: bytes of the largest body.
        body_timeout: seconds that a body may take to come.

    Raises:
        InvalidRequestError: no secret, an empty one, one beyond printable ASCII or with spaces around it, or
            one that a server sends for want of one ("None", "{{…}}"); or `max_body` is not positive.

    Attributes:
        received: deliveries that were taken.
        repeated: deliveries that had been taken before.
        refused: requests that were answered with an error.
    """

    def __init__(
        self, secret: str | Iterable[str], *, max_body: int = 16_384, body_timeout: float = 10.0
    ) -> None:
        self._listeners: list[Listener] = []
        self.received: int = 0
        self.repeated: int = 0
        self.refused: int = 0
        # As it is, it would stand in the locals of this frame, which error reporters write down.
        secret = secrets = list(map(hide, [secret] if isinstance(secret, str) else secret))
        if not secrets or not all(map(may_be_secret, secrets)):
            raise InvalidRequestError(
                "a secret must be a text of printable ASCII (hosts read nothing else the same way), "
                'not empty, without spaces around it, not "None", and without "{{"'
            )
        if max_body < 1:
            raise InvalidRequestError(f"max_body must be at least 1, not {max_body!r}")
        self._secrets = [HiddenBytes(one.encode()) for one in secrets]
        self._max_body = max_body
        self._body_timeout = body_timeout
        self._seen: OrderedDict[tuple[int, bool], None] = OrderedDict()

    def __repr__(self) -> str:
        counts = f"{self.received} received, {self.repeated} repeated, {self.refused} refused"
        return f"<WebhookReceiver {counts}, {len(self._listeners)} listening>"

    async def install(
        self,
        trmm: "TRMM",
        url: str,
        *,
        name: str = "trmm_async_hook",
        policy: "int | Policy | None" = None,
        client: "AnyClient | None" = None,
        site: "AnySite | None" = None,
        everywhere: bool = False,
        allow_http: bool = False,
        dry_run: bool = False,
    ) -> WebhookSetup:
        """Have a stock server post its alerts here: a key store entry, a URL action and an alert template.

        What is there already, by its name, is put right and not made a second time. An alert template takes
        the place of the one that was assigned there before.

        Args:
            trmm: a client of the server; its key has to be allowed to edit all three.
            url: where the server reaches this receiver, https.
            name: what the URL action and the alert template are called, and NAME_secret the entry of the key
                store with the secret (the first, if there are several).
            policy: assign the template to it, too; so for
            client: of which a name will do;
            site: likewise; and
            everywhere: True for all agents that have no other. Without any of them it is for you to assign.
            allow_http: take plain http to another machine than this one, which shows the secret on the way.
            dry_run: nothing is changed; what is returned says what would be.

        Raises:
            InvalidRequestError: the url or a name is wrong, or several things have the name.
            UnsupportedError: it is a gateway, or a stock server older than 0.19.0; nothing was made.
            TRMMError: as of the calls. Its notes say what was done before; a second call goes on from there.
        """
        url = arguments.webhook_url(url, allow_http=allow_http)
        arguments.boolean(dry_run, "dry_run")
        every = arguments.boolean(everywhere, "everywhere") or None
        places = {"policy": policy, "client": client, "site": site, "everywhere": every}
        given = {place: which for place, which in places.items() if which is not None}
        secret = hide(self._secrets[0].decode())
        return await install(trmm, url, secret, name=name, places=given, dry_run=dry_run)

    async def uninstall(
        self, trmm: "TRMM", *, name: str = "trmm_async_hook", dry_run: bool = False
    ) -> WebhookSetup:
        """Take back what `install` made, wherever the template is assigned; what is gone already is no error.

        Args:
            trmm: a client of the server.
            name: as it was installed.
            dry_run: nothing is changed; what is returned says what would be.

        Raises:
            TRMMError: as of the calls; as for `install`.
        """
        return await uninstall(trmm, name=name, dry_run=arguments.boolean(dry_run, "dry_run"))

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have `listener(alert_id, agent_id)` called for each delivery; what is returned ends that.

        `agent_id` is None where the delivery does not say; so is `alert_id` if something genuine came that
        can't be read. It is called after the answer was sent, must not wait, and must not raise.
        """
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            # Of our own: the server's has the secret, and would stand in the locals of this frame.
            scope = {"method": scope["method"], "headers": _hidden(scope["headers"])}
            verdict = await self._judge_asgi(scope, receive)
            await self._finish(verdict, _answer(verdict, send))
        else:
            await send({"type": "websocket.close", "code": 1008})

    def aiohttp_app(self) -> "web.Application":
        """The aiohttp application, for `app.add_subapp("/hooks/trmm/", receiver.aiohttp_app())`."""
        from aiohttp import web  # noqa: PLC0415 - who mounts it elsewhere has no use for aiohttp's server

        async def handle(request: web.Request) -> web.StreamResponse:
            headers = {name.lower(): hide(value) for name, value in request.headers.items()}
            chunks = request.content.iter_any().__aiter__()

            async def more() -> bytes:
                return await anext(chunks, b"")

            verdict = await self._judge(request.method, headers, more)
            response = web.Response(status=verdict.status, text=verdict.says, headers=_extra(verdict))

            async def answer() -> None:
                await response.prepare(request)
                await response.write_eof()

            await self._finish(verdict, answer())
            return response

        # Its own bound on bodies is for handlers that read them whole.
        app = web.Application()
        app.router.add_route("*", "/{any:.*}", handle)
        return app

    @asynccontextmanager
    async def serving(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Listen in the block, by plain HTTP; gives the address. TLS is for what stands in front.

        Args:
            host: where to listen.
            port: 0 for any that is free.

        Raises:
            InvalidRequestError: it can't listen there.
        """
        from aiohttp import web  # noqa: PLC0415 - who mounts it elsewhere has no use for aiohttp's server

        runner = web.AppRunner(self.aiohttp_app(), access_log=None, handle_signals=False)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as error:
                raise InvalidRequestError(
                    f"can't listen on {host}:{port}: {error.strerror or error}"
                ) from error
            shown = f"[{host}]" if ":" in host else host
            yield f"http://{shown}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _judge_asgi(self, scope: Scope, receive: Receive) -> Verdict:
        headers: dict[str, str] = scope["headers"]
        is_over = False

        async def more() -> bytes:
            nonlocal is_over
            while not is_over:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ConnectionResetError
                is_over = not message.get("more_body", False)
                if body := message.get("body", b""):
                    return bytes(body)
            return b""

        return await self._judge(scope["method"], headers, more)

    async def _judge(
        self, method: str, headers: Mapping[str, str], more: Callable[[], Awaitable[bytes]]
    ) -> Verdict:
        early = refuse_early(method, headers, self._secrets, self._max_body)
        if early is not None:
            return early
        body = b""
        try:
            async with asyncio.timeout(self._body_timeout):
                while chunk := await more():
                    body += chunk
                    if len(body) > self._max_body:
                        return too_large(self._max_body)
        except TimeoutError:
            return Verdict(408, "the body did not come in time", genuine=True)
        except ConnectionError:
            return Verdict(_GONE, genuine=True)
        except asyncio.CancelledError:
            # So some servers end the request of a sender that hangs up: it was one with the secret.
            self._tell(Verdict(_GONE, genuine=True))
            raise
        return verdict_on(body)

    async def _finish(self, verdict: Verdict, answer: Coroutine[Any, Any, None]) -> None:
        """Answer, and then tell; also where the sender has hung up, or we are cancelled for it."""
        try:
            await answer
        except OSError:
            pass  # nobody waits for the answer: what came in whole was taken all the same
        finally:
            self._tell(verdict)

    def _tell(self, verdict: Verdict) -> None:
        delivery = verdict.delivery
        if delivery is not None and self._is_repeated(delivery):
            self.repeated += 1
            return
        self.received += delivery is not None
        self.refused += verdict.status >= 400
        # Something has happened even where the body is broken: who listens looks for itself.
        if delivery is not None or (verdict.genuine and verdict.status >= 400):
            alert_id, agent_id = (delivery.alert_id, delivery.agent_id) if delivery else (None, None)
            for listener in list(self._listeners):
                listener(alert_id, agent_id)

    def _is_repeated(self, delivery: Delivery) -> bool:
        key = (delivery.alert_id, delivery.resolved)
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return False


def _hidden(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): hide(value.decode("latin-1")) for name, value in headers}


def _extra(verdict: Verdict) -> dict[str, str]:
    return {"Allow": "POST"} if verdict.status == 405 else {}


async def _answer(verdict: Verdict, send: Send) -> None:
    if verdict.status == _GONE:
        return
    body = verdict.says.encode()
    headers = [(b"content-length", b"%d" % len(body))] if verdict.status != 204 else []
    headers += [(name.lower().encode(), value.encode()) for name, value in _extra(verdict).items()]
    if body:
        headers.append((b"content-type", b"text/plain; charset=utf-8"))
    await send({"type": "http.response.start", "status": verdict.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    """Mounted alone, a server asks whether it has started; there is nothing to start."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
