"""`trmm doctor` finds out what is wrong, and says it."""

import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cli.conftest import Cli
from tests.cli.stage import Backstage, Said, program
from tests.engine_servers import Engine, nats_server, redis_server
from tests.stream.fake_gateway import TLS_CERTIFICATE, TLS_KEY
from trmm_async.cli.doctor import _clock, _encryption, _Peek


def states(said: Said) -> dict[str, str]:
    return {row["what"]: row["state"] for row in said.data}


def words_of(said: Said, what: str) -> str:
    text: str = next(row["text"] for row in said.data if row["what"] == what)
    return text


def test_all_is_well(cli: Cli, either: Backstage) -> None:
    said = cli("doctor", "--json")
    assert said.code == 0
    assert set(states(said).values()) == {"ok"}
    dialect = either.do(lambda server: server.dialect)
    assert words_of(said, "dialect") == dialect
    assert ("version" in states(said)) == (dialect == "stock")
    assert words_of(said, "server") == f"{either.url} (from TRMM_URL)"
    assert words_of(said, "key") == "from TRMM_API_KEY"
    for noun in ("agents", "clients", "scripts", "tasks", "alerts", "deployments"):
        assert noun in words_of(said, "access")
    assert either.api_key not in said.out


def test_people_see_a_line_for_each(cli: Cli, gateway: Backstage) -> None:
    said = cli("doctor")
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()] == [
        *("server", "key", "reached", "TLS", "clock", "dialect", "access"),
    ]


def test_a_key_that_is_refused(cli: Cli, either: Backstage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRMM_API_KEY", "WRONG")
    said = cli("doctor", "--json")
    assert said.code == 4
    assert states(said)["access"] == "bad"
    assert "the key is refused" in words_of(said, "access")


def test_what_the_key_may_not_do(cli: Cli, either: Backstage) -> None:
    restriction = either.do(lambda server: server.restrict("can_list_alerts", "can_list_scripts"))
    said = cli("doctor", "--json")
    either.do(lambda _: restriction.lift())
    assert said.code == 0
    assert states(said)["access"] == "warning"
    assert words_of(said, "access").endswith("; not scripts, alerts")


def test_no_server(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRMM_API_KEY", "k")
    said = cli("doctor", "--json", "--url", "http://127.0.0.1:9")
    assert said.code == 1
    assert states(said)["reached"] == "bad"
    assert "is the address right" in words_of(said, "reached")


def test_a_server_that_fails(cli: Cli, gateway: Backstage) -> None:
    gateway.do(lambda server: server.fail("GET", "/clients/", status=500, times=None))
    said = cli("doctor", "--json")
    assert said.code == 1
    assert words_of(said, "access").startswith("clients can't be read: ")


def test_a_server_of_neither_kind(cli: Cli, gateway: Backstage) -> None:
    gateway.do(lambda server: server.answer("GET", "/deployments/", body="<html></html>", times=None))
    said = cli("doctor", "--json")
    assert said.code == 1
    assert states(said)["dialect"] == "bad"


class Refusing(BaseHTTPRequestHandler):
    """A gateway that knows no key, and the time of another year."""

    date = "Thu, 01 Jan 2026 00:00:00 GMT"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        body = b'{"detail": "Invalid token"}'
        self.send_response(401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def date_time_string(self, timestamp: Any = None) -> str:
        return self.date

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def encrypted(folder: Path) -> Iterator[tuple[str, Path]]:
    certificate, key = folder / "cert.pem", folder / "key.pem"
    certificate.write_text(TLS_CERTIFICATE)
    key.write_text(TLS_KEY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_address[1]}", certificate
        finally:
            server.shutdown()
            thread.join(10)


class TestTLS:
    def test_a_certificate_that_is_trusted_and_a_clock_that_is_wrong(self, tmp_path: Path) -> None:
        with encrypted(tmp_path) as (url, certificate):
            extra = {"TRMM_URL": url, "TRMM_API_KEY": "k", "SSL_CERT_FILE": str(certificate)}
            said = program(["doctor", "--json"], extra, fresh=True)  # aiohttp reads it when it is loaded
        assert said.code == 4
        assert states(said)["TLS"] == "ok"
        assert words_of(said, "TLS").startswith("by ")
        assert states(said)["clock"] == "warning"
        assert " d behind this machine's" in words_of(said, "clock")
        assert states(said)["dialect"] == "ok"

    def test_one_that_is_not(self, tmp_path: Path) -> None:
        with encrypted(tmp_path) as (url, _):
            said = program(["doctor", "--json"], {"TRMM_URL": url, "TRMM_API_KEY": "k"})
        assert said.code == 1
        assert states(said)["TLS"] == "bad"
        assert "the server's certificate is not trusted" in words_of(said, "TLS")


class TestTheSharedLimits:
    def test_that_can_be_kept(self, cli: Cli, either: Backstage, shared: Engine) -> None:
        # An empty store could be one that has lost its state: it is waited for a window, a minute by default.
        said = cli("doctor", "--json", "--rate-limit", "100/0.1")
        assert said.code == 0
        assert states(said)["limits"] == "ok"
        assert re.fullmatch(
            r"shared by redis://127.0.0.1:\d+/0: (Redis|Valkey) [\d.]+, noeviction; its clock .* agree",
            words_of(said, "limits"),
        )

    def test_whose_server_is_gone(self, cli: Cli, gateway: Backstage, shared: Engine) -> None:
        shared.kill()
        said = cli("doctor", "--json")
        assert said.code == 1
        assert "limits can't be asked" in words_of(said, "limits").replace(f"{shared.url}/0", "limits")
        assert list(states(said))[-1] == "limits"

    def test_whose_server_may_forget_them(
        self, cli: Cli, gateway: Backstage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with redis_server(tmp_path, "--maxmemory-policy", "volatile-ttl") as engine:
            monkeypatch.setenv("TRMM_SHARED_LIMITS", engine.url)
            said = cli("doctor", "--json")
        assert said.code == 1
        assert "maxmemory-policy is volatile-ttl" in words_of(said, "limits")

    def test_whose_url_can_not_be_one(
        self, cli: Cli, gateway: Backstage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TRMM_SHARED_LIMITS", "redis+sentinel://:Sesame-4711@a:1,b:2/main")
        said = cli("doctor", "--json")
        assert said.code == 1
        assert "Sentinel and Redis Cluster are not supported" in words_of(said, "limits")
        assert "Sesame" not in said.out + said.error

    def test_keep_a_command_waiting_no_longer_than_they_must(
        self, cli: Cli, gateway: Backstage, shared: Engine
    ) -> None:
        said = cli("clients", "--rate-limit", "5/0.1", "--json")
        assert said.code == 0
        assert said.data


class TestTheRelay:
    def test_that_can_be_written_to(
        self, cli: Cli, gateway: Backstage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for folder in ("redis", "nats"):
            (tmp_path / folder).mkdir()
        with redis_server(tmp_path / "redis", password="Sesame-4711") as redis:
            monkeypatch.setenv("TRMM_RELAY", redis.url.replace("//", "//:Sesame-4711@"))
            said = cli("doctor", "--json")
            assert (said.code, states(said)["relay"]) == (0, "ok")
            assert re.search(
                r"^redis://127.0.0.1:\d+/0 answers: (Redis|Valkey) [\d.]+$", words_of(said, "relay")
            )
            monkeypatch.setenv("TRMM_RELAY", redis.url.replace("//", "//:Sesame-wrong@"))
            wrong = cli("doctor", "--json")
        assert (wrong.code, states(wrong)["relay"]) == (1, "bad")
        assert "are address and password right" in words_of(wrong, "relay")
        assert "Sesame" not in said.out + wrong.out + wrong.error
        pytest.importorskip("nats", reason="the library of the extra [nats] is missing")
        for jetstream, state in ((True, "ok"), (False, "bad")):
            with nats_server(tmp_path / "nats", jetstream=jetstream) as nats:
                monkeypatch.setenv("TRMM_RELAY", nats.url)
                said = cli("doctor", "--json")
            assert states(said)["relay"] == state
            assert "JetStream" in words_of(said, "relay")

    @pytest.mark.parametrize(
        ("url", "says"),
        [("amqp://u:Sesame@bus", "must begin with"), ("nats://Sesame@127.0.0.1:9", "can't be asked")],
    )
    def test_that_is_not_there(
        self, url: str, says: str, cli: Cli, gateway: Backstage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TRMM_RELAY", url)
        said = cli("doctor", "--json")
        assert (said.code, states(said)["relay"]) == (1, "bad")
        assert says in words_of(said, "relay")
        assert "Sesame" not in said.out + said.error

    def test_that_may_forget_events(
        self, cli: Cli, gateway: Backstage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with redis_server(tmp_path, "--maxmemory-policy", "allkeys-lru") as engine:
            monkeypatch.setenv("TRMM_RELAY", engine.url)
            said = cli("doctor", "--json")
        assert (said.code, states(said)["relay"]) == (0, "warning")
        assert "maxmemory-policy is allkeys-lru" in words_of(said, "relay")


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    with redis_server(tmp_path) as engine:
        monkeypatch.setenv("TRMM_SHARED_LIMITS", engine.url)
        yield engine


class TestWhatAServerTells:
    ASKED = datetime(2026, 5, 1, 12, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("seconds", "state", "says"),
        [
            (10, "ok", "agree"),
            (-20, "ok", "agree"),
            (300, "warning", "5 min ahead of"),
            (-7_200, "warning", "2 h behind"),
        ],
    )
    def test_of_its_clock(self, seconds: int, state: str, says: str) -> None:
        finding = _clock(_Peek(self.ASKED + timedelta(seconds=seconds), self.ASKED, None))
        assert finding.state == state
        assert says in finding.text

    def test_nothing_of_its_clock(self) -> None:
        assert _clock(_Peek(None, self.ASKED, None)).state == "warning"

    @pytest.mark.parametrize(("days", "state"), [(90, "ok"), (5, "warning")])
    def test_of_its_certificate(self, days: int, state: str) -> None:
        until = datetime.now(UTC) + timedelta(days=days)
        certificate = {
            "notAfter": f"{until:%b %d %H:%M:%S %Y} GMT",
            "issuer": ((("organizationName", "Let's Encrypt"),), (("commonName", "R3"),)),
        }
        finding = _encryption(_Peek(None, self.ASKED, certificate), urlsplit("https://x.example"))
        assert finding.state == state
        assert finding.text.startswith(f"by Let's Encrypt, until {until:%Y-%m-%d} (in ")

    def test_without_encryption(self) -> None:
        peek = _Peek(None, self.ASKED, None)
        assert _encryption(peek, urlsplit("http://localhost:80")).state == "ok"
        assert _encryption(peek, urlsplit("http://rmm.example")).state == "warning"
