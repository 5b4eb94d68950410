"""Writes tables of any length to files, row by row: CSV, JSON Lines, SQLite, Parquet.

Below: `files`, `rows`. Above: its command.
"""

import csv
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from trmm_async.cli.exits import CommandError, Exit
from trmm_async.cli.files import output_file
from trmm_async.cli.rows import TableField, as_row, flat, harmless
from trmm_async.plaintext import UNFIT

__all__ = ["FORMATS", "Write", "row_of", "writer"]

FORMATS: Final = ("csv", "jsonl", "parquet", "sqlite")
_AT_ONCE: Final = 2_000
"""Rows of a batch, for the formats that are written in batches."""

Write = Callable[[Sequence[Any]], object]
"""Writes one row, its values in the order of the fields."""


def row_of(thing: Any, fields: Sequence[TableField], hosts: Mapping[str, str] | None) -> list[Any]:
    """A thing's values in the order of the fields."""
    row = flat(as_row(thing, hosts), {field.name for field in fields})
    return [_fitting(row.get(field.name), field.kind) for field in fields]


def _fitting(value: Any, kind: str) -> Any:
    if value is None or kind != "text":
        return value
    # Databases refuse a lone surrogate.
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode()


def writer(
    folder: Path, form: str, name: str, fields: Sequence[TableField], database: Path | None
) -> AbstractContextManager[Write]:
    """Write a table in a block, which is given a function that writes a row. An error leaves no file.

    Args:
        folder: the folder.
        form: one of `FORMATS`.
        name: the name of the table.
        fields: its columns.
        database: the database file, for SQLite, which has all tables in one file.
    """
    if database is not None:
        return _sqlite(database, name, fields, folder / "trmm.sqlite")
    return {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}[form](folder / f"{name}.{form}", fields)


@contextmanager
def _csv(path: Path, fields: Sequence[TableField]) -> Iterator[Write]:
    with output_file(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow([field.name for field in fields])
        yield lambda row: table.writerow(harmless(row))


@contextmanager
def _jsonl(path: Path, fields: Sequence[TableField]) -> Iterator[Write]:
    names = [field.name for field in fields]
    with output_file(path) as aside, aside.open("w", encoding="utf-8") as file:

        def write(row: Sequence[Any]) -> None:
            line = json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False)
            # Some readers also end lines at other characters than the line feed.
            file.write(UNFIT.sub(lambda found: f"\\u{ord(found[0]):04x}", line) + "\n")

        yield write


@contextmanager
def _sqlite(path: Path, name: str, fields: Sequence[TableField], told: Path) -> Iterator[Write]:
    kinds = {"integer": "INTEGER", "boolean": "INTEGER", "real": "REAL"}
    columns = ", ".join(f'"{field.name}" {kinds.get(field.kind, "TEXT")}' for field in fields)
    places = ", ".join("?" * len(fields))
    insert = f'INSERT INTO "{name}" VALUES ({places})'  # noqa: S608 - names of ours
    batch: list[Sequence[Any]] = []
    try:
        with closing(sqlite3.connect(path)) as database:
            database.execute(f'CREATE TABLE "{name}" ({columns})')

            def flush() -> None:
                try:
                    database.executemany(insert, batch)
                except OverflowError as error:
                    raise CommandError(Exit.FAILED, f"{told} can't be written: {error}") from error
                batch.clear()

            def write(row: Sequence[Any]) -> None:
                batch.append(row)
                if len(batch) >= _AT_ONCE:
                    flush()

            yield write
            flush()
            database.commit()
    except sqlite3.Error as error:  # a disk may be full at any of these
        raise CommandError(Exit.FAILED, f"{told} can't be written: {error}") from error


@contextmanager
def _parquet(path: Path, fields: Sequence[TableField]) -> Iterator[Write]:
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        needs = '--format parquet needs a package: pip install "trmm-async[cli,parquet]"'
        raise CommandError(Exit.FAILED, needs) from error
    kinds = {
        "integer": pa.int64(),
        "real": pa.float64(),
        "boolean": pa.bool_(),
        "time": pa.timestamp("us", tz="UTC"),
    }
    schema = pa.schema([(field.name, kinds.get(field.kind, pa.string())) for field in fields])
    with output_file(path) as aside, parquet.ParquetWriter(aside, schema) as file:
        batch: list[Sequence[Any]] = []

        def write(row: Sequence[Any]) -> None:
            batch.append(row)
            if len(batch) >= _AT_ONCE:
                flush()

        def flush() -> None:
            columns = [
                [_moment(row[place]) if field.kind == "time" else row[place] for row in batch]
                for place, field in enumerate(fields)
            ]
            try:
                arrays = [pa.array(values, kind.type) for values, kind in zip(columns, schema, strict=True)]
            except (pa.ArrowException, OverflowError, ValueError) as error:
                raise CommandError(Exit.FAILED, f"{path} can't be written: {error}") from error
            file.write_table(pa.Table.from_arrays(arrays, schema=schema))
            batch.clear()

        yield write
        flush()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone()
