"""What is wrong with TLS is said in words that say what to do."""

import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from tests.peer import always, answer, peer
from tests.proxies import contexts, proxy
from tests.stream.fake_gateway import TLS_KEY
from trmm_async import TRMM, ConnectionFailedError
from trmm_async.testing import Simulator
from trmm_async.tls_trouble import tls_trouble

# All of the key of `fake_gateway`.
EXPIRED = """-----BEGIN CERTIFICATE-----
MIIBPzCB5qADAgECAgECMAoGCCqGSM49BAMCMBQxEjAQBgNVBAMMCWxvY2FsaG9z
dDAeFw0yMDAxMDEwMDAwMDBaFw0yMTAxMDEwMDAwMDBaMBQxEjAQBgNVBAMMCWxv
Y2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJWGeCIel/BJJGTM6zaD
yLVB95XLmGPjxM4cVLCd200AIlHdwJq/hPG9ZWO+oNCgAV5WSFOI1jgpgY/LQ+lX
a1GjKTAnMBQGA1UdEQQNMAuCCWxvY2FsaG9zdDAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0gAMEUCIBKQyHsxxq+ReJRHu+8qI7fIIumiXh6svgUfAsw7CO3J
AiEAgeRVEBPDsWR53ZUaC+qYAQaPMc53J/l9WAWSjYyp/pQ=
-----END CERTIFICATE-----
"""
NOT_YET = """-----BEGIN CERTIFICATE-----
MIIBRDCB6qADAgECAgECMAoGCCqGSM49BAMCMBQxEjAQBgNVBAMMCWxvY2FsaG9z
dDAiGA8yMTE5MDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAUMRIwEAYDVQQD
DAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASVhngiHpfwSSRk
zOs2g8i1QfeVy5hj48TOHFSwndtNACJR3cCav4TxvWVjvqDQoAFeVkhTiNY4KYGP
y0PpV2tRoykwJzAUBgNVHREEDTALgglsb2NhbGhvc3QwDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNJADBGAiEAwj6D37aVEaq6GTJn2S04D8OOp+n4Fmd67sJZ
vblWM1gCIQCR03dZeVHg0HIZ+3hnjnE13dK7+ReBEI+25Wu5aI2fZg==
-----END CERTIFICATE-----
"""
OF_ANOTHER_NAME = """-----BEGIN CERTIFICATE-----
MIIBWjCCAQCgAwIBAgIBAjAKBggqhkjOPQQDAjAcMRowGAYDVQQDDBFlbHNld2hl
cmUuZXhhbXBsZTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowHDEa
MBgGA1UEAwwRZWxzZXdoZXJlLmV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAASVhngiHpfwSSRkzOs2g8i1QfeVy5hj48TOHFSwndtNACJR3cCav4TxvWVj
vqDQoAFeVkhTiNY4KYGPy0PpV2tRozEwLzAcBgNVHREEFTATghFlbHNld2hlcmUu
ZXhhbXBsZTAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIAn4RyVe
WlqInYRlrv3/nzCEh6OnIKAJnm81SEYRlbJcAiEAmI5YStAOL/oOSUG8hB6T7j8o
VNXDwoduxqMMEhuIam4=
-----END CERTIFICATE-----
"""


def serving(folder: Path, certificate: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with this certificate, and one that trusts it."""
    file, key = folder / "its.pem", folder / "its.key"
    file.write_text(certificate)
    key.write_text(TLS_KEY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return context, ssl.create_default_context(cafile=file)


def failure(server: ssl.SSLContext, client: ssl.SSLContext) -> BaseException | None:
    """What OpenSSL raises at the client's side, without a socket in between."""
    there, here = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = server.wrap_bio(there, here, server_side=True)
    asking = client.wrap_bio(here, there, server_hostname="localhost")
    for _ in range(4):
        try:
            asking.do_handshake()
            asking.read(1)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            return error
        with suppress(ssl.SSLError):
            serving.do_handshake()
    return None


class TestTheWords:
    @pytest.mark.parametrize(
        ("certificate", "why"),
        [
            (EXPIRED, "the server's certificate has expired: it has to be renewed there, or "),
            (NOT_YET, "is not valid yet: this machine's clock may be wrong"),
            (
                OF_ANOTHER_NAME,
                "is for another name: Hostname mismatch, certificate is not valid for 'localhost'; ",
            ),
        ],
    )
    def test_are_those_of_the_certificate(self, tmp_path: Path, certificate: str, why: str) -> None:
        assert why in tls_trouble(failure(*serving(tmp_path, certificate)))

    def test_name_the_authority_as_what_is_missing(self, tmp_path: Path) -> None:
        context, _, _ = contexts(tmp_path)
        said = tls_trouble(failure(context, ssl.create_default_context()), "proxy")
        assert said.startswith("the proxy's certificate is not trusted: self-signed certificate; ")
        assert said.endswith("name the PEM of its authority: --ca, TRMM_CA, or ssl=")

    def test_ask_for_a_client_certificate(self, tmp_path: Path) -> None:
        context, certificate, _ = contexts(tmp_path, asks_back=True)
        said = tls_trouble(failure(context, ssl.create_default_context(cafile=certificate)))
        assert said == "the server wants a client certificate: --cert, TRMM_CERT, or ssl="

    def test_tell_that_it_is_not_the_right_client_certificate(self, tmp_path: Path) -> None:
        context, certificate, key = contexts(tmp_path, asks_back=True)
        old = tmp_path / "old.pem"
        old.write_text(OF_ANOTHER_NAME)
        client = ssl.create_default_context(cafile=certificate)
        client.load_cert_chain(old, key)
        said = tls_trouble(failure(context, client))
        assert said.startswith("the server does not take the client certificate: ")

    def test_are_none_where_it_was_something_else(self) -> None:
        assert tls_trouble(None) == tls_trouble(OSError("refused")) == ""
        error = OSError("refused")
        error.__cause__ = ValueError("x")
        assert tls_trouble(error) == ""


class TestACall:
    @pytest.mark.parametrize("is_proxied", [False, True])
    async def test_tells_it_and_is_not_sent_again(self, tmp_path: Path, is_proxied: bool) -> None:
        context, trusting = serving(tmp_path, EXPIRED)
        async with (
            peer(always(answer()), tls=context) as server,
            proxy() as between,
            TRMM(
                server.url.replace("127.0.0.1", "localhost"),
                api_key="KEY-1",
                dialect="gateway",
                ssl=trusting,
                proxy=between.url if is_proxied else None,
            ) as trmm,
        ):
            with pytest.raises(
                ConnectionFailedError, match="the server's certificate has expired: "
            ) as caught:
                await trmm.clients.list()
            assert trmm.stats.retried == 0
        assert "_ssl.c" not in str(caught.value)

    async def test_to_a_port_without_tls_tells_it(self) -> None:
        async with Simulator(agents=1) as server:
            url = server.url.replace("http:", "https:")
            async with TRMM(url, api_key="KEY-1", dialect="gateway", retries=0) as trmm:
                with pytest.raises(ConnectionFailedError, match="speaks no TLS on that port"):
                    await trmm.clients.list()

    async def test_through_a_proxy_that_is_not_trusted_tells_whose_certificate(self, tmp_path: Path) -> None:
        context, _, _ = contexts(tmp_path)
        async with proxy(tls=context) as between:
            async with TRMM("https://rmm.example", api_key="KEY-1", proxy=between.url, retries=0) as trmm:
                with pytest.raises(ConnectionFailedError, match="the proxy's certificate is not trusted"):
                    await trmm.clients.list()
