"""What is wrong with the files of an authority or a client certificate is said, with the file."""

from pathlib import Path

import pytest

from tests.proxies import contexts
from trmm_async import InvalidRequestError
from trmm_async.tls_files import certificate_files, tls_context

OTHER_KEY = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgSobLwTYcc54zyz2y
RdwTmBVjx3KH8DfxWTjZcdERR9KhRANCAASObZcCIuy6OaMA7iZC9NIM9vnEN7tc
rNyOFusjw5sZoyuQ9OI1nFqgpd9pT9RekznAiISrt/MsdLQUeiXcEwY0
-----END PRIVATE KEY-----
"""
ENCRYPTED = """-----BEGIN ENCRYPTED PRIVATE KEY-----
MIH0MF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBBmOcQatYOVPgXV82dV
doD7AgIIADAMBggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQByo5naIa+qyM40HW
SUPNxQSBkPYm5aFKn1xfXQk6lJfcKe9J8fwullm9+3njavkFrXE6VwGD+s5Nwmxl
9sBKGsdUXjk0HvwDTG3kE66IGNOQeMWcE+rbX4ke9C5XObx4AkpPNxot3kxSXHdc
ZqpHDFdv54nZEjFEv6VYlANbWYDFeIhDGELPcBydFwV84zoY/dPt70o/9C/P9j6s
7aPxx65RUg==
-----END ENCRYPTED PRIVATE KEY-----
"""


def test_without_files_the_default_is_kept() -> None:
    assert tls_context(None, None) is None
    assert tls_context("", "") is None


def test_good_files_are_loaded(tmp_path: Path) -> None:
    _, certificate, key = contexts(tmp_path)
    context = tls_context(str(certificate), f"{certificate}:{key}")
    assert context is not None
    assert context.cert_store_stats()["x509"] > 0


@pytest.mark.parametrize(
    ("ca", "cert", "why"),
    [
        ("gone", None, "No such file"),
        ("nothing.pem", None, "there is no certificate in nothing.pem in PEM; openssl makes"),
        (".", None, "Is a directory"),
        ("key.pem", None, "there is no certificate in key.pem"),
        (None, "nothing.pem", "there is no certificate in nothing.pem"),
        (None, "cert.pem:gone", "No such file"),
        (None, "cert.pem", "FILE or FILE:KEY, both PEM: there is no private key in cert.pem"),
        (None, "cert.pem:other.key", "the key is that of another certificate"),
        (None, "cert.pem:locked.pem", "encrypted"),
    ],
)
def test_a_file_that_can_t_be_used_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ca: str | None, cert: str | None, why: str
) -> None:
    contexts(tmp_path)
    (tmp_path / "other.key").write_text(OTHER_KEY)
    (tmp_path / "locked.pem").write_text(ENCRYPTED)
    (tmp_path / "nothing.pem").write_text("no PEM")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidRequestError) as caught:
        tls_context(ca, cert)
    assert why in str(caught.value)


def test_a_colon_may_be_a_part_of_a_name(tmp_path: Path) -> None:
    odd = tmp_path / "a:b.pem"
    assert certificate_files(str(odd)) == (tmp_path / "a", Path("b.pem"))
    odd.write_text("")
    assert certificate_files(str(odd)) == (odd, None)
    assert certificate_files("C:key.pem") == (Path("C:key.pem"), None)
