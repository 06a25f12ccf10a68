"""Web pages in headless Chromium. The tests that use it are skipped without Playwright or without a browser."""

import contextlib
import shutil

import pytest

__all__ = ["NARROW", "WIDE", "chromium", "checked_pages", "probabilities", "has_no_overflow", "focused"]

#: Widths of windows, in pixels: a telephone and a monitor.
NARROW, WIDE = 360, 1400


@contextlib.contextmanager
def chromium():
    """Context manager that returns a browser of Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="install requirements/browser.txt")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        pytest.skip("Chromium is not installed (Debian's package chromium)")
    with playwright.sync_playwright() as started:
        # The sandbox does not start as root, and these pages are ours.
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def checked_pages(browser):
    """Context manager that returns a function: path of a page and width of the window -> page of Playwright.

    At the end, no page may have reported an error, opened a dialog, or connected to anything.
    """
    problems, requests, contexts = [], [], []

    def opened(path, width=WIDE):
        context = browser.new_context(viewport={"width": width, "height": 800})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        page.goto("file://" + path)
        # Images inside the page are requests, too.
        assert [request for request in requests if not request.startswith("data:image/png")] == ["file://" + path]
        requests.clear()
        return page

    try:
        yield opened
    finally:
        for context in contexts:
            context.close()
    assert problems == [] and requests == []


def probabilities(page):
    """Return the names and values of the bars."""
    bars = page.locator("#bars [role=meter]").all()
    return ([bar.get_attribute("aria-label") for bar in bars],
            [float(bar.get_attribute("aria-valuenow")) for bar in bars])


def has_no_overflow(page):
    """Return whether the page is not wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def focused(page):
    """Return the id, or else the kind, of the element that has the focus."""
    return page.evaluate("document.activeElement.id || document.activeElement.tagName")
