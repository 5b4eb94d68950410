"""The page of a run: all that came of it in one file, safe whatever a script has printed."""

import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trmm_async as sdk
from tests.browser import Browser, browser
from trmm_async.fleet.page import page
from trmm_async.fleet.reports import Grouping
from trmm_async.testing import Simulator

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOSTILE = (
    "</pre><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "<svg onload=alert(1)>--><!--]]></script></style></details>",
    "&lt;b&gt; &#0; \x00\x1b[31m\u202e\ud800 {{7*7}} ${7*7} `x`",
    "<iframe srcdoc='<script>parent.document.title=1</script>'><base href=http://evil.example>",
)


def agent(number: int) -> sdk.Agent:
    client = sdk.ClientRef(id=number % 3, name=f"Client <{number % 3}>")
    site = sdk.SiteRef(id=1, name="Office")
    return sdk.Agent(agent_id=f"id-{number}", hostname=f"HOST-{number:04}", client=client, site=site)


def done(number: int, stdout: str, code: int = 0, took: float | None = 1.0) -> sdk.Done[Any]:
    result = sdk.ScriptResult(retcode=code, stdout=stdout, stderr="", execution_time=took)
    return sdk.Done(agent_id=f"id-{number}", result=result)


def made(outcomes: list[Any], title: str = "script Get-DiskInfo") -> str:
    grouping = Grouping()
    for outcome in outcomes:
        grouping.add(outcome)
    counts = sdk.Counts(done=len(outcomes))
    agents = [agent(number) for number in range(len(outcomes))]
    return page(grouping.groups(), counts, agents, title=title, when=NOW)


class Tags(HTMLParser):
    """Which elements and attributes a page has, and its text in <pre>."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.said = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] == ["pre"]:
            self.said += data


@given(st.text(), st.text())
def test_whatever_is_printed_makes_no_element(output: str, title: str) -> None:
    plain = Tags(made([done(0, "x")], "x"))
    told = Tags(made([done(0, output)], title))
    assert (told.tags, told.attributes) == (plain.tags, plain.attributes)


def test_nothing_of_it_needs_a_network_and_nothing_else_may_run() -> None:
    text = made([done(0, "one"), done(1, "two", 1)])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy[1]
    assert not re.search(r'(?:src|href)="(?!#)', text)
    assert "://" not in text


def test_it_has_counts_groups_differences_and_times() -> None:
    text = made([done(0, "a\nb\n"), done(1, "a\nb\n", took=None), done(2, "a\nc\n", 3, 2.5)])
    assert "<b>2</b>" in text
    assert "<b>1</b>" in text
    assert "return code 3" in text
    assert "<del>-b</del><ins>+c</ins>" in text
    assert "2 took 1.00 to 2.50 s" in text
    assert "HOST-0000, HOST-0001" in text


def test_a_long_output_is_cut_and_says_so() -> None:
    assert "50,000 more letters are not shown here" in made([done(0, "x" * 250_000)])


async def test_a_run_makes_its_page() -> None:
    async with Simulator(agents=5, script_seconds=0.0) as server:
        async with sdk.TRMM(server.url, api_key=server.api_key) as trmm:
            agents = await trmm.agents.list()
            async with trmm.fleet.run_script(agents, script=3) as run:
                async for _ in run:
                    pass
            text = run.html(agents, title="Clean <up>")
    assert "<title>Clean &lt;up&gt;</title>" in text
    assert all(one.hostname in text for one in agents)
    assert "5 took " in text


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


TOLD = "document.getElementById('told').textContent"
VISIBLE = "[...document.querySelectorAll('#targets tbody tr')].filter(one => !one.hidden).length"


def typed(shown: Browser, name: str, value: str) -> None:
    event = "input" if name == "words" else "change"
    shown.js(
        f"(() => {{ const one = document.getElementById({name!r}); one.value = {value!r};"
        f" one.dispatchEvent(new Event({event!r})); }})()"
    )
    shown.js("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


class TestInABrowser:
    def test_hostile_output_is_text(self, shown: Browser, tmp_path: Path) -> None:
        path = tmp_path / "report.html"
        path.write_text(made([done(n, text) for n, text in enumerate(HOSTILE)]), encoding="utf-8")
        shown.open(path)
        assert shown.js("document.title") == "script Get-DiskInfo"
        assert shown.js("document.querySelectorAll('script, img, iframe, base, svg[onload]').length") == 1
        assert shown.js("document.querySelectorAll('pre').length") >= len(HOSTILE)
        assert HOSTILE[0] in shown.js("document.body.textContent")
        assert shown.js("performance.getEntriesByType('resource').length") == 0
        # The policy holds for whatever would get in all the same.
        shown.js(
            "(() => { const one = document.createElement('script');"
            " one.textContent = \"document.title='in'\"; document.body.append(one); })()"
        )
        assert shown.js("document.title") == "script Get-DiskInfo"

    def test_it_is_filtered_by_host_output_client_and_code(self, shown: Browser, tmp_path: Path) -> None:
        path = tmp_path / "report.html"
        outcomes = [done(n, "alike" if n % 10 else "Strange", int(n % 10 == 0)) for n in range(60)]
        path.write_text(made(outcomes), encoding="utf-8")
        shown.open(path)
        assert shown.js(VISIBLE) == 60
        for name, value, left in (("words", "host-0042", 1), ("words", "strange", 6), ("words", "", 60)):
            typed(shown, name, value)
            assert shown.js(VISIBLE) == left
        typed(shown, "client", "Client <0>")
        assert shown.js(VISIBLE) == 20
        typed(shown, "code", "return code 1")
        assert shown.js(VISIBLE) == 2
        assert shown.js(TOLD) == "2 of 60 targets, 1 of 2 groups"
        shown.js("document.getElementById('filters').reset()")
        shown.js("new Promise(done => setTimeout(done, 50))")
        assert shown.js(VISIBLE) == 60

    def test_five_thousand_targets_open_and_filter_quickly(self, shown: Browser, tmp_path: Path) -> None:
        rand = random.Random(1)
        outcomes = [done(n, f"kind {rand.randrange(40)}", took=rand.random()) for n in range(5_000)]
        path = tmp_path / "report.html"
        path.write_text(made(outcomes), encoding="utf-8")
        shown.open(path)
        opened = shown.js("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
        took = shown.js(
            "(() => { const began = performance.now(); const one = document.getElementById('client');"
            " one.value = 'Client <1>'; one.dispatchEvent(new Event('change')); document.body.offsetHeight;"
            " return performance.now() - began; })()"
        )
        assert shown.js(TOLD) == "1667 of 5000 targets, 40 of 40 groups"
        assert shown.js(VISIBLE) == 250
        assert opened < 10_000
        assert took < 2_000

    def test_the_others_are_a_key_away_and_on_paper(self, shown: Browser, tmp_path: Path) -> None:
        path = tmp_path / "report.html"
        path.write_text(made([done(n, f"kind {n}") for n in range(300)]), encoding="utf-8")
        shown.open(path)
        assert (shown.js(VISIBLE), shown.js("document.getElementById('said').childElementCount")) == (
            250,
            100,
        )
        shown.js("dispatchEvent(new Event('beforeprint'))")
        assert (shown.js(VISIBLE), shown.js("document.getElementById('said').childElementCount")) == (
            300,
            300,
        )
        shown.js("dispatchEvent(new Event('afterprint'))")
        assert shown.js(VISIBLE) == 250
        shown.js("document.getElementById('more').focus()")
        shown.press("Enter", 13)
        assert shown.js(VISIBLE) == 300
        shown.js("document.querySelector('a[data-to=\"299\"]').click()")
        assert shown.js("document.getElementById('g299').open")

    def test_the_keyboard_is_enough(self, shown: Browser, tmp_path: Path) -> None:
        path = tmp_path / "report.html"
        path.write_text(made([done(0, "one"), done(1, "two", 1)]), encoding="utf-8")
        shown.open(path)
        met = []
        for _ in range(6):
            shown.press("Tab", 9)
            met.append(shown.js("document.activeElement.id || document.activeElement.tagName"))
        assert met == ["A", "words", "client", "code", "BUTTON", "SUMMARY"]
        before = shown.js("document.activeElement.parentElement.open")
        shown.press("Enter", 13)
        assert shown.js("document.activeElement.parentElement.open") != before

    def test_it_fits_light_and_dark_wide_narrow_and_on_paper(self, shown: Browser, tmp_path: Path) -> None:
        path = tmp_path / "report.html"
        path.write_text(made([done(0, "x" * 500), done(1, "two", 1)]), encoding="utf-8")
        shown.open(path)
        colours = set()
        for width, dark in ((1200, False), (360, False), (1200, True), (360, True)):
            shown.screen(width, dark=dark)
            assert shown.js("document.documentElement.scrollWidth <= innerWidth"), width
            colours.add(shown.js("getComputedStyle(document.body).backgroundColor"))
        assert colours == {"rgb(255, 255, 255)", "rgb(13, 17, 23)"}
        shown.screen(800, media="print")
        assert shown.js("getComputedStyle(document.getElementById('filters')).display") == "none"
        shown.js("dispatchEvent(new Event('beforeprint'))")
        assert shown.js("[...document.querySelectorAll('details')].every(one => one.open)")
        shown.screen(1200)
