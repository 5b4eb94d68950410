"""Says in words what is wrong with TLS, and what to do. OpenSSL's own texts name a line of C. Pure."""

import ssl as tls
from typing import Final

__all__ = ["tls_trouble"]

_NOT_YET: Final = 9
_EXPIRED: Final = 10
_OTHER_NAME: Final = frozenset({62, 64})
"""OpenSSL's X509_V_ERR_…: CERT_NOT_YET_VALID, CERT_HAS_EXPIRED, HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH."""

_OURS: Final = ("BAD_CERTIFICATE", "UNKNOWN_CA", "CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED",
                "CERTIFICATE_UNKNOWN", "UNSUPPORTED_CERTIFICATE")  # fmt: skip
"""Ends of the names of the alerts by which a server refuses a client's certificate."""
_PLAIN: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"})


def tls_trouble(error: BaseException | None, whose: str = "server") -> str:
    """Why TLS failed, by this error or one of its causes; empty if the error is about something else.

    Args:
        error: the error that was raised.
        whose: the other side: "server" or "proxy".
    """
    # aiohttp has errors that inherit from these classes but have no reason; their cause has it.
    while error is not None and not (isinstance(error, tls.SSLError) and hasattr(error, "reason")):
        error = error.__cause__
    if isinstance(error, tls.SSLCertVerificationError):
        return _untrusted(error, whose)
    return _failed(error.reason or "", whose) if isinstance(error, tls.SSLError) else ""


def _untrusted(error: tls.SSLCertVerificationError, whose: str) -> str:
    its, why = f"the {whose}'s certificate", error.verify_message.rstrip(".")
    if error.verify_code == _EXPIRED:
        return f"{its} has expired: it has to be renewed there, or this machine's clock is wrong"
    if error.verify_code == _NOT_YET:
        return f"{its} is not valid yet: this machine's clock may be wrong"
    if error.verify_code in _OTHER_NAME:
        return f"{its} is for another name: {why}; give the address with the name that it is for"
    return f"{its} is not trusted: {why}; name the PEM of its authority: --ca, TRMM_CA, or ssl="


def _failed(reason: str, whose: str) -> str:
    said = reason.lower().replace("_", " ")
    if reason.endswith("ALERT_CERTIFICATE_REQUIRED"):
        return f"the {whose} wants a client certificate: --cert, TRMM_CERT, or ssl="
    if "_ALERT_" in reason and reason.endswith(_OURS):
        return f"the {whose} does not take the client certificate: {said}; --cert, TRMM_CERT, or ssl= name it"
    if reason in _PLAIN:
        return f"the {whose} speaks no TLS on that port: is it the right one, or is it plain http?"
    return f"TLS with the {whose} failed: {said or 'no reason was given'}"
