"""Every puzzle, worked in JupyterLab in a real browser: wrong answers, hints, right answers, pictures, the answer."""

import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import expect as playwright_expect
from playwright.sync_api import sync_playwright

from mechpuzzles import folders

from .conftest import missing
from .jupyter import serving
from .submissions import fragment, mutant_source, solutions_of, value_source

ROOT = Path(__file__).parents[1]
SLUGS = folders.slugs(ROOT)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Without these, Chromium looks for services on the network at every start.
QUIET = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync", "--no-sandbox"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("browser"),
    pytest.mark.filterwarnings("default::ResourceWarning"),
]


@pytest.fixture(scope="module")
def browser():
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        missing("Chromium (Debian's package chromium)")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the release; its address."""
    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "puzzles", home / "puzzles", ignore=shutil.ignore_patterns(".*", "__pycache__"))
    tracker = home / "settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    tracker.parent.mkdir(parents=True)
    tracker.write_text(json.dumps({"windowingMode": "none"}))  # every cell is in the page
    places = {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "MECHPUZZLES_HOME": str(home / "log")}
    places |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "JUPYTER_CONFIG_DIR": str(home / "config")}
    with serving(home / "lab.log", home / "puzzles", "jupyterlab", **places) as address:
        yield f"{address}/lab", home / "log"


class Notebook:
    """A notebook open in the browser, its cells named as in the file."""

    def __init__(self, browser, address: str, slug: str, dark: bool = False):
        self.page = browser.new_page(viewport={"width": 1280, "height": 800})
        self.page.goto(f"{address}/tree/{slug}/{slug}.ipynb?reset")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
        released = nbformat.read(ROOT / "puzzles" / slug / f"{slug}.ipynb", as_version=4)
        self.number = {cell.id: i for i, cell in enumerate(released.cells)}
        self.source = {cell.id: cell.source for cell in released.cells}
        self.page.wait_for_function(f"document.querySelectorAll('.jp-Notebook .jp-Cell').length >= {len(self.number)}")

    def cell(self, name: str):
        return self.page.locator(".jp-Notebook .jp-Cell").nth(self.number[name])

    def run(self, name: str, source: str | None = None) -> str:
        """Run a cell, after typing ``source`` into it if given; what it shows."""
        cell = self.cell(name)
        before = cell.locator(".jp-InputPrompt").first.inner_text()
        self.edit(name, source)
        for patience in (10, 120):
            self.page.keyboard.press("Shift+Enter")
            if self.prompt(name, f"prompt !== {before!r}", patience):  # it has started, or is done already
                break
            self.edit(name)
        assert self.prompt(name, f"/\\[\\d+\\]/.test(prompt) && prompt !== {before!r}", 120), f"{name} does not end"
        return " ".join(cell.locator(".jp-OutputArea").first.inner_text().split())

    def edit(self, name: str, source: str | None = None) -> None:
        """Put the cursor into a cell, and type ``source`` over what is there."""
        editor = self.cell(name).locator(".cm-content")
        dialog = self.page.locator("dialog.jp-Dialog")
        assert not dialog.count(), f"JupyterLab asks: {dialog.first.inner_text()}"
        editor.click()
        playwright_expect(self.cell(name)).to_have_class(re.compile("jp-mod-active"))
        if source is not None:
            self.page.keyboard.press("Control+A")
            self.page.keyboard.insert_text(source)

    def prompt(self, name: str, condition: str, seconds: int) -> bool:
        """Whether a condition on the cell's prompt, such as [7] or [*], comes true in that time."""
        text = (
            f"document.querySelectorAll('.jp-Notebook .jp-Cell')[{self.number[name]}].querySelector('.jp-InputPrompt')"
        )
        try:
            self.page.wait_for_function(
                f"() => {{ const prompt = {text}.innerText; return {condition}; }}", timeout=seconds * 1000
            )
        except PlaywrightTimeout:
            return False
        return True

    def write(self, name: str, text: str) -> None:
        """Edit a Markdown cell."""
        self.cell(name).dblclick()
        self.edit(name, text)
        self.page.keyboard.press("Shift+Enter")


@pytest.mark.parametrize("slug", SLUGS)
def test_a_learner_works_the_puzzle(browser, lab, slug):
    address, log = lab
    puzzle, right = folders.declared(ROOT, slug), solutions_of(ROOT, slug)
    notebook = Notebook(browser, address, slug)
    pictures = 0
    for name in notebook.number:
        part = next((p for p in puzzle.parts if name == f"check-{p.name}".replace("_", "-")), None)
        if part is not None:
            work_on(notebook, slug, part, right)
        elif name.startswith("open-predict"):
            prediction = next(p for p in puzzle.predictions if f'"{p.name}"' in notebook.source[name])
            guess = repr(prediction.choices[0]) if prediction.choices else "0.25"
            assert "Nothing kept yet" in notebook.run(name)
            assert "got 'dots'" in notebook.run(name, notebook.source[name].replace("...", "'dots'"))
            assert "Kept: " in notebook.run(name, notebook.source[name].replace("...", guess))
        elif name.startswith("free-text"):
            notebook.write(name, right[name])
        elif name.startswith(("code", "open")):
            notebook.run(name)
            assert (
                notebook.cell(name).locator(".jp-OutputArea [data-mime-type='application/vnd.jupyter.error']").count()
                == 0
            )
            if notebook.cell(name).locator(".js-plotly-plot").count():
                pictures += 1
        elif name.startswith("reveal"):
            assert len(notebook.run(name).split()) > 30
            assert notebook.cell(name).locator(".jp-RenderedMarkdown").count() == 1
    assert pictures >= 1
    drawn = notebook.page.locator(".js-plotly-plot").first.inner_text()
    assert "your prediction: 0.25" in drawn
    kept = (log / "journal.jsonl").read_text()
    assert '"kind": "prediction"' in kept
    notebook.page.close()


def work_on(notebook: Notebook, slug: str, part, right: dict[str, str]) -> None:
    """The stub untouched, wrong answers, a crash, then the right answer.

    The gate has judged every wrong answer. Of the first puzzle every sentence is typed for and read here too.
    """
    stub, check = (f"{kind}-{part.name}".replace("_", "-") for kind in ("stub", "check"))
    notebook.run(stub)
    assert "not attempted yet" in notebook.run(check)
    for symptom in part.symptoms if slug == SLUGS[0] else part.symptoms[:: max(1, len(part.symptoms) - 1)]:
        write_wrong = value_source if part.value else mutant_source
        notebook.run(stub, write_wrong(ROOT, slug, part, symptom.name))
        shown = notebook.run(check)
        assert "not yet." in shown
        assert "Traceback" not in shown
        assert fragment(symptom.says) in shown, (part.name, symptom.name, shown)
    if not part.value:
        notebook.run(stub, f"def {part.name}(*inputs):\n    return nowhere")
        assert "NameError" in notebook.run(check)
    notebook.run(stub, right[stub])
    assert "right on the public checks" in notebook.run(check)


@pytest.mark.parametrize("slug", SLUGS)
def test_the_answer_is_not_readable_before_an_attempt(browser, lab, slug):
    address, log = lab
    shutil.rmtree(log, ignore_errors=True)
    notebook = Notebook(browser, address, slug)
    first = next(name for name in notebook.number if name.startswith("code"))
    notebook.run(first)
    reveal = next(name for name in notebook.number if name.startswith("reveal"))
    assert "Try a part first" in notebook.run(reveal)
    assert notebook.cell(reveal).locator(".jp-RenderedMarkdown").count() == 0
    notebook.page.close()


@pytest.mark.parametrize("slug", SLUGS)
def test_the_index_opens_as_a_page_and_leads_to_the_puzzle(browser, lab, slug):
    address, _ = lab
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"{address}/tree/README.md?reset")
    page.wait_for_selector(".jp-MarkdownViewer h1", timeout=90_000)
    page.get_by_role("link", name=folders.declared(ROOT, slug).title, exact=True).click()
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
    page.close()
