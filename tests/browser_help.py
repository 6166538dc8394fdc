"""A real browser in tests: headless Chromium with the network off, driven over its DevTools protocol by a pipe."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
]
MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None and os.environ.get("CI") != "true", reason="needs Chromium"),
]
SECONDS = 60
EXPLORER = "document.body && document.body.dataset.ready === 'true'"
LOADED = "document.readyState === 'complete'"
# The protocol is spoken on descriptors 3 and 4 of the browser.
_LAUNCH = "import os, sys; a, b = (os.dup(int(x)) for x in sys.argv[1:3]); os.dup2(a, 13); os.dup2(b, 14); "
_LAUNCH += "os.dup2(13, 3); os.dup2(14, 4); os.execv(sys.argv[3], sys.argv[3:])"


class Tab:
    """A page: what it holds, and a person at it. `complaints` are its console's errors and uncaught exceptions,
    `asked` every address it asked for."""

    def __init__(self, write: int, read: int):
        self._write, self._read, self._rest, self._count = write, read, b"", 0
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self._session: str | None = None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(
        self,
        page: Path,
        width: int = 1600,
        height: int = 1000,
        dark: bool = False,
        fragment: str = "",
        ready: str = EXPLORER,
    ) -> None:
        """Open a file and wait until it is `ready`, by default an explorer whose script is done."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self._call("Page.navigate", url=f"{page.absolute().as_uri()}{fragment}")
        self.wait(ready)

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited."""
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, expression: str) -> None:
        """Until the expression holds."""
        end = time.monotonic() + SECONDS
        while not self.ask(expression):
            assert time.monotonic() < end, (expression, self.complaints)
            time.sleep(0.05)

    def settle(self) -> None:
        """Until what a change has set off is drawn."""
        time.sleep(0.5)
        self.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    def mouse(self, kind: str, x: float, y: float) -> None:
        """mousePressed, mouseMoved or mouseReleased at a point of the window."""
        more = {"buttons": 1} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
        self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x: float, y: float) -> None:
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=start[0], y=start[1])
        self.mouse("mousePressed", *start)
        for share in (0.3, 0.6, 1.0):
            self.mouse("mouseMoved", *(a + share * (b - a) for a, b in zip(start, end, strict=True)))
        self.mouse("mouseReleased", *end)

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=_KEYS[key])

    def picture(self, path: Path, whole: bool = False) -> None:
        """A screenshot, of the whole page on demand."""
        found = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def scripts(self, run: bool) -> None:
        """Whether scripts of pages run; `ask` works all the same."""
        self._call("Emulation.setScriptExecutionDisabled", value=not run)

    def printed(self, path: Path, width: float = 8.27, height: float = 11.69) -> None:
        """The page as a PDF, as a person would print it; sizes in inches, by default A4."""
        found = self._call("Page.printToPDF", paperWidth=width, paperHeight=height, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self._note(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], SECONDS)
            assert ready, "the browser does not answer"
            more = os.read(self._read, 1 << 20)
            assert more, "the browser has gone"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)

    def _note(self, event: dict[str, Any]) -> None:
        what, told = event.get("method"), event.get("params", {})
        if what == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["exceptionDetails"])[:500])
        elif what == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(told["entry"]["text"])
        elif what == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(told["args"])[:500])
        elif what == "Network.requestWillBeSent":
            self.asked.append(told["request"]["url"])
        elif what == "Page.javascriptDialogOpening":
            self.complaints.append(f"dialog: {told['message']}")


_KEYS = {"ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35, "Enter": 13, "Tab": 9}


def chromium(page: Path, place: Path, *options: str) -> str:
    """What Chromium prints for a page, with its options of the command line; `place` is for its profile."""
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={place}/profile", *options, page.absolute().as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@contextlib.contextmanager
def browser(place: Path) -> Iterator[Tab]:
    """A browser with one tab; `place` is for its profile."""
    (to_read, to_write), (from_read, from_write) = os.pipe(), os.pipe()
    options = [*OPTIONS, "--remote-debugging-pipe", f"--user-data-dir={place}/profile"]
    command = [sys.executable, "-c", _LAUNCH, str(to_read), str(from_write), CHROMIUM, *options]
    with subprocess.Popen(command, pass_fds=(to_read, from_write), stderr=subprocess.DEVNULL) as process:
        os.close(to_read)
        os.close(from_write)
        try:
            yield Tab(to_write, from_read)
        finally:
            process.terminate()
            os.close(to_write)
            os.close(from_read)
