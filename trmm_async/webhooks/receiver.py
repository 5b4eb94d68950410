"""`WebhookReceiver`: receives TRMM's alert webhooks, in any ASGI framework or in aiohttp.

`delivery` decides what a request means. The receiver answers first, because for checks and tasks TRMM posts
the webhook while it handles the agent's own request, and waits for the answer. Afterwards the listeners are
called, and read the alert from the server. They are called even if the answer could not be sent: TRMM hangs
up when it has waited long enough, and posts each webhook only once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from trmm_async import arguments, url_checks
from trmm_async.errors import InvalidRequestError
from trmm_async.hidden import HiddenBytes, hide
from trmm_async.webhooks.delivery import Delivery, Verdict, may_be_secret, refuse_early, too_large, verdict_on
from trmm_async.webhooks.setup import WebhookSetup, install, uninstall

if TYPE_CHECKING:
    from aiohttp import web

    from trmm_async.client import TRMM
    from trmm_async.resources.names import AnyClient, AnySite
    from trmm_async.resources.stock.policies import Policy

__all__ = ["WebhookReceiver"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Listener = Callable[[int | None, str | None], None]

_REMEMBERED: Final = 10_000
_GONE: Final = 499


class WebhookReceiver:
    """Receives TRMM's alert webhooks, so that event streams read an alert at once, not at the next poll.

    The receiver is an ASGI application: mount it in FastAPI, Starlette or another framework. `aiohttp_app()`
    returns the same for aiohttp. Pass it to `trmm.events(…, webhooks=receiver)`, in the same event loop. It
    answers on every path.

    A request is accepted if it is a POST of JSON with the secret in `X-TRMM-Secret` (compared in constant
    time) and at most `max_body` bytes. The receiver uses only the id of the alert and of its agent, and
    whether it is resolved; everything else is read from the server. A repeated delivery is counted, and
    otherwise ignored.

    Args:
        secret: the secret that TRMM sends. Give several while you replace one by another.
        max_body: the size of the largest body, in bytes.
        body_timeout: how many seconds the body of a request may take to arrive.

    Raises:
        InvalidRequestError: there is no secret; a secret is empty, has characters other than printable ASCII,
            or spaces around it, or is what a server sends if it has no secret ("None", "{{…}}"); or
            `max_body` is below 1.

    Attributes:
        received: how many deliveries were accepted.
        repeated: how many deliveries had been accepted before.
        refused: how many requests were answered with an error.
    """

    def __init__(
        self, secret: str | Iterable[str], *, max_body: int = 16_384, body_timeout: float = 10.0
    ) -> None:
        self._listeners: list[Listener] = []
        self.received: int = 0
        self.repeated: int = 0
        self.refused: int = 0
        # Error reporters record the local variables of a frame, so the secret is hidden at once.
        secret = secrets = list(map(hide, [secret] if isinstance(secret, str) else secret))
        if not secrets or not all(map(may_be_secret, secrets)):
            raise InvalidRequestError(
                "a secret must be a text of printable ASCII (servers decode other characters differently), "
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
        """Make a stock server post its alerts to this receiver.

        This creates an entry of the key store with the secret, a URL action and an alert template. If they
        exist already, under this name, they are updated. Assigning the alert template replaces the one that
        was assigned there before.

        Args:
            trmm: a client of the server. Its key must be allowed to edit all three.
            url: the https address under which the server reaches this receiver.
            name: the name of the URL action and of the alert template. The entry of the key store is called
                NAME_secret, and holds the secret (the first, if there are several).
            policy: a policy to which the alert template is assigned.
            client: a client to which it is assigned, by id, name or object.
            site: a site to which it is assigned, by id, name or object.
            everywhere: True: assign it to all agents that have no other. If none of these four is given, the
                alert template is not assigned.
            allow_http: allow plain http to a machine other than this one. Everybody on the way can then read
                the secret.
            dry_run: change nothing, and return what would be done.

        Raises:
            InvalidRequestError: `url` or a name is invalid, or several objects have the name.
            UnsupportedError: the server is a gateway, or a stock server older than 0.19.0; nothing was made.
            TRMMError: a call failed. The notes of the error say what was done before; call `install` again to
                continue.
        """
        url = url_checks.webhook_url(url, allow_http=allow_http)
        arguments.boolean(dry_run, "dry_run")
        every = arguments.boolean(everywhere, "everywhere") or None
        places = {"policy": policy, "client": client, "site": site, "everywhere": every}
        given = {place: which for place, which in places.items() if which is not None}
        secret = hide(self._secrets[0].decode())
        return await install(trmm, url, secret, name=name, places=given, dry_run=dry_run)

    async def uninstall(
        self, trmm: "TRMM", *, name: str = "trmm_async_hook", dry_run: bool = False
    ) -> WebhookSetup:
        """Delete what `install` made, even if the alert template is assigned somewhere.

        It is no error if a part, or all of it, doesn't exist any more.

        Args:
            trmm: a client of the server.
            name: the name that was given to `install`.
            dry_run: change nothing, and return what would be done.

        Raises:
            TRMMError: a call failed. The notes of the error say what was done before.
        """
        return await uninstall(trmm, name=name, dry_run=arguments.boolean(dry_run, "dry_run"))

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(alert_id, agent_id)` for each delivery. It must not block and must not raise.

        It is called after the answer was sent. `agent_id` is None if the delivery does not say it. Both are
        None if a request with the secret can't be read.

        Returns:
            A function that ends this. It may be called twice.
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
            # The server's own scope contains the secret, and would be a local variable of this frame.
            scope = {"method": scope["method"], "headers": _hidden(scope["headers"])}
            verdict = await self._judge_asgi(scope, receive)
            await self._finish(verdict, _answer(verdict, send))
        else:
            await send({"type": "websocket.close", "code": 1008})

    def aiohttp_app(self) -> "web.Application":
        """The receiver for aiohttp: `app.add_subapp("/hooks/trmm/", receiver.aiohttp_app())`."""
        from aiohttp import web  # noqa: PLC0415 - aiohttp's server is needed only here

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

        # aiohttp's own limit applies only to handlers that read the whole body at once.
        app = web.Application()
        app.router.add_route("*", "/{any:.*}", handle)
        return app

    @asynccontextmanager
    async def serving(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Serve the receiver by plain HTTP while the block runs. For TLS, put a proxy in front of it.

        Args:
            host: the address to listen on.
            port: the port to listen on; 0: any free port.

        Returns:
            The URL, from `async with … as url`.

        Raises:
            InvalidRequestError: it can't listen there.
        """
        from aiohttp import web  # noqa: PLC0415 - aiohttp's server is needed only here

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
            # Some servers cancel the request when the sender hangs up. This one had the secret.
            self._tell(Verdict(_GONE, genuine=True))
            raise
        return verdict_on(body)

    async def _finish(self, verdict: Verdict, answer: Coroutine[Any, Any, None]) -> None:
        """Answer, and then call the listeners, even if the sender hung up or this is cancelled."""
        try:
            await answer
        except OSError:
            pass  # the sender hung up; a request that arrived completely is accepted all the same
        finally:
            self._tell(verdict)

    def _tell(self, verdict: Verdict) -> None:
        delivery = verdict.delivery
        if delivery is not None and self._is_repeated(delivery):
            self.repeated += 1
            return
        self.received += delivery is not None
        self.refused += verdict.status >= 400
        # Even if the body can't be read, something has happened, so the listeners poll the server.
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
    """Answer the lifespan messages of a server that runs only this application; nothing has to be started."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
