"""What a gateway can't do is said before anybody is asked, and before anything is done."""

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.stage import Backstage

RUN = "use `trmm run SCRIPT`"


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (("history",), "`trmm run --journal`"),
        (("software", "JADE-PC"), RUN),
        (("updates",), RUN),
        (("services", "JADE-PC"), RUN),
        (("cmd", "JADE-PC", "hostname"), RUN),
        (("cmd", "hostname", "--all"), RUN),
        (("patch", "scan", "--all"), RUN),
        (("patch", "install", "--all"), RUN),
        (("reboot", "JADE-PC"), RUN),
        (("reboot", "--all"), RUN),
        (("services", "restart", "Spooler", "--all"), RUN),
        (("maintenance", "on", "--all"), "a stock server has (--dialect stock)"),
        (("alerts", "snooze", "1", "2", "--yes"), "`trmm alerts ack`"),
        (("call", "policies.list"), "a stock server has (--dialect stock)"),
        (("webhooks", "--listen", "127.0.0.1:0"), "`trmm watch`"),
    ],
)
def test_what_a_gateway_has_not_is_refused_with_what_to_use(
    cli: Cli,
    gateway: Backstage,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    instead: str,
) -> None:
    monkeypatch.setenv("TRMM_WEBHOOK_SECRET", "a-secret-of-32-characters-at-least")
    said = cli(*words)
    assert (said.code, said.out) == (4, "")
    (line,) = said.error.splitlines()
    assert "a gateway " in line
    assert instead in line


@pytest.mark.parametrize("what", ["software", "updates", "services", "history"])
def test_an_export_of_it_writes_no_part(cli: Cli, gateway: Backstage, tmp_path: Path, what: str) -> None:
    said = cli("export", "agents", what, "--to", str(tmp_path / "export"))
    assert said.code == 4
    assert "a gateway " in said.error
    assert not (tmp_path / "export").exists()


def test_an_address_in_the_wrong_dialect_names_the_option(cli: Cli, stock: Backstage) -> None:
    said = cli("clients", "--dialect", "gateway")
    assert said.code == 1
    assert "is it a stock server (--dialect stock, or auto)?" in said.error
