"""What several tests share: a small project to execute, the stored reconstruction, and a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir
from small_project import SmallProject

from visiontrial import paths

REQUIRE_BROWSER = "VISIONTRIAL_REQUIRE_BROWSER"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

# No deadline: a slow machine is no defect. In continuous integration the examples are the same each time.
set_hypothesis_home_dir(paths.BUILD / ".hypothesis")
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, database=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    """A checkout in miniature, without chapters yet."""
    return SmallProject(tmp_path)


@pytest.fixture(scope="session")
def vision():
    """VISION as the engine is told it."""
    from visiontrial.cohort import reader

    return reader.read(paths.RECONSTRUCTION / "vision")


@pytest.fixture(scope="session")
def registry():
    """The stored ensemble of reconstructed cohorts."""
    from visiontrial.cohort import store

    return store.read("registry")


@pytest.fixture(scope="session")
def implied():
    """What was computed of every member of that ensemble."""
    from visiontrial.cohort import derived

    return derived.read("registry")


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """A real Chromium under playwright's control; a visible skip where none is installed.

    With `VISIONTRIAL_REQUIRE_BROWSER=1` its absence is a failure: continuous integration
    must not skip in silence.
    """
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        if os.environ.get(REQUIRE_BROWSER) == "1":
            pytest.fail("no Chromium on this machine, though this run requires one", pytrace=False)
        pytest.skip("no Chromium: install it (Debian: apt-get install chromium) or name it in CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=BROWSER_FLAGS)
        yield chromium
        chromium.close()
