"""A headless Chromium, driven over its DevTools protocol; skipped where there is none."""

import itertools
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
LONGEST = 60.0


class Browser:
    """One page of a browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    def call(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(LONGEST))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def js(self, code: str) -> Any:
        """What an expression of JavaScript gives."""
        answer = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, path: Path) -> None:
        self.call("Page.navigate", url=path.as_uri())
        deadline = time.monotonic() + LONGEST
        while self.js("location.href + document.readyState") != f"{path.as_uri()}complete":
            assert time.monotonic() < deadline

    def press(self, key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text
            )

    def screen(self, width: int, *, dark: bool = False, media: str = "screen") -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with a page, its files in that folder; the test is skipped where there is none."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"needs a browser, one of {', '.join(PROGRAMS)}: apt-get install chromium")
    settings = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0")
    with subprocess.Popen(
        [program, *settings, f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(folder)},
    ) as process:
        try:
            port = _port(folder / "DevToolsActivePort", process)
            place = f"ws://127.0.0.1:{port}/devtools"
            with connect(f"{place}/browser/{_token(folder)}", sock=_line(port)) as whole:
                made = Browser(whole).call("Target.createTarget", url="about:blank")
                page = f"{place}/page/{made['targetId']}"
                with connect(page, max_size=None, sock=_line(port)) as line:
                    yield Browser(line)
        finally:
            process.kill()


def _line(port: int) -> socket.socket:
    """A connection of our own, which goes through no proxy, whatever the environment says."""
    return socket.create_connection(("127.0.0.1", port), LONGEST)


def _port(path: Path, process: "subprocess.Popen[bytes]") -> int:
    deadline = time.monotonic() + LONGEST
    while not (path.exists() and path.read_text().count("\n") >= 1):
        assert time.monotonic() < deadline
        assert process.poll() is None, "the browser has ended"
        time.sleep(0.02)
    return int(path.read_text().splitlines()[0])


def _token(folder: Path) -> str:
    return (folder / "DevToolsActivePort").read_text().splitlines()[1].rpartition("/")[2]
