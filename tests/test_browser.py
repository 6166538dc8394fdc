"""The report in a real browser: headless Chromium, from a file, with the network off."""

from __future__ import annotations

import os
import shutil
import subprocess

import numpy as np
import pytest
from fake_results import fake_results
from PIL import Image

import gradsim as gs

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

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None and os.environ.get("CI") != "true", reason="needs Chromium"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report of a small campaign."""
    return gs.report(fake_results(tmp_path_factory.mktemp("campaign")))


def chromium(page, place, *options: str) -> str:
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={place}/profile", *options, page.absolute().as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_the_page_shows_its_verdict(page, tmp_path):
    dom = chromium(page, tmp_path, "--dump-dom")
    assert "</html>" in dom
    assert "Verdict" in dom
    assert dom.count("<img") >= 5


@pytest.mark.parametrize("width", [390, 1600])
def test_the_first_screen_is_drawn(page, tmp_path, width):
    picture = tmp_path / "page.png"
    chromium(page, tmp_path, f"--window-size={width},1200", f"--screenshot={picture}")
    with Image.open(picture) as opened:
        image = np.asarray(opened.convert("RGB"))
    # Chromium's window is at least 500 wide; what matters is that the screen is not blank.
    assert image.shape[0] == 1200
    assert len(np.unique(image[::10, ::10].reshape(-1, 3), axis=0)) > 50
