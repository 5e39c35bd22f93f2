"""The browser of the tests, and what they ask it about colours."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

from .conftest import missing

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Without these, Chromium looks for services on the network at every start.
QUIET = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync", "--no-sandbox"]


@contextmanager
def running() -> Iterator[Browser]:
    """Chromium, without a window; without it on the machine, the test is skipped, or fails on CI."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        missing("Chromium (Debian's package chromium)")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=QUIET)
        yield chromium
        chromium.close()


def until_formgrader_has_loaded(page: Page) -> None:
    """Wait until a submission's page of the formgrader has its marks, a minute at most.

    Asked from outside again and again: Playwright's `wait_for_function` evaluates text inside the page, which the
    page's policy forbids.
    """
    for _ in range(600):
        if page.evaluate("typeof formgrader !== 'undefined' && formgrader.loaded && formgrader.grades?.length > 0"):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{page.url} does not load")


# The colours of an element's text and of what is behind it, all veils laid on each other, from 0 to 255.
COLOURS = """element => {
    const numbers = colour => { const found = colour.match(/[\\d.]+/g).map(Number); return [...found, 1].slice(0, 4); };
    const over = (above, share, below) => below.map((b, i) => (1 - share) * b + share * above[i]);
    const line = [];
    for (let e = element; e; e = e.parentElement) line.unshift(e);
    let paper = [255, 255, 255];
    for (const e of line) {
        const [r, g, b, share] = numbers(getComputedStyle(e).backgroundColor);
        paper = over([r, g, b], share, paper);
    }
    const style = getComputedStyle(element);
    return [over(numbers(style.color), Number(style.opacity), paper), paper];
}"""


def luminance(rgb: list[float]) -> float:
    """Relative luminance of a colour (WCAG 2.2)."""
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
