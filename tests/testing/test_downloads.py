from __future__ import annotations

import pytest

from trmm_async.testing.downloads import Downloads, file_name
from trmm_async.testing.nouns import Deployment

URL = "http://127.0.0.1:8000/api/x/download/"


def deployment(arch: str = "amd64", uuid: str = "abc") -> Deployment:
    return Deployment(123, uuid, 34, 41, 0.0, arch)


@pytest.mark.parametrize(
    ("arch", "suffix", "magic"),
    [
        ("amd64", ".exe", b"MZ"),
        ("arm64", ".exe", b"MZ"),
        ("amd64-mac", ".pkg", b"xar!"),
        ("arm64-mac", ".pkg", b"xar!"),
    ],
)
def test_an_installer_suits_its_architecture(arch: str, suffix: str, magic: bytes) -> None:
    assert file_name(deployment(arch)) == f"trmm-agent-abc{suffix}"
    content = Downloads(size=1000).content(deployment(arch))
    assert len(content) == 1000
    assert content.startswith(magic)


def test_an_installer_is_always_the_same_and_not_anothers() -> None:
    downloads = Downloads()
    assert downloads.content(deployment()) == downloads.content(deployment())
    assert downloads.content(deployment()) != downloads.content(deployment(uuid="def"))


def test_there_are_no_detours_by_default() -> None:
    assert Downloads().next_hop(URL, 0) is None


def test_redirects_are_counted_out() -> None:
    downloads = Downloads(redirects=2)
    assert downloads.next_hop(URL, 0) == URL + "?hop=1"
    assert downloads.next_hop(URL, 1) == URL + "?hop=2"
    assert downloads.next_hop(URL, 2) is None


@pytest.mark.parametrize("redirects", [0, 1])
def test_another_host_is_one_redirect_away(redirects: int) -> None:
    downloads = Downloads(redirects=redirects, redirect_to="http://localhost:8001")
    assert downloads.next_hop(URL, 0) == "http://localhost:8001/api/x/download/?hop=1"
    assert downloads.next_hop(URL, 1) is None


def test_the_last_redirect_is_the_one_that_leaves() -> None:
    downloads = Downloads(redirects=2, redirect_to="http://cdn.example/agent.exe")
    assert downloads.next_hop(URL, 0) == URL + "?hop=1"
    assert downloads.next_hop(URL, 1) == "http://cdn.example/agent.exe?hop=2"
