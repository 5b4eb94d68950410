"""`trmm export`: whole tables as files, in flat memory, whole or not there."""

import csv
import json
import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trmm_async as sdk
from tests.cli.conftest import Cli
from tests.cli.stage import Backstage
from trmm_async.cli.exits import CommandError
from trmm_async.cli.rows import TableField, fields_of
from trmm_async.cli.tables import FORMATS, row_of, writer

FIELDS = (
    TableField("name", "text"),
    TableField("size", "integer"),
    TableField("is_on", "boolean"),
    TableField("at", "time"),
)


def read(folder: Path, form: str, name: str) -> list[dict[str, Any]]:
    path = folder / f"{name}.{form}"
    if form == "csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    if form == "jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if form == "parquet":
        from pyarrow import parquet  # type: ignore[import-untyped]

        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
        return rows
    with closing(sqlite3.connect(folder / "trmm.sqlite")) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(f'SELECT * FROM "{name}"')]


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_has_every_row(cli: Cli, stock: Backstage, tmp_path: Path, form: str) -> None:
    said = cli("export", "agents", "checks", "software", "clients", "--to", str(tmp_path), "--format", form)
    assert said.code == 0, said.error
    agents = {row["agent_id"]: row for row in cli("agents", "--json").data}
    rows = read(tmp_path, form, "agents")
    assert {row["agent_id"]: row["client_name"] for row in rows} == {
        who: row["client"]["name"] for who, row in agents.items()
    }
    checks = read(tmp_path, form, "checks")
    assert len(checks) == len(cli("checks", "--json").data)
    assert all(row["hostname"] == agents[row["agent_id"]]["hostname"] for row in checks)
    assert {row["hostname"] for row in read(tmp_path, form, "software")} > {"JADE-PC"}
    assert len(read(tmp_path, form, "clients")) == len(cli("clients", "--json").data)
    assert not list(tmp_path.glob(".*"))


def test_the_filters_of_agents_hold(cli: Cli, either: Backstage, tmp_path: Path) -> None:
    assert cli("export", "agents", "tasks", "--hostname", "jade*", "--to", str(tmp_path)).code == 0
    assert {row["hostname"] for row in read(tmp_path, "csv", "agents")} == {"JADE-PC"}
    assert {row["hostname"] for row in read(tmp_path, "csv", "tasks")} == {"JADE-PC"}
    assert cli("export", "clients", "--hostname", "jade*", "--to", str(tmp_path)).code == 2
    assert "did you mean 'checks'?" in cli("export", "check", "--to", str(tmp_path)).error


def test_agents_alone_are_read_once(cli: Cli, either: Backstage, tmp_path: Path) -> None:
    either.do(lambda server: server.reset_ledger())
    assert cli("export", "agents", "--to", str(tmp_path)).code == 0
    paths = [request.path for request in either.do(lambda server: server.requests)]
    assert len([path for path in paths if path.endswith("/agents/")]) == 1


def test_what_fails_leaves_what_was_there(cli: Cli, gateway: Backstage, tmp_path: Path) -> None:
    path = tmp_path / "agents.csv"
    path.write_text("before")
    fault = gateway.do(lambda server: server.fail("GET", "/scripts/", status=500, times=None))
    with fault:
        said = cli("export", "agents", "scripts", "--to", str(tmp_path))
    assert said.code == 1
    assert path.read_text() != "before"
    with fault, gateway.do(lambda server: server.fail("GET", "/clients/", status=500, times=None)):
        (tmp_path / "clients.csv").write_text("before")
        assert cli("export", "clients", "--to", str(tmp_path)).code == 1
    assert (tmp_path / "clients.csv").read_text() == "before"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["agents.csv", "clients.csv"]


@pytest.mark.parametrize("form", ["csv", "jsonl", "sqlite"])
def test_many_rows_take_no_more_memory_than_few(tmp_path: Path, form: str) -> None:
    def peak(rows: int) -> int:
        folder = tmp_path / f"{rows}"
        folder.mkdir()
        database = folder / "trmm.sqlite" if form == "sqlite" else None
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        with writer(folder, form, "things", FIELDS, database) as write:
            for number in range(rows):
                write([f"host {number}", number, True, "2026-05-01T12:00:00+00:00"])
        return tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start()
    try:
        peak(10)
        few, many = peak(2_000), peak(8_000)
    finally:
        tracemalloc.stop()
    assert many < few + 500_000
    assert len(read(tmp_path / "2000", form, "things")) == 2_000


def test_parquet_holds_a_batch_and_no_more(tmp_path: Path) -> None:
    import pyarrow as pa

    def most(rows: int) -> int:
        with writer(tmp_path, "parquet", f"things{rows}", FIELDS, None) as write:
            for number in range(rows):
                write([f"host {number}", number, True, "2026-05-01T12:00:00+00:00"])
        return int(pa.default_memory_pool().max_memory())  # of all of the process so far

    few = most(4_000)
    assert most(24_000) < few + 500_000
    assert len(read(tmp_path, "parquet", "things24000")) == 24_000


@given(st.text(), st.integers(-(2**63), 2**63 - 1) | st.none(), st.booleans())
def test_any_value_is_written_and_read_again(
    tmp_path_factory: pytest.TempPathFactory, text: str, number: int | None, is_on: bool
) -> None:
    folder = tmp_path_factory.mktemp("values")
    row = {"name": text, "size": number, "is_on": is_on, "at": None}
    for form in ("csv", "jsonl", "sqlite"):
        database = folder / "trmm.sqlite" if form == "sqlite" else None
        with writer(folder, form, "things", FIELDS, database) as write:
            write(row_of(row, FIELDS, None))
    (line,) = read(folder, "jsonl", "things")
    assert line == {**row, "name": text.encode("utf-8", "replace").decode()}
    (kept,) = read(folder, "sqlite", "things")
    assert str(kept["size"]) == str(number)


@pytest.mark.parametrize("form", ["parquet", "sqlite"])
def test_a_number_that_does_not_fit_is_told(tmp_path: Path, form: str) -> None:
    database = tmp_path / "trmm.sqlite" if form == "sqlite" else None
    with pytest.raises(CommandError, match="can't be written"):
        with writer(tmp_path, form, "things", FIELDS, database) as write:
            write(["x", 2**70, None, None])
    assert not list(tmp_path.glob("*.parquet"))


@pytest.mark.parametrize("when", ["opened", "written"])
def test_a_database_that_cannot_be_written_is_told_by_its_name(tmp_path: Path, when: str) -> None:
    aside = tmp_path / ".aside.part"
    if when == "opened":
        aside.mkdir()
    with pytest.raises(CommandError, match=r"trmm\.sqlite can't be written: "):
        with writer(tmp_path, "sqlite", "things", FIELDS, aside) as write:
            write(["x", 1, None, None])
            # It is another's now, as it were full: nothing of what was kept back can get there.
            with closing(sqlite3.connect(aside)) as database:
                database.execute("DROP TABLE things")


NOUNS = (sdk.Agent, sdk.Check, sdk.HistoryEntry, sdk.Software, sdk.WindowsUpdate, sdk.Alert, sdk.Task)


@pytest.mark.parametrize("kind", NOUNS)
def test_columns_are_the_same_whatever_the_rows_hold(kind: type) -> None:
    names = [field.name for field in fields_of(kind, hosted=True)]
    assert names[:2] == ["agent_id", "hostname"]
    assert len(names) == len(set(names))


def test_columns_have_the_types_of_the_fields() -> None:
    kinds = {field.name: field.kind for field in fields_of(sdk.Agent, hosted=False)}
    assert kinds["client_id"] == "integer"
    assert kinds["needs_reboot"] == "boolean"
    assert kinds["last_seen"] == "time"
    assert kinds["disks"] == "text"
