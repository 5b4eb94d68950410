"""URLs of engines: what is taken, what is refused, and a password that stands nowhere."""

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trmm_async import InvalidRequestError
from trmm_async.engines.address import nats_address, redis_address

WHAT = "shared_limits"
TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("redis://limits.internal", {"host": "limits.internal", "port": 6379, "database": 0}),
    ("redis://limits.internal:6380/3", {"port": 6380, "database": 3, "is_encrypted": False}),
    ("rediss://limits.internal/", {"is_encrypted": True, "database": 0}),
    ("redis://u%40x:p%2Fw@h:1/0", {"username": "u@x", "password": "p/w", "host": "h", "port": 1}),
    ("redis://:secret@h", {"username": "", "password": "secret"}),
    ("redis://[::1]:7/2", {"host": "::1", "shown": "redis://[::1]:7/2"}),
    ("redis://h?db=4", {"database": 4}),
    ("valkeys://h", {"is_encrypted": True, "shown": "valkeys://h:6379/0"}),
    ("unix:///run/redis.sock?db=2", {"path": "/run/redis.sock", "database": 2, "host": ""}),
    ("unix://:pw@/run/redis.sock", {"path": "/run/redis.sock", "password": "pw"}),
    ("rediss://h?ssl_ca_certs=/ca.pem", {"files": {"ssl_ca_certs": "/ca.pem"}}),
]
REFUSED: list[tuple[Any, str]] = [
    (5, "must be a URL"),
    ("", "must be a URL"),
    ("limits.internal:6379", "must begin with redis://"),
    ("http://limits.internal", "not http://"),
    ("postgresql://db", "not postgresql://"),
    ("redis+sentinel://:pw@a:26379/mymaster", "Sentinel and Redis Cluster are not supported"),
    ("sentinel://a", "Sentinel and Redis Cluster are not supported"),
    ("redis-cluster://a", "Sentinel and Redis Cluster are not supported"),
    ("redis://:pw@a:1,b:2/0", "Sentinel and Redis Cluster are not supported"),
    ("redis:///0", "names no host"),
    ("redis://h:notaport", "malformed"),
    ("redis://h:99999", "malformed"),
    ("redis://h/one", "the database must be a number"),
    ("redis://h/1?db=2", "names its database twice"),
    ("redis://h?socket_timeout=3", "not 'socket_timeout'"),
    ("redis://h?ssl_ca_certs=/ca.pem", "not 'ssl_ca_certs'"),
    ("redis://h#x", "no fragment"),
    ("unix://run/redis.sock", "three slashes"),
]


@pytest.mark.parametrize(("url", "parts"), TAKEN, ids=lambda value: str(value)[:24])
def test_what_is_taken(url: str, parts: dict[str, Any]) -> None:
    address = redis_address(url, WHAT)
    assert {name: getattr(address, name) for name in parts} == parts


@pytest.mark.parametrize(("url", "says"), REFUSED, ids=lambda value: str(value)[:24])
def test_what_is_refused_says_why(url: Any, says: str) -> None:
    with pytest.raises(InvalidRequestError, match=says) as caught:
        redis_address(url, WHAT)
    assert str(caught.value).startswith(WHAT)
    assert "pw" not in str(caught.value)


NATS_TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("nats://bus.internal", {"host": "bus.internal", "port": 4222, "is_encrypted": False, "is_nats": True}),
    ("NATS://[::1]:7", {"host": "::1", "shown": "nats://[::1]:7"}),
    ("tls://u%40x:p%2Fw@h/", {"username": "u@x", "password": "p/w", "is_encrypted": True, "host": "h"}),
    ("nats://token@h", {"username": "", "password": "token", "shown": "nats://h:4222"}),
    ("tls://h?ssl_ca_certs=/ca.pem", {"files": {"ssl_ca_certs": "/ca.pem"}}),
]
NATS_REFUSED: list[tuple[Any, str]] = [
    (5, "must be a URL"),
    ("bus:4222", "must begin with nats:// or tls://"),
    ("redis://bus", "not redis://"),
    ("nats://:pw@", "must name one host"),
    ("nats://:pw@a:4222,b:4222", "malformed|must name one host"),
    ("nats://h:port", "malformed"),
    ("nats://h/stream", "no path"),
    ("nats://h?ssl_ca_certs=/ca.pem", "not 'ssl_ca_certs'"),
]


@pytest.mark.parametrize(("url", "parts"), NATS_TAKEN, ids=lambda value: str(value)[:24])
def test_what_is_taken_for_nats(url: str, parts: dict[str, Any]) -> None:
    address = nats_address(url, WHAT)
    assert {name: getattr(address, name) for name in parts} == parts


@pytest.mark.parametrize(("url", "says"), NATS_REFUSED, ids=lambda value: str(value)[:24])
def test_what_is_refused_for_nats_says_why(url: Any, says: str) -> None:
    with pytest.raises(InvalidRequestError, match=says) as caught:
        nats_address(url, WHAT)
    assert str(caught.value).startswith(WHAT)
    assert "pw" not in str(caught.value)


@given(st.text("aZ7@:/?#% '\"üñ", min_size=4))
def test_a_password_of_any_letters_is_read_and_not_shown(secret: str) -> None:
    address = redis_address(f"redis://:{quote(secret, safe='')}@limits.internal", WHAT)
    assert address.password == secret
    plain = redis_address("redis://limits.internal", WHAT)
    assert (str(address), repr(address)) == (str(plain), repr(plain))
    assert "***" in address.scrub(f"AUTH {secret} failed")
