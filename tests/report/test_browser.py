"""The page in a real browser: it draws, it prints, and nothing is blocked or missing. Needs Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from tests.report.kit import Page, both, without_proof

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium")

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
SIZE = (1000, 3600)  # px
RED = np.array([0xB0, 0x00, 0x20])


def browse(page: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open a page in a browser without a past."""
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [str(BROWSER), *FLAGS, profile, f"--window-size={SIZE[0]},{SIZE[1]}", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def picture(source: str, folder: Path) -> np.ndarray:
    """A screenshot, ``[height, width, 3]`` in 0 … 255."""
    page, target = folder / "audit.html", folder / "audit.png"
    page.write_text(source, "utf-8")
    browse(page, folder, f"--screenshot={target}")
    return np.asarray(matplotlib.image.imread(target)[:, :, :3] * 255 + 0.5, int)


def share(pixels: np.ndarray, colour: np.ndarray) -> float:
    """Part of the pixels that have a colour."""
    return float((np.abs(pixels - colour).max(axis=2) <= 2).mean())


def test_an_accepted_page(bundle, tmp_path):
    pixels = picture(both(bundle)[1], tmp_path)
    assert pixels.shape == (SIZE[1], SIZE[0], 3)
    assert 0.5 < share(pixels, np.array([255, 255, 255])) < 0.97  # paper, with something on it
    assert share(pixels, RED) == 0
    colours = {tuple(pixel) for pixel in pixels.reshape(-1, 3)[::7]}
    assert (0x54, 0xA0, 0x9D) in colours  # bars: the style sheet applies to drawings
    assert (0x8F, 0xBF, 0xAE) in colours  # accepted cells in the strip
    text = (pixels.max(axis=2) < 100).any(axis=0)
    assert not text[:10].any()  # margins: nothing runs over the page
    assert not text[-10:].any()


def test_a_rejected_page_shows_red(bundle, copy, tmp_path):
    broken = copy(bundle)
    without_proof(broken, 1)
    pixels = picture(both(broken)[1], tmp_path)
    assert share(pixels[:200], RED) > 0.01  # a border around the verdict, at the top


def test_the_browser_reads_what_was_written(bundle, tmp_path):
    """The browser's own parser finds the same elements: nothing was repaired, nothing was dropped."""
    source = both(bundle)[1]
    page = tmp_path / "audit.html"
    page.write_text(source, "utf-8")
    seen = Page(re.sub(r"^\s*<!DOCTYPE html>", "", browse(page, tmp_path, "--dump-dom").stdout))
    written = Page(source)
    assert [tag for tag, _ in seen.tags] == [tag for tag, _ in written.tags]
    assert seen.rows == written.rows


def test_the_page_prints(bundle, tmp_path, monkeypatch):
    """Pages come out; closed groups stay away unless the reader asks for everything."""
    monkeypatch.setattr("slicer.report.tables.GROUP", 2)
    source = both(bundle)[1]
    pages = {}
    for name, content in {
        "closed": source,
        "open": source.replace('id="everything"', 'id="everything" checked'),
    }.items():
        page, target = tmp_path / f"{name}.html", tmp_path / f"{name}.pdf"
        page.write_text(content, "utf-8")
        browse(page, tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={target}")
        content_of_pdf = target.read_bytes()
        assert content_of_pdf.startswith(b"%PDF-")
        pages[name] = len(content_of_pdf)
    assert pages["open"] > pages["closed"] + 1000
