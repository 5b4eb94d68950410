"""The page about testing names what there is; its blocks are run with those of the other pages."""

from __future__ import annotations

import inspect
import re

from trmm_async.testing import Simulator

from .test_plugin import ROOT

PAGE = (ROOT / "docs" / "testing.md").read_text()


def test_every_setting_and_every_switch_is_on_the_page() -> None:
    settings = inspect.signature(Simulator).parameters
    every = [name for each in Simulator.__mro__ if each is not object for name in vars(each)]
    switches = {name for name in every if not name.startswith("_")}
    assert {
        name for name in [*settings, *switches] if f"`{name}" not in PAGE and f".{name}" not in PAGE
    } == set()


def test_every_default_on_the_page_is_the_real_one() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", PAGE, re.MULTILINE))
    real = {name: each.default for name, each in inspect.signature(Simulator).parameters.items()}
    assert {name: rows[name] for name in rows if name != "clock"} == {
        name: repr(real[name]).replace("'", '"') for name in rows if name != "clock"
    }
    assert len(rows) > 10
