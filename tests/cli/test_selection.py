"""Names for ids, and agents by what they have in common."""

import pytest

from tests.cli.conftest import Cli
from tests.cli.stage import Backstage
from trmm_async import Client, Site
from trmm_async.cli.selection import client_named, site_named


def test_what_is_called_like_an_id_is_named_by_a_prefix(cli: Cli, gateway: Backstage) -> None:
    number = gateway.do(lambda server: server.add_script("3"))
    for words in (["run", "3"], ["run", "name:3"], ["run", "name:3", "name:3"]):
        assert cli(*words, "--agent", "name:jade-pc").code == 0
    runs = gateway.do(lambda server: [(run.script, run.args) for run in server.runs])
    assert runs == [(3, ()), (number, ()), (number, ("name:3",))]
    said = cli("call", "agents.run_script", "JADE-PC", "--script", "name:3", "--yes")
    assert said.code == 0, said.error
    assert gateway.do(lambda server: server.runs[-1].script) == number
    said = cli("run", "999", "--agent", "JADE-PC")
    assert (said.code, said.error) == (
        2,
        "trmm: there is no script '999', neither by its id nor by its name\n",
    )
    said = cli("run", "name:5", "--agent", "JADE-PC")
    assert (said.code, said.out) == (2, "")
    assert "there is no script '5'" in said.error


@pytest.mark.parametrize("wanted", ["name:3", "Acme/3"])
def test_a_client_and_a_site_too(wanted: str) -> None:
    clients = [
        Client(id=3, name="Acme", sites=(Site(id=1, name="3"), Site(id=3, name="Main"))),
        Client(id=4, name="3"),
    ]
    assert site_named(wanted, clients).id == 1
    assert site_named("3", clients).id == 3
    assert [client_named(one, clients).id for one in ("3", "name:3", "name:acme")] == [3, 4, 3]
