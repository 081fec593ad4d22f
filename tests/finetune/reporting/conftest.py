"""A real Chromium for the tests of the page."""

import importlib
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

NEEDED = "TAILTUNE_NEEDS_CHROMIUM"
"""Set where a missing browser is a fault of the machine and no reason to skip, as in `.ci/run`."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Playwright's handle of the system's Chromium; a test is skipped where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        driver = importlib.import_module("playwright.sync_api")
    except ImportError:
        driver = None
    if program is None or driver is None:
        missing = "Chromium (Debian: apt-get install chromium)" if program is None else "playwright (pip install)"
        told = f"the page is not tested in a browser: there is no {missing}"
        if os.environ.get(NEEDED):
            pytest.fail(told)
        pytest.skip(told)
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()
