"""Chromium without a window, driven through its DevTools protocol: pages, keys, clicks, what it asked for."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import websocket

from tests.support.lacking import lacking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUT = 15.0
"""Seconds for one answer of the browser."""
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-port=0"),
)


def require_chromium() -> str:
    """Returns the browser; skips the test without one, but not in CI."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None) or lacking(
        "no chromium: scripts/test installs it"
    )


@dataclass(slots=True)
class Tab:
    """One page, and what it did."""

    socket: websocket.WebSocket
    requests: list[str] = field(default_factory=list)
    """URLs that the page asked for."""
    faults: list[str] = field(default_factory=list)
    """Errors and warnings of its console, with violations of its policy."""
    _last: int = 0

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Returns the browser's answer."""
        self._last += 1
        self.socket.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self._last:
                if "error" in message:
                    raise AssertionError(f"{method}: {message['error']}")
                result: dict[str, Any] = message["result"]
                return result
            self._hear(message.get("method", ""), message.get("params", {}))

    def _hear(self, method: str, event: dict[str, Any]) -> None:
        match method:
            case "Network.requestWillBeSent":
                self.requests.append(event["request"]["url"])
            case "Runtime.exceptionThrown":
                self.faults.append(json.dumps(event["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if event["type"] in ("error", "warning", "assert"):
                self.faults.append(json.dumps(event["args"]))
            case "Log.entryAdded" if event["entry"]["level"] in ("error", "warning"):
                self.faults.append(event["entry"]["text"])
            case _:
                pass

    def open(self, file: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Opens a file in a window of this size, on a system that prefers light or dark."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=file.as_uri())

    def value(self, expression: str) -> Any:
        """Returns the value of an expression of JavaScript, once its promise is kept."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Returns the value of an expression once it is true."""
        deadline = time.monotonic() + TIMEOUT
        while not (found := self.value(expression)):
            if time.monotonic() > deadline:
                raise AssertionError(f"never true: {expression}\n{self.faults}")
            time.sleep(0.02)
        return found

    def click(self, expression: str) -> None:
        """Clicks with the mouse on the middle of the element that an expression names."""
        self.value(f"({expression}).scrollIntoView({{block: 'center', behavior: 'instant'}})")
        box = f"(({expression}).getBoundingClientRect())"
        x, y = self.value(f"(box => [box.x + box.width / 2, box.y + box.height / 2])({box})")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = "none" if kind == "mouseMoved" else "left"
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, clickCount=1)

    def press(self, *keys: str) -> None:
        """Presses keys: characters, or names such as `Enter` and `ArrowDown`."""
        codes = {"Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "Tab": 9}
        for key in keys:
            typed = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
            more = {"text": typed} if typed else {}
            code = codes.get(key, ord(key[0].upper()))
            self.call(
                "Input.dispatchKeyEvent",
                type="keyDown",
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **more,
            )
            self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)

    def picture(self, file: Path, *, whole: bool = False) -> None:
        """Writes what the window shows, or the whole page, as PNG."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self, file: Path) -> None:
        """Writes the page as it is printed."""
        file.write_bytes(base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True)["data"]))


@contextlib.contextmanager
def browser_tab(folder: Path) -> Iterator[Tab]:
    """Yields a page of a browser of its own, whose files are in `folder`."""
    command = [require_chromium(), *OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = _port(folder / "DevToolsActivePort", process)
        with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=TIMEOUT) as answer:
            pages = [each for each in json.load(answer) if each["type"] == "page"]
        address = pages[0]["webSocketDebuggerUrl"]
        with contextlib.closing(
            websocket.create_connection(address, timeout=TIMEOUT, suppress_origin=True)
        ) as socket:
            yield Tab(socket)
    finally:
        process.terminate()
        process.wait(TIMEOUT)


def _port(file: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + TIMEOUT
    while not (file.exists() and (text := file.read_text()).strip()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"chromium did not start: {process.returncode}")
        time.sleep(0.02)
    return int(text.splitlines()[0])
