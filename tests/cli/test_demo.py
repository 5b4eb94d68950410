"""The demonstration shows what it says it shows, and ends by itself."""

import re

import pytest

from trmm_async.cli.demo import main


def test_it_shows_the_main_job_and_counts_honestly(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--agents", "40"])
    text = capsys.readouterr().out
    told = re.sub(r"\s+", " ", text)
    assert "40 agents" in told
    assert "36 online, 4 offline" in told
    assert "ran, return code 1: Access is denied." in told
    assert "may have run: 504" in told
    assert (
        "36 targets: 35 done (whatever the return code), 0 failed, 1 unknown, 0 skipped, 0 pending." in told
    )
    assert "went offline" in told
    assert "error: C: drive 97% used" in told
    assert re.search(r"script says step 1 of 4.*script says step 4 of 4.*script ended with 0", told)
    assert "came online" in told
    assert "and refused 0." in told
