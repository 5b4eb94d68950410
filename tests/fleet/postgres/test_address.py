"""Where a journal in PostgreSQL is, and how that is shown and refused."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import many
from trmm_async import TRMM, InvalidRequestError, Journal, PostgresJournal


class TestWhereItIs:
    @pytest.mark.parametrize(
        ("url", "name"),
        [
            ("postgresql://db.internal/trmm?run=tuesday", "postgresql://db.internal/trmm?run=tuesday"),
            ("postgres://me:pw@a:1,b:2/x?run=r&sslmode=require", "postgres://me@a:1,b:2/x?run=r"),
            ("postgresql://me:p%40w/pw@h/x?run=r", "postgresql://me@h/x?run=r"),
            ("postgresql:///x?run=a%20b&password=pw&host=/tmp", "postgresql:///x?run=a%20b"),
            ("postgresql://h?run=r", "postgresql://h?run=r"),
        ],
    )
    def test_shows_no_password(self, url: str, name: str) -> None:
        journal = PostgresJournal(url)
        assert str(journal) == name
        assert repr(journal) == f"<PostgresJournal {name}>"
        assert "pw" not in f"{journal!r} {journal} {journal.url!r}"

    @given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=10), st.booleans())
    @settings(max_examples=many(60))
    def test_however_it_is_written(self, secret: str, behind: bool) -> None:
        secret = f"SEC{secret}RET"
        url = f"postgresql://h/x?password={secret}" if behind else f"postgresql://me:{secret}@h/x"
        try:
            shown = str(PostgresJournal(url, run="one"))
        except InvalidRequestError as error:  # it happens to name a run, or more
            shown = str(error)
        assert "SEC" not in shown

    def test_is_two_things_or_one_text(self) -> None:
        one = PostgresJournal("postgresql://h/x?run=tuesday&sslmode=require")
        assert one == PostgresJournal("postgresql://h/x?sslmode=require", run="tuesday")
        assert one.url == "postgresql://h/x?sslmode=require"
        assert one.run == "tuesday"

    @pytest.mark.parametrize(
        ("url", "run", "said"),
        [
            ("postgresql://h/x", "", "needs the name of its run"),
            ("postgresql://h/x?run=a", "b", "give the name in one place"),
            ("postgresql://h/x?run=a&run=b", "", "more than one"),
            ("postgresql://h/x", "a\nb", "printable"),
            ("postgresql://h/x", "a" * 201, "printable"),
            ("mysql://h/x", "a", "postgresql://"),
            ("run.db", "a", "postgresql://"),
            (None, "a", "a text, not NoneType"),
        ],
    )
    def test_what_is_none_is_refused(self, url: Any, run: str, said: str) -> None:
        with pytest.raises(InvalidRequestError, match=said):
            PostgresJournal(url, run=run)

    @pytest.mark.parametrize("name", ["lease", "poll", "timeout"])
    @pytest.mark.parametrize("value", [0, -1, "5", math.inf])
    def test_so_are_settings(self, name: str, value: Any) -> None:
        with pytest.raises(InvalidRequestError, match=name):
            PostgresJournal("postgresql://h/x", run="a", **{name: value})

    @pytest.mark.parametrize(
        "journal",
        [
            "mysql://h/x?run=a",
            "redis://h/0",
            "sqlite:///run.db",
            "https:/x",
            Path("redis://h"),
            Path("postgresql://h/x?run=a"),
            "postgresql://h/x",
        ],
    )
    async def test_an_address_is_never_a_files_name(
        self, journal: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        async with TRMM("http://127.0.0.1:1", api_key="k" * 20) as trmm:
            with pytest.raises(InvalidRequestError):
                trmm.fleet.run_script(["a" * 40], 1, journal=journal)
            with pytest.raises(InvalidRequestError):
                trmm.fleet.resume(journal)
        with pytest.raises(InvalidRequestError):
            await Journal.read(journal)
        assert list(tmp_path.iterdir()) == []

    async def test_a_rule_that_other_hosts_can_not_be_told_is_refused(self) -> None:
        journal = PostgresJournal("postgresql://h/x", run="a")
        async with TRMM("http://127.0.0.1:1", api_key="k" * 20) as trmm:
            with pytest.raises(InvalidRequestError, match="function"):
                trmm.fleet.run_script(["a" * 40], 1, journal=journal, success=lambda result: True)
            with pytest.raises(InvalidRequestError, match="without success"):
                trmm.fleet.resume(journal, success=(0,))
            trmm.fleet.run_script(["a" * 40], 1, journal=journal, success=(0, 3010))
