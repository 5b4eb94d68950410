"""Deployments: installers that need no login, for as long as they are there.

Below: `world.py`, `downloads.py`. Above: `dialect.py`.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING

from trmm_async.testing.replies import HTTPReply, iso
from trmm_async.testing.routing import Route

from .view import Fields, crash, refuse, said, whole
from .visibility import Visibility

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.nouns import Deployment
    from trmm_async.testing.replies import Asked

    from .view import Json

__all__ = ["DeploymentsView"]

AGENT = "2.11.0"
RELEASES = "https://github.com/amidaware/rmmagent/releases/download"
POWERSHELL = "attachment; filename=rmm-installer.ps1"
UNSIGNED = (
    "Linux/Mac agents require code signing."
    " Please see https://docs.tacticalrmm.com/code_signing/ for more info."
)


class DeploymentsView:
    """`/clients/deployments/`, `/agents/installer/`, and the download at `/clients/{uid}/deploy/`."""

    def __init__(self, backend: Backend) -> None:
        self._world = backend.world
        self._downloads = backend.downloads
        self._accounts = backend.accounts
        self._visibility = Visibility(backend)

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        every, one = "/clients/deployments/", "/clients/deployments/{pk:int}/"
        may = "can_manage_deployments"
        return (
            Route("GET", every, self.list, "can_list_deployments"),
            Route("POST", every, self.create, may, "deployments"),
            Route("GET", one, self.nobody, "can_list_deployments"),
            Route("DELETE", one, self.delete, may),
            Route("POST", "/agents/installer/", self.installer, "can_install_agents"),
            Route("GET", "/clients/{uid}/deploy/", self.download, public=True),
        )

    def list(self, asked: Asked) -> HTTPReply:
        """`GET /clients/deployments/`: all that have not been deleted, expired ones too."""
        shown = {number for number, site in self._world.sites.items() if self._visibility.shows(asked, site)}
        there = [each for each in self._world.deployments.values() if not each.revoked and each.site in shown]
        return said([self._shape(each) for each in there])

    def create(self, asked: Asked) -> HTTPReply:
        """`POST /clients/deployments/`: a sentence, never the new one. `client` is not looked at.

        Nor is it checked whether the agent type exists, or `expires` is in the future; but it must have an
        offset and no fraction of a second.
        """
        body = Fields.of(asked)
        site = self._world.site(body.whole("site"))
        self._visibility.check_site(asked, site.id)
        try:
            expires = datetime.strptime(str(body.get("expires")), "%Y-%m-%dT%H:%M:%S%z")
        except ValueError:
            refuse("expire date is invalid")
        flags = {name: body[name] for name in ("rdp", "ping", "power")}
        made = self._world.create_deployment(
            client=site.client.id,
            site=site.id,
            expiry=expires.timestamp(),
            arch=str(body["goarch"]),
        )
        made.mon_type, made.flags = str(body["agenttype"]), flags
        return said("The deployment was added successfully")

    def nobody(self, _asked: Asked) -> HTTPReply:
        """`GET /clients/deployments/{id}/`: the path exists for deleting; reading fails on the server."""
        crash()

    def delete(self, asked: Asked) -> HTTPReply:
        """`DELETE /clients/deployments/{id}/`."""
        stored = self._world.stored_deployment(int(asked.params["pk"]))
        self._visibility.check_site(asked, stored.site)
        stored.revoked = True
        return said("The deployment was deleted")

    def download(self, asked: Asked) -> HTTPReply:
        """`GET /clients/{uid}/deploy/`: the installer, for anybody; that it has expired does not matter."""
        uid = asked.params["uid"]
        try:
            found = str(uuid.UUID(uid))
        except ValueError:
            refuse("invalid")
        it = self._world.stored_deployment(found)
        if target := self._downloads.next_hop(asked.here, int(asked.row.query.get("hop", "0"))):
            return HTTPReply(302, content_type="text/html", headers={"Location": target})
        it.downloads += 1
        headers = {"Content-Disposition": f"attachment; filename={self._file_name(it)}"}
        return HTTPReply(200, self._downloads.content(it), "application/octet-stream", headers)

    def installer(self, asked: Asked) -> HTTPReply:
        """`POST /agents/installer/`: a command, or a script; the site is not looked up.

        Here no code signing token is set, which Linux and macOS need, nor is the vendor's service there.
        """
        body = Fields.of(asked)
        method, plat, arch = body["installMethod"], body["plat"], body["goarch"]
        kind, flags = body["agenttype"], [name for name in ("rdp", "ping", "power") if whole(body[name])]
        try:
            hours = int(str(body["expires"]))
        except ValueError:
            refuse("Please enter a valid number of hours")
        self._visibility.check_site(asked, body.whole("site"))
        if method in {"bash", "mac"}:
            refuse(UNSIGNED)
        if method == "exe":
            refuse("Something went wrong. Check debug error log for exact error message")
        if method not in {"manual", "powershell"}:
            crash()
        token = self._accounts.issue(self._accounts.users[asked.user], hours * 3600.0).value
        file, api = f"tacticalagent-v{AGENT}-{plat}-{arch}.exe", body["api"]
        install = (
            f'"C:\\Program Files\\TacticalAgent\\tacticalrmm.exe" -m install --api {api}'
            f" --client-id {body['client']} --site-id {body['site']} --agent-type {kind} --auth {token}"
            + "".join(f" --{flag}" for flag in flags)
        )
        if method == "powershell":
            script = f"# {body['fileName']}\n{install}\n".encode()
            return HTTPReply(200, script, "text/plain", {"Content-Disposition": POWERSHELL})
        command = f"{file} /VERYSILENT /SUPPRESSMSGBOXES && ping 127.0.0.1 -n 7 && {install}"
        return said({"cmd": command, "url": f"{RELEASES}/v{AGENT}/{file}"})

    def _shape(self, it: Deployment) -> Json:
        site = self._world.sites.get(it.site)
        return {
            "id": it.id,
            "uid": it.uuid,
            "client_id": it.client,
            "site_id": it.site,
            "client_name": site.client.name if site else None,
            "site_name": site.name if site else None,
            "mon_type": it.mon_type,
            "goarch": it.arch,
            "expiry": iso(it.expiry),
            "install_flags": it.flags,
            "created": iso(it.created),
        }

    def _file_name(self, it: Deployment) -> str:
        site = self._world.site(it.site)
        parts = (
            "".join(filter(str.isascii, filter(str.isalnum, each))) for each in (site.client.name, site.name)
        )
        return f"trmm-{'-'.join(parts).lower()}-{it.mon_type}-{it.arch}.exe"
