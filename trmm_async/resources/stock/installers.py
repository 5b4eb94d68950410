"""`trmm.installers`."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Final, Literal, get_args

import msgspec

from trmm_async import arguments, codec, url_checks
from trmm_async.calls import Steps, plan
from trmm_async.dialects.stock.endpoint import act, read
from trmm_async.errors import InvalidRequestError
from trmm_async.models import Discreet, no_extra
from trmm_async.resources.names import AnySite
from trmm_async.resources.resource import Resource
from trmm_async.words import MonitoringType, Open, Platform

__all__ = ["Installer", "Installers"]

Method = Literal["manual", "powershell", "exe", "bash", "mac"]

_PLATFORMS: Final = {
    "manual": "windows",
    "powershell": "windows",
    "exe": "windows",
    "bash": "linux",
    "mac": "darwin",
}
"""For another platform, the server silently creates an installer that can't work."""
_HOUR: Final = timedelta(hours=1)
_HOURS_MOST: Final = 24 * 365 * 10


class Installer(Discreet, frozen=True, kw_only=True, gc=False):
    """How to install an agent. It contains a token that lets agents in, so its values appear in no repr.

    For "manual" and "mac", `command` is the command to run after downloading the file at `url`. For
    "powershell" and "bash", `content` is a script, and for "exe" a program, to be saved as `filename`.
    """

    _shown: ClassVar[tuple[str, ...]] = ("method", "plat", "filename")

    method: str
    """How it installs, as it was asked for."""
    plat: Open[Platform] = ""
    """The operating system's family."""
    filename: str = ""
    command: str = ""
    url: str = ""
    content: bytes = b""
    extra: Mapping[str, Any] = no_extra()


class _Command(msgspec.Struct):
    cmd: str = ""
    url: str = ""


class _ClientOfSite(msgspec.Struct):
    client: int


PLACE = read("installers.create", "/clients/sites/{site:id}/", _ClientOfSite)
CREATE = act(
    "installers.create",
    "/agents/installer/",
    decode=bytes,
    needs="client site expires agenttype power rdp ping goarch api fileName plat installMethod",
    takes=60,
    secret=True,
)


class Installers(Resource):
    """Installers of agents for every system, made by a stock server. All errors are `TRMMError`s.

    Each contains a new token, which is valid until it expires. `deployments` are links to installers for
    other people. A gateway raises `UnsupportedError`.
    """

    async def create(
        self,
        *,
        site: AnySite,
        method: Method = "manual",
        monitoring_type: MonitoringType = "server",
        valid_for: timedelta = timedelta(days=1),
        arch: Literal["amd64", "386", "arm64", "arm"] = "amd64",
        rdp: bool = False,
        ping: bool = False,
        power: bool = False,
        api: str | None = None,
    ) -> Installer:
        """Create an installer and return it. Never sent twice: each has a token of its own.

        Args:
            site: the site of the new agents. It is looked up first, since the server doesn't check it.
            method: "manual" (a command), "powershell" (a script) or "exe" (a program) for Windows, "bash" for
                Linux, "mac" (a command) for macOS.
            monitoring_type: the type of the new agents.
            valid_for: how long the installer can be used, rounded up to whole hours; a day by default.
            arch: the architecture of the machines: "amd64", "386", "arm64" or "arm".
            rdp: True enables remote desktop (Windows).
            ping: True lets the machine answer pings (Windows).
            power: True keeps the machine from sleeping (Windows).
            api: the address that agents connect to; None for the client's own.

        Raises:
            NotFoundError: there is no such site.
            BadRequestError: the server can't: Linux and macOS need a code signing token there, "exe" a
                service of the vendor's.
            OutcomeUnknownError: the answer was lost; a token may exist, which nobody knows.
        """
        how = arguments.choice(method, "method", tuple(_PLATFORMS))
        place = arguments.reference(site, "site")
        dialect = await self._api.dialect()
        dialect.require_stock(CREATE.name)
        address = getattr(dialect, "base_url", "") if api is None else api
        body = {
            "installMethod": how,
            "plat": _PLATFORMS[how],
            "site": place,
            "expires": _hours(valid_for),
            "agenttype": arguments.choice(monitoring_type, "monitoring_type", get_args(MonitoringType)),
            "goarch": arguments.choice(arch, "arch", ("amd64", "386", "arm64", "arm")),
            "rdp": int(arguments.boolean(rdp, "rdp")),
            "ping": int(arguments.boolean(ping, "ping")),
            "power": int(arguments.boolean(power, "power")),
            "api": url_checks.base_url(address, allow_http=True),
        }
        await self._names(CREATE.name).in_body(body, {"site": "site"})
        return await self._on_stock(CREATE.name, _created(body))


def _hours(value: object) -> int:
    if not isinstance(value, timedelta) or value <= timedelta():
        raise InvalidRequestError(f"valid_for must be a timedelta, as timedelta(hours=1); got {value!r}")
    # Not -(-value // _HOUR): the longest timedelta has no negative.
    whole, rest = divmod(value, _HOUR)
    return arguments.integer(whole + bool(rest), "valid_for in hours", minimum=1, maximum=_HOURS_MOST)


@plan
def _created(body: Mapping[str, Any]) -> Steps[Installer]:
    site = body["site"]
    client = (yield from PLACE.call(site)).client
    method, plat = body["installMethod"], body["plat"]
    ending = {"powershell": ".ps1", "exe": ".exe", "bash": ".sh"}.get(method, "")
    name = f"trmm-{client}-{site}-{body['agenttype']}-{body['goarch']}{ending}"
    answer = yield from CREATE.call(body={**body, "client": client, "fileName": name})
    made = Installer(method=method, plat=plat, filename=name if ending else "")
    if ending:
        return msgspec.structs.replace(made, content=answer)
    command = codec.decoder(_Command)(answer)
    return msgspec.structs.replace(made, command=command.cmd, url=command.url)
