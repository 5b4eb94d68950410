"""Loads the files of a custom authority and of a client certificate, and says what is wrong with them."""

from pathlib import Path
from typing import TYPE_CHECKING

from trmm_async.errors import InvalidRequestError

if TYPE_CHECKING:
    import ssl as tls

__all__ = ["certificate_files", "tls_context"]


def tls_context(ca: str | None, cert: str | None) -> "tls.SSLContext | None":
    """A TLS context with an authority and a client certificate; None, the default, if neither is given.

    Args:
        ca: a PEM file with the certificates of an authority.
        cert: a PEM file with certificate and key, or two as `FILE:KEY`.

    Raises:
        InvalidRequestError: a file can't be read, or does not contain what it should.
    """
    if not (ca or cert):
        return None
    import ssl as tls  # noqa: PLC0415 - the import is slow, and most clients don't need it

    context = tls.create_default_context()
    if ca:
        path = Path(ca).expanduser()
        try:
            context.load_verify_locations(path)
        except (OSError, ValueError) as error:
            why = _lacking(path, "certificate") or str(error)
            raise _unusable("ca", ca, "a PEM of an authority", why) from error
    if cert:
        chain, key = certificate_files(cert)
        try:
            context.load_cert_chain(chain, key, password=_no_password)
        except (OSError, ValueError) as error:
            why = _lacking(chain, "certificate") or _lacking(key or chain, "private key")
            if not why:
                is_other = getattr(error, "reason", None) == "KEY_VALUES_MISMATCH"
                why = "the key is that of another certificate" if is_other else str(error)
            raise _unusable("cert", cert, "FILE or FILE:KEY, both PEM", why) from error
    return context


def certificate_files(text: str) -> tuple[Path, Path | None]:
    """The files of certificate and key. One file may have both, and a colon may be part of its name."""
    file, colon, key = text.rpartition(":")
    if not colon or len(file) <= 1 or Path(text).expanduser().exists():
        return Path(text).expanduser(), None
    return Path(file).expanduser(), Path(key).expanduser()


def _no_password() -> str:
    # Otherwise OpenSSL would ask for the password on the terminal.
    raise ValueError("the key is encrypted; keep it without a password, readable for you alone")


def _lacking(path: Path, what: str) -> str:
    """Why the file contains no certificate or key; empty if it seems to contain one."""
    try:
        found = path.read_bytes()
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    if f"{what.upper()}-----".encode() in found:
        return ""
    hint = "" if b"-----BEGIN " in found else " in PEM; openssl makes PEM of other forms"
    return f"there is no {what} in {path.name}{hint}"


def _unusable(what: str, given: str, wanted: str, why: str) -> InvalidRequestError:
    return InvalidRequestError(f"{what}: {given} can't be used as {wanted}: {why}")
