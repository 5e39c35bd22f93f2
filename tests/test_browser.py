"""Every puzzle in JupyterLab in a real browser.

The first is worked by hand: wrong answers, hints, right answers, pictures, the answer. The others differ from it in
what their cells hold, so their answers are in the file, and JupyterLab runs it from top to bottom.
"""

import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import expect as playwright_expect

from mechpuzzles import folders, workspace
from mechpuzzles.grading import warm
from mechpuzzles.typed import filled

from .chromium import COLOURS, luminance
from .jupyter import serving
from .submissions import fragment, mutant_source, solutions_of, value_source

ROOT = Path(__file__).parents[1]
SLUGS = folders.slugs(ROOT)
SETTINGS = {
    "notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"},  # every cell is in the page
    "apputils-extension/themes.jupyterlab-settings": {"adaptive-theme": True},  # light or dark as the browser says
}
ERROR = ".jp-OutputArea [data-mime-type='application/vnd.jupyter.error']"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("browser"),
    pytest.mark.filterwarnings("default::ResourceWarning"),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory, fork_server):
    """JupyterLab on a learner's folder, as `mechpuzzles start` makes it; its address and where the log is."""
    home = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MECHPUZZLES_HOME", str(home / "log"))
        workspace.prepare(home / "work")
    settings = home / "settings" / "@jupyterlab"
    for plugin, setting in SETTINGS.items():
        (settings / plugin).parent.mkdir(parents=True, exist_ok=True)
        (settings / plugin).write_text(json.dumps(setting))
    places = {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "MECHPUZZLES_HOME": str(home / "log")}
    places |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "JUPYTER_CONFIG_DIR": str(home / "config")}
    places |= {warm.PROVISIONER: warm.LEARNERS}
    warm.ensure_learners_server()
    with serving(home / "lab.log", home / "work", "jupyterlab", **places) as address:
        yield f"{address}/lab", home / "log"


class Notebook:
    """A notebook open in the browser, its cells named as in the file."""

    def __init__(self, browser, address: str, path: str, theme: str = "light"):
        self.kernels = f"{address.removesuffix('/lab')}/api/kernels"
        self.page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=theme)
        self.page.goto(f"{address}/tree/{path}?reset")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
        released = nbformat.read(ROOT / "puzzles" / path, as_version=4)
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

    def look(self, name: str, what: str, attribute: str) -> str:
        """An attribute of the first such element that a cell shows."""
        return self.cell(name).locator(f".jp-OutputArea {what}").first.get_attribute(attribute)

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

    def end(self) -> None:
        """End the kernel, and close the page: a kernel for every puzzle would fill the memory."""
        request = self.page.request
        token = next(one["value"] for one in self.page.context.cookies() if one["name"] == "_xsrf")
        for kernel in request.get(self.kernels).json():
            ended = request.delete(f"{self.kernels}/{kernel['id']}", headers={"X-XSRFToken": token})
            assert ended.ok, ended.status_text
        self.page.close()


def test_a_learner_works_the_puzzle(browser, lab):
    address, log = lab
    slug = SLUGS[0]
    puzzle, right = folders.declared(ROOT, slug), solutions_of(ROOT, slug)
    notebook = Notebook(browser, address, f"{slug}/{slug}.ipynb")
    pictures = 0
    for name in notebook.number:
        part = next((p for p in puzzle.parts if name == f"check-{p.name}".replace("_", "-")), None)
        if part is not None:
            work_on(notebook, slug, part, right)
        elif name.startswith("open-predict"):
            assert "Nothing kept yet" in notebook.run(name)
            assert "got 'dots'" in notebook.run(name, notebook.source[name].replace("...", "'dots'", 1))
            assert "80% sure" in notebook.run(name, guessed(puzzle, notebook.source[name]))
        elif name.startswith("free-text"):
            notebook.write(name, right[name])
        elif name.startswith(("code", "open")):
            notebook.run(name)
            assert notebook.cell(name).locator(ERROR).count() == 0
            pictures += notebook.cell(name).locator(".js-plotly-plot").count()
        elif name.startswith("reveal"):
            assert notebook.run(name) == "Decode the answer"
            notebook.cell(name).locator("summary").press("Enter")
            answer = notebook.cell(name).locator(".jp-RenderedMarkdown details")
            playwright_expect(answer).to_have_attribute("open", "")
            assert len(answer.inner_text().split()) > 30
    assert pictures >= 1
    drawn = notebook.page.locator(".js-plotly-plot").first.inner_text()
    assert "your prediction: 0.25" in drawn
    kept = (log / "journal.jsonl").read_text()
    assert '"kind": "prediction"' in kept
    notebook.page.close()


def work_on(notebook: Notebook, slug: str, part, right: dict[str, str]) -> None:
    """The stub untouched, wrong answers, a crash, then the right answer.

    The gate has judged every wrong answer; here every symptom's sentence is typed for and read.
    """
    stub, check = (f"{kind}-{part.name}".replace("_", "-") for kind in ("stub", "check"))
    notebook.run(stub)
    assert "not attempted yet" in notebook.run(check)
    assert part.hints[0].split()[0] in notebook.run(stub, f"puzzle.hint({part.name!r})")
    for symptom in part.symptoms:
        write_wrong = value_source if part.value else mutant_source
        notebook.run(stub, write_wrong(ROOT, slug, part, symptom.name))
        shown = notebook.run(check)
        assert "not yet" in shown
        assert "Traceback" not in shown
        assert fragment(symptom.says) in shown, (part.name, symptom.name, shown)
    if not part.value:
        notebook.run(stub, f"def {part.name}(*inputs):\n    return nowhere")
        assert "NameError" in notebook.run(check)
    notebook.run(stub, right[stub])
    assert "right on the public checks" in notebook.run(check)
    compared = notebook.run(stub, f"{right[stub]}\n\npuzzle.compare({part.name!r})")
    assert "yours" in compared
    assert "the author's" in compared
    assert "another: " in compared


def guessed(puzzle, source: str) -> str:
    """A cell that asks for a prediction, with one in it."""
    prediction = next(p for p in puzzle.predictions if f'"{p.name}"' in source)
    guess = repr(prediction.choices[0]) if prediction.choices else "0.25"
    return source.replace("...", guess, 1).replace("...", "0.8")


@pytest.mark.parametrize("slug", SLUGS[1:])
def test_a_solved_puzzle_runs_from_top_to_bottom(browser, lab, slug):
    address, log = lab
    puzzle = folders.declared(ROOT, slug)
    solved = filled(ROOT, slug, solutions_of(ROOT, slug))
    for cell in solved.cells:
        if cell.id.startswith("open-predict"):
            cell.source = guessed(puzzle, cell.source)
    nbformat.write(solved, log.with_name("work") / slug / f"{slug}.ipynb")
    notebook = Notebook(browser, address, f"{slug}/{slug}.ipynb")
    notebook.page.get_by_text("| Idle").wait_for()  # before, nothing would come of it
    notebook.page.get_by_role("menuitem", name="Run", exact=True).click()
    notebook.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    last = [cell.id for cell in solved.cells if cell.cell_type == "code"][-1]
    assert notebook.prompt(last, r"/\[\d+\]/.test(prompt)", 120), "it does not end"
    errors = notebook.page.locator(ERROR)
    assert errors.count() == 0, errors.first.inner_text()
    shown = notebook.page.locator(".jp-Notebook").inner_text()
    assert shown.count("right on the public checks") == len(puzzle.parts)
    assert "Decode the answer" in shown
    drawn = notebook.page.locator(".js-plotly-plot").all_inner_texts()
    assert any("your prediction: 0.25" in picture for picture in drawn)
    notebook.end()


def test_the_answer_is_not_readable_before_an_attempt(browser, lab):
    address, log = lab
    slug = SLUGS[0]
    shutil.rmtree(log, ignore_errors=True)
    notebook = Notebook(browser, address, f"{slug}/{slug}.ipynb")
    first = next(name for name in notebook.number if name.startswith("code"))
    notebook.run(first)
    reveal = next(name for name in notebook.number if name.startswith("reveal"))
    assert "Try a part first" in notebook.run(reveal)
    assert notebook.cell(reveal).locator(".jp-RenderedMarkdown").count() == 0
    notebook.page.close()


def test_the_index_leads_to_a_puzzle_and_shows_what_was_done_there(browser, lab):
    address, log = lab
    shutil.rmtree(log, ignore_errors=True)
    puzzle, right = folders.declared(ROOT, SLUGS[0]), solutions_of(ROOT, SLUGS[0])
    index = Notebook(browser, address, "index.ipynb")
    shown = index.cell("progress").locator(".jp-OutputArea")
    assert "parts right. Next: " + puzzle.title in " ".join(shown.inner_text().split())
    shown.get_by_role("link", name=puzzle.title, exact=True).first.click()
    index.page.wait_for_selector(f".jp-Notebook h1:has-text('{puzzle.title}')", timeout=90_000)  # there h2, here h1
    index.page.close()

    notebook = Notebook(browser, address, f"{SLUGS[0]}/{SLUGS[0]}.ipynb")
    names = [name for name in notebook.number if name.startswith(("code", "stub", "check"))]
    last = names.index(f"check-{puzzle.parts[0].name}".replace("_", "-"))
    for name in names[: last + 1]:
        notebook.run(name, right.get(name))
    unsaved = notebook.page.locator(".lm-TabBar-tab.jp-mod-dirty")
    playwright_expect(unsaved).to_have_count(1)
    notebook.page.keyboard.press("Control+s")
    playwright_expect(unsaved).to_have_count(0, timeout=60_000)
    notebook.page.reload()
    notebook.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
    playwright_expect(notebook.cell(names[last])).to_contain_text("right on the public checks", timeout=60_000)
    notebook.page.close()

    index = Notebook(browser, address, "index.ipynb")
    index.run("progress")
    assert f"1 of {len(puzzle.parts)} parts right" in index.look("progress", "[role=img][title]", "title")
    index.page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_card_is_readable_in_light_and_dark(browser, lab, theme):
    """WCAG 2.2 asks for a contrast of 4.5 between text and what is behind it."""
    address, _ = lab
    part = folders.declared(ROOT, SLUGS[0]).parts[0]
    notebook = Notebook(browser, address, f"{SLUGS[0]}/{SLUGS[0]}.ipynb", theme)
    notebook.run(next(name for name in notebook.number if name.startswith("code")))
    stub, check = (f"{kind}-{part.name}".replace("_", "-") for kind in ("stub", "check"))
    notebook.run(stub, mutant_source(ROOT, SLUGS[0], part, part.symptoms[0].name))
    notebook.run(check)
    card = notebook.cell(check).locator("[role=group]")
    words = card.locator("div:not(:has(div)):not(:has(figure))").all()
    assert len(words) >= 3
    for line in words:
        text, paper = (luminance(colour) for colour in line.evaluate(COLOURS))
        assert (text > paper) == (theme == "dark")
        assert (max(text, paper) + 0.05) / (min(text, paper) + 0.05) >= 4.5, line.inner_text()
    notebook.page.close()
