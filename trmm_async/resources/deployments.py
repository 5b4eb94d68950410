"""`trmm.deployments`."""

import asyncio
import errno
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from email.message import Message
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

from trmm_async import arguments
from trmm_async.atomic_files import replacing
from trmm_async.dialects import DeploymentOrder
from trmm_async.errors import InvalidRequestError, NotFoundError
from trmm_async.models import Deployment
from trmm_async.resources.api import Api
from trmm_async.resources.names import AnyClient, AnySite, Names
from trmm_async.words import MonitoringType

__all__ = ["Deployments", "Progress", "safe_file_name"]

Arch = Literal["amd64", "arm64", "amd64-mac", "arm64-mac"]
_ARCHES: Final = ("amd64", "arm64", "amd64-mac", "arm64-mac")

Progress = Callable[[int, int | None], object]
"""Called with the bytes written so far and the bytes in all, None where the server does not say."""

_NAME_MOST: Final = 150
_UNFIT: Final = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


class Deployments:
    """One-time URLs that install new agents. All errors are `TRMMError`s, and `OSError`s of `download`."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def create(
        self,
        *,
        client: AnyClient,
        site: AnySite,
        expires: datetime,
        arch: Arch,
        install_flags: str = "",
        monitoring_type: MonitoringType | None = None,
    ) -> Deployment:
        """Create a deployment. It counts against the limit of deployments as well. Never sent twice.

        A stock server creates deployments for "amd64" on Windows only. Its `install_flags` are any of
        "power", "ping" and "rdp", separated by spaces; `monitoring_type` is the type of the new agent
        ("server" if not given). A site that is given by name must be one of the client's.

        Raises:
            InvalidRequestError: an argument is wrong; `expires` must have a time zone and be in the future.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
            UnsupportedError: the server can't create one for this `arch`, or has no `monitoring_type`.
        """
        arguments.reference(client, "client")
        arguments.reference(site, "site")
        order = partial(
            DeploymentOrder,
            expires=arguments.expiry(expires),
            arch=arguments.choice(arch, "arch", _ARCHES),
            install_flags=arguments.plain_text(install_flags, "install_flags", empty=True),
            monitoring_type=None
            if monitoring_type is None
            else arguments.choice(monitoring_type, "monitoring_type", get_args(MonitoringType)),
        )
        names = Names(self._api)
        client_id = await names.client(client)
        placed = order(client=client_id, site=await names.site(site, client=client_id))
        return await self._api.send(lambda dialect: dialect.create_deployment(placed))

    async def list(self) -> list[Deployment]:
        """List the active deployments."""
        return await self._api.send(lambda dialect: dialect.list_deployments())

    async def delete(self, deployment: int | Deployment) -> None:
        """Revoke a deployment before it expires.

        If an answer is lost and it is gone afterwards, that counts as success.
        """
        deployment_id = arguments.object_id(deployment, "deployment")
        await self._api.send(lambda dialect: dialect.delete_deployment(deployment_id))

    async def download(
        self,
        deployment: int | Deployment,
        folder: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
    ) -> Path:
        """Download the installer into `folder`, which is created if need be, and return the file's path.

        The file is written under another name first, and gets its name when it is complete; it replaces a
        file of that name. The name is the server's, without a path and without unsuitable characters. After
        an error or a cancellation nothing is left.

        Raises:
            ConnectionFailedError: the download broke off, or the server doesn't say where the file ends.
            InvalidRequestError: `folder` can't be a folder (checked before anything is sent), or contains a
                folder with the file's name.
            NotFoundError: the deployment has expired or was revoked.
            RedirectedError: the server redirects to something that is not a URL.
            OSError: the file can't be written.
        """
        if progress is not None and not callable(progress):
            raise InvalidRequestError(f"progress must be a function of two numbers, not {progress!r}")
        into = await asyncio.to_thread(_folder, folder)
        found = await self._find(deployment)
        async with self._api.transport.download(found.download_url) as body:
            target = into / safe_file_name(body.headers, found)
            if await asyncio.to_thread(target.is_dir):
                raise InvalidRequestError(f"{target} is a folder, and the server's name for the file")
            return await _write(target, body.chunks(whole=True), body.length, progress)

    async def _find(self, deployment: int | Deployment) -> Deployment:
        if isinstance(deployment, Deployment):
            return deployment
        wanted = arguments.object_id(deployment, "deployment")
        for active in await self.list():
            if active.id == wanted:
                return active
        raise NotFoundError(
            404, f"no active deployment has the id {wanted}", method="GET", path="deployments"
        )


def safe_file_name(headers: Mapping[str, str], deployment: Deployment) -> str:
    """A name for the file, fit for every system: the server's if it gives a usable one, else our own."""
    message = Message()
    message["Content-Disposition"] = headers.get("content-disposition", "")
    said = message.get_filename() or ""
    fit = _plain(said).strip(" .")
    if not fit or _DEVICES.fullmatch(fit):
        suffix = PurePosixPath(urlsplit(deployment.download_url).path).suffix
        return _shortened(f"trmm-agent-{_plain(deployment.uuid) or deployment.id}{_plain(suffix)}")
    return _shortened(fit)


def _plain(text: str) -> str:
    return _UNFIT.sub("", re.split(r"[/\\]", text)[-1])


def _shortened(name: str) -> str:
    # Bytes are what file systems count.
    suffix = _first_bytes(PurePosixPath(name).suffix, 20)
    return (
        name
        if len(name.encode()) <= _NAME_MOST
        else _first_bytes(name, _NAME_MOST - len(suffix.encode())) + suffix
    )


def _first_bytes(text: str, most: int) -> str:
    return text.encode()[:most].decode(errors="ignore")


def _folder(folder: object) -> Path:
    """A folder that is there, or may be made."""
    try:
        path = Path(folder)  # type: ignore[arg-type] # what it isn't is found out
        there = _first_there(path.absolute())
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"folder must be a path, not {folder!r} ({error})") from None
    except OSError as error:
        if error.errno not in {errno.ENAMETOOLONG, errno.ENOTDIR}:
            raise
        raise InvalidRequestError(f"folder can't be made: {error}") from None
    if not there.is_dir():
        raise InvalidRequestError(f"folder must be a folder, and {str(there)!r} is something else")
    return path


def _first_there(path: Path) -> Path:
    for each in (path, *path.parents):
        with suppress(FileNotFoundError):
            each.stat()
            return each
    return path


async def _write(
    target: Path, chunks: AsyncIterator[bytes], total: int | None, progress: Progress | None
) -> Path:
    folder = target.parent
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    # The file is not made, renamed or removed in a thread: a thread goes on when its task is cancelled, and
    # would leave a file behind.
    with replacing(target) as aside, aside.open("wb") as file:
        done = 0
        async for chunk in chunks:
            await asyncio.to_thread(file.write, chunk)
            done += len(chunk)
            if progress is not None:
                progress(done, total)
    return target
