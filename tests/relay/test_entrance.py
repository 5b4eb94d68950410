"""What a relay and its followers are given: refused at once if it can't be."""

from pathlib import Path

import pytest

from tests.forked import forks
from tests.relay.buses import NAME
from trmm_async import TRMM, InvalidRequestError, follow


@pytest.mark.parametrize(
    ("url", "name", "says"),
    [
        ("http://bus", NAME, "must begin with redis://, rediss:// .TLS. or unix://, or with nats://"),
        ("nats://", NAME, "must name one host"),
        ("redis://bus", "two words", "name must be of letters"),
        ("redis://bus", "", "must not be empty"),
    ],
)
def test_what_can_not_be_is_refused_at_once(url: str, name: str, says: str) -> None:
    with pytest.raises(InvalidRequestError, match=says):
        follow(url, name=name)
    trmm = TRMM("https://api.example.com", api_key="k")
    with pytest.raises(InvalidRequestError, match=says):
        trmm.relay(to=url, name=name)


@pytest.mark.parametrize("kind", ["redis", "nats"])
def test_without_the_library_it_says_what_to_install(tmp_path: Path, kind: str) -> None:
    code = f"""
import sys
for name in list(sys.modules):
    if name.startswith(("{kind}", "trmm_async.relay.{kind}_store", "trmm_async.engines.{kind}_link")):
        del sys.modules[name]
sys.modules["{kind}"] = None
from trmm_async import InvalidRequestError, follow
try:
    follow("{kind}://h", name="n")
except InvalidRequestError as error:
    print(error)
"""
    done = forks("package").run(code, cwd=tmp_path)
    assert done.stdout == f'a relay needs a package: pip install "trmm-async[{kind}]"\n', done.stderr
