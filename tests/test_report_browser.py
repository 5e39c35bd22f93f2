"""The report's page in a browser: nothing runs, nothing is asked for, and it can be read."""

import pytest

from mechpuzzles import report
from mechpuzzles.report.pages import BLOCK, LOOKS

from .chromium import COLOURS, luminance
from .classes import MadeClass
from .test_report import BLANK, HOSTILE, RAISED, RIGHT, TOYS, wrong

LEARNERS = 2 * BLOCK + 30
pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.filterwarnings("default::ResourceWarning")]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page of a class of many, some with names that are markup, as a file."""
    folder = tmp_path_factory.mktemp("report")
    for slug, source in TOYS.items():
        (folder / "origin" / "solutions" / slug).mkdir(parents=True)
        (folder / "origin" / "solutions" / slug / "puzzle.py").write_text(source)
    made = MadeClass(folder / "course", folder / "origin", TOYS)
    outcomes = (wrong("diagonal"), wrong("doubled"), RIGHT, RAISED, BLANK, RIGHT)
    for number in range(LEARNERS):
        learner, text = f"learner {number}", HOSTILE[number % len(HOSTILE)]
        made.learner(learner, text, text)
        if number % 7 == 0:
            continue
        if number % 40 == 1:
            made.hand_in(learner, "first", None, "rejected", f"No: {text}")
        else:
            parts = {name: outcomes[number % n] for name, n in (("centre", 5), ("spread", 6))}
            made.hand_in(learner, "first", parts)
        made.write(learner, "first", f'puzzle.predict("the story", "size", because={text!r})')
    (folder / "report.html").write_text(report.page(report.document(made.enter())), encoding="utf-8")
    return (folder / "report.html").as_uri()


def opened(browser, address, **settings):
    """The page, and what it asked for, said and ran."""
    page = browser.new_page(viewport={"width": 1280, "height": 800}, **settings)
    noticed = []
    page.on("request", lambda request: noticed.append(f"request {request.url}"))
    page.on("console", lambda message: noticed.append(f"console {message.text}"))
    page.on("pageerror", lambda error: noticed.append(f"error {error}"))
    page.on("dialog", lambda dialog: (noticed.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.goto(address)
    return page, noticed


def unfold(page):
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")


def test_nothing_runs_and_nothing_is_asked_for(browser, address):
    page, noticed = opened(browser, address)
    unfold(page)
    page.locator("text=onerror=alert").first.hover()
    page.mouse.wheel(0, 100_000)
    assert noticed == [f"request {address}"]
    assert page.locator("script, img, iframe, object, embed, form, [onmouseover], [onerror]").count() == 0
    for text in HOSTILE[:5]:
        assert page.get_by_text(text).first.is_visible()
    page.close()


def test_the_policy_forbids_what_slips_through(browser, address):
    """Were a script to get into the page in spite of all, it would not run, nor would a picture be fetched."""
    page, noticed = opened(browser, address)
    page.evaluate(
        """() => { const mark = document.createElement('script'); mark.textContent = 'document.title = "ran"';
        document.body.append(mark); const picture = new Image(); picture.src = 'http://127.0.0.1:9/x.png';
        document.body.append(picture); }"""
    )
    assert page.title().startswith("What the class understood")
    assert [line for line in noticed if line.startswith("console")]
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_reads_without_scripts_in_light_and_dark(browser, address, theme):
    """WCAG 2.2 asks for a contrast of 4.5 between text and what is behind it."""
    page, _ = opened(browser, address, color_scheme=theme)
    page.locator("#parts details > summary").first.click()
    samples = [f".heat td.{look} >> nth=0" for _, (_, look) in LOOKS.items() if look != "a"]
    samples += ["h1", "nav a >> nth=0", ".tiles span >> nth=0", "blockquote >> nth=0", "p.soft >> nth=0"]
    samples += [
        ".heat tbody th >> nth=0",
        ".heat .n >> nth=0",
        ".bars td:last-child >> nth=0",
        "summary .soft >> nth=0",
    ]
    for sample in samples:
        text, paper = (luminance(colour) for colour in page.locator(sample).evaluate(COLOURS))
        assert (max(text, paper) + 0.05) / (min(text, paper) + 0.05) >= 4.5, sample
    paper = luminance(page.locator("p").first.evaluate(COLOURS)[1])
    assert (paper < 0.1) == (theme == "dark")
    page.close()
    page, _ = opened(browser, address, color_scheme=theme, java_script_enabled=False)
    page.locator("#learners details > summary").nth(1).click()
    assert page.locator("#learners details").nth(1).locator("tbody tr").last.is_visible()
    page.close()


def test_a_large_class_is_folded_and_its_heads_stay(browser, address):
    page, _ = opened(browser, address)
    folds = page.locator("#learners details")
    assert folds.count() == 3
    assert [fold.get_attribute("open") is not None for fold in folds.all()] == [True, False, False]
    assert page.locator("#learners details .heat tbody tr").count() == LEARNERS
    over = page.locator(".over tbody tr")
    assert [row.locator("th").inner_text() for row in over.all()] == ["1 to 100", "101 to 200", "201 to 230"]
    box = page.locator("details .scroll").first
    box.evaluate("box => { box.scrollTop = 900; }")
    above = box.evaluate(
        "box => box.querySelector('thead').getBoundingClientRect().top - box.getBoundingClientRect().top"
    )
    assert abs(above) < 3
    page.close()


def test_every_cell_says_what_it_is(browser, address):
    """The heads of row and column, and in the cell a sign that the key explains."""
    page, _ = opened(browser, address)
    key = page.locator("#learners .key").inner_text()
    signs = {text.strip() for text in page.locator("details .heat tbody td:not(.n)").all_text_contents()}
    assert signs == {sign for sign, _ in LOOKS.values()}
    assert all(sign in key and outcome in key for outcome, (sign, _) in LOOKS.items())
    first = page.locator("details .heat").first
    assert first.locator("tbody tr").first.locator("th[scope=row]").count() == 1
    assert first.locator("thead th[scope=col]").all_text_contents()[-2:] == ["centre", "spread"]
    said = page.locator(".heat td.w").first.get_attribute("title")
    assert said.startswith(("centre: wrong. ", "spread: wrong. "))
    page.close()


def test_on_a_telephone_nothing_sticks_out(browser, address):
    page, _ = opened(browser, address)
    page.set_viewport_size({"width": 380, "height": 700})
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    page.close()
