"""What a learner writes is shown in nbgrader's pages and never acts there, in a real browser."""

import contextlib
import html
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import jinja2
import nbformat
import pytest
from nbformat import v4

from mechpuzzles.grading import feedback

from .chromium import until_formgrader_has_loaded
from .jupyter import serving

ROOT = Path(__file__).parents[1]
SLUG = "attacked"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("feedback"),
    pytest.mark.filterwarnings("default::ResourceWarning"),
]

# Each runs PWN, a function of the test's, or asks for TRAP, an address of the test's.
SEEN = {
    "script": "<script>PWN</script>",
    "handler": '<img src="data:," onerror="PWN">',
    "svg": '<svg onload="PWN"></svg>',
    "svg-script": "<svg><script>PWN</script></svg>",
    "svg-animate": '<svg><animate attributeName="x" dur="1s" onbegin="PWN"/></svg>',
    "details": '<details open ontoggle="PWN">x</details>',
    "srcdoc": '<iframe srcdoc="<script>PWN</script>"></iframe>',
    "iframe": '<iframe src="TRAP"></iframe>',
    "iframe-data": '<iframe src="data:text/html,<img src=TRAP>"></iframe>',
    "object": '<object data="TRAP"></object>',
    "embed": '<embed src="TRAP">',
    "style": "<style>.cell { background: url(TRAP) }</style>",
    "style-attribute": '<div style="background: url(TRAP)">cover</div>',
    "stylesheet": '<link rel="stylesheet" href="TRAP">',
    "picture": "![picture](TRAP)",
    "picture-set": '<img srcset="TRAP 1x">',
    "video": '<video src="TRAP" autoplay></video>',
    "noscript": '<noscript><p title="</noscript><img src=x onerror=PWN>"></noscript>',
    "comment": "<!--><img src=x onerror=PWN>-->",
    "mutation": '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=PWN&gt;">',
}
CODE = {
    "html": 'display(HTML("""<script>PWN</script>"""))',
    "html-handler": """display(HTML('<img src="data:," onerror="PWN">'))""",
    "isolated": """display({"text/html": "<img src=TRAP>"}, raw=True, metadata={"text/html": {"isolated": True}})""",
    "javascript": 'display(Javascript("""PWN"""))',
    "svg-output": """display(SVG('<svg xmlns="http://www.w3.org/2000/svg" onload="PWN"></svg>'))""",
    "markdown": """display(Markdown('<img src="data:," onerror="PWN">'))""",
    "latex": r"display(Latex('<img src=x onerror=PWN>'))",
    "picture-width": 'display({"image/png": "AAAA"}, raw=True, metadata={"image/png": {"width": "1 onerror=PWN"}})',
    "picture-file": 'display({"image/png": ""}, raw=True, metadata={"filenames": {"image/png": "TRAP"}})',
    "printed": "print('<script>PWN</script>', '\\x1b[1;31m<img src=x onerror=PWN>')",
    "raised": "raise type('<script>PWN</script>', (Exception,), {})('<img src=x onerror=PWN>')",
}
CLICKED = {
    "go-javascript": "[NAME](javascript:PWN)",
    "go-javascript-html": '<a href="&#106;avascript:PWN">NAME</a>',
    "go-files": "[NAME](files/javascript:PWN)",
    "go-files-html": '<a href="files/javascript:PWN">NAME</a>',
    "go-own-page": "[NAME](own-page.html)",
    "go-elsewhere": "[NAME](TRAP)",
    "go-form": '<form action="TRAP"><button>NAME</button></form>',
}
NAVIGATING = {
    "base": '<base href="TRAP/"><img src="picture.png">',
    "refresh": '<meta http-equiv="refresh" content="1; url=TRAP">',
}
# nbconvert, or the browser, stops these: they are escaped, drawn as pictures, or need MathJax, which is not here.
STOPPED = {"svg-output", "latex", "printed", "raised", "noscript", "mutation"}
FINDINGS = ["Your file was called <b>.ipynb.", "Its cells were in another order."]
SETTING = "![picture](/formgrader/?path=autograded/setting/attacked)"  # the formgrader runs that folder's configuration


def nbgrader(course: Path, *arguments: str) -> None:
    """Run an nbgrader command in a course."""
    beside = str(Path(sys.executable).parent)  # nbgrader calls `alembic` by name
    environment = {**os.environ, "PATH": beside + os.pathsep + os.environ["PATH"]}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]


class Trap(http.server.ThreadingHTTPServer):
    """Notes the paths it is asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.asked: set[str] = set()
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Asked(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.add(self.path.strip("/?").split("/")[0])
        self.send_response(200)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def trap():
    server = Trap()
    yield server
    server.shutdown()
    server.server_close()


NAMES = [*SEEN, *CODE, *CLICKED, *NAVIGATING]


def armed(name: str, text: str, trap: Trap) -> str:
    named = text.replace("NAME", name).replace("TRAP", f"{trap.address}/{name}")
    return named.replace("PWN", f"pwn({NAMES.index(name)})")


@pytest.fixture(scope="module")
def course(tmp_path_factory, trap):
    """A course of attackers and one honest learner, graded, with our feedback; beside it the same with stock's."""
    from nbgrader.api import Gradebook

    course = tmp_path_factory.mktemp("course") / "ours"
    (course / "solutions" / SLUG).mkdir(parents=True)
    shutil.copy(ROOT / "nbgrader_config.py", course)
    nbformat.write(assignment(), course / "solutions" / SLUG / f"{SLUG}.ipynb")
    nbgrader(course, "generate_assignment", SLUG)

    cells = [v4.new_markdown_cell(armed(name, text, trap)) for name, text in {**CLICKED, **SEEN}.items()]
    cells[3:3] = [v4.new_code_cell("from IPython.display import *")]
    cells[4:4] = [v4.new_code_cell(armed(name, text, trap)) for name, text in CODE.items()]
    submit(course, "attacker", cells)
    submit(course, "navigating", [v4.new_markdown_cell(armed(name, text, trap)) for name, text in NAVIGATING.items()])
    submit(course, "setting", [v4.new_markdown_cell(SETTING)])
    page, settings = (course / "submitted" / learner / SLUG for learner in ("attacker", "setting"))
    (page / "own-page.html").write_text(f"<script>pwn({NAMES.index('go-own-page')})</script>")
    (settings / "nbgrader_config.py").write_text("from pathlib import Path\nPath('owned').touch()")
    submit(course, "honest", HONEST, stub="'nothing'", why="Because.")
    nbgrader(course, "autograde", SLUG)
    found = course / "autograded" / "honest" / SLUG / f"{SLUG}.ipynb"
    notebook = nbformat.read(found, as_version=4)
    notebook.metadata["mechpuzzles"] = {"findings": FINDINGS}
    found.chmod(0o644)
    nbformat.write(notebook, found)
    with Gradebook(f"sqlite:///{course}/gradebook.db") as book:
        book.find_comment("why", SLUG, SLUG, "honest").manual_comment = "Well *tried*"
        book.db.commit()

    stock = course.with_name("stock")
    shutil.copytree(course, stock)
    (stock / "nbgrader_config.py").write_text(STOCK)
    for each in (stock, course):
        nbgrader(each, "generate_feedback", SLUG)
    return course


STOCK = """c = get_config()
c.CourseDirectory.course_id = "mech-interp-puzzles"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "puzzles"
"""
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HONEST = [
    v4.new_markdown_cell(
        "## My notes\n\n**Bold**, `a < b`, [the paper](https://example.org/?a=1&b=2).\n\n> said\n\n"
        "![dot](attachment:dot.png)\n\n```python\nif a < b: pass\n```\n\n|a|b|\n|-|-|\n|1|2|\n\n- one\n- two\n",
        attachments={"dot.png": {"image/png": PNG}},
    ),
    v4.new_code_cell(f"from IPython.display import Image\nimport base64\ndisplay(Image(base64.b64decode({PNG!r})))"),
    v4.new_code_cell("print('\\x1b[1mbold words\\x1b[0m')"),
]


def assignment() -> nbformat.NotebookNode:
    """One question for the grader, one for a person."""

    def by_nbgrader(name: str, **more: object) -> dict:
        plain = {"grade": False, "locked": False, "solution": False, "task": False, "schema_version": 3}
        return {"nbgrader": {**plain, "grade_id": name, **more}}

    notebook = v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}})
    notebook.cells = [
        v4.new_code_cell(
            "one = 0\n### BEGIN SOLUTION\none = 1\n### END SOLUTION", metadata=by_nbgrader("stub", solution=True)
        ),
        v4.new_code_cell(
            "assert one\n### BEGIN HIDDEN TESTS\nassert one == 1\n### END HIDDEN TESTS",
            metadata=by_nbgrader("check", grade=True, locked=True, points=2),
        ),
        v4.new_markdown_cell("Why?", metadata=by_nbgrader("why", grade=True, solution=True, points=3)),
    ]
    return notebook


def submit(course: Path, learner: str, cells: list, **answers: str) -> None:
    notebook = nbformat.read(course / "puzzles" / SLUG / f"{SLUG}.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = answers.get(cell.metadata.nbgrader.grade_id, cell.source)
    notebook.cells += cells
    folder = course / "submitted" / learner / SLUG
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / f"{SLUG}.ipynb")


@pytest.fixture(scope="module")
def formgraders(course):
    """The address of each learner's page in the formgraders of both courses, offline."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course}/gradebook.db") as book:
        ids = {s.student.id: s.notebooks[0].id for s in book.assignment_submissions(SLUG)}
    with contextlib.ExitStack() as servers:
        addresses = {}
        for each in (course, course.with_name("stock")):
            settings = {"JUPYTER_CONFIG_DIR": str(each / "config")}
            address = servers.enter_context(serving(each / "log", each, "jupyter_server", **settings))
            addresses[each.name] = {name: f"{address}/formgrader/submissions/{id}/" for name, id in ids.items()}
        yield addresses


def feedback_page(course: Path, learner: str) -> Path:
    return course / "feedback" / learner / SLUG / f"{SLUG}.html"


def fired(browser, trap: Trap, address: str, clicks: Iterable[str] = (), **how: object) -> set[str]:
    """The attacks that act when a page is looked at and its links are followed."""
    ran: set[str] = set()
    trap.asked.clear()
    context = browser.new_context(**how)
    context.expose_function("pwn", lambda number: ran.add(NAMES[number]))
    context.route(lambda url: url.startswith("https:"), lambda route: route.abort())
    page = context.new_page()
    page.goto(address)
    page.wait_for_timeout(1500)
    for name in clicks:
        page.goto(address)
        page.get_by_text(name).first.dispatch_event("click")
        page.wait_for_timeout(300)
    context.close()
    return ran | trap.asked & set(NAMES)


def test_stock_pages_run_them(browser, course, trap, formgraders):
    stock = course.with_name("stock")
    page = feedback_page(stock, "attacker").as_uri()
    assert fired(browser, trap, page, CLICKED) == {*SEEN, *CODE, *CLICKED} - STOPPED - {"javascript"}
    assert fired(browser, trap, feedback_page(stock, "navigating").as_uri()) == set(NAVIGATING)
    assert fired(browser, trap, formgraders["stock"]["attacker"], CLICKED) == {*SEEN, *CODE, *CLICKED} - STOPPED
    assert fired(browser, trap, formgraders["stock"]["navigating"]) == set(NAVIGATING)


def test_the_policy_alone_stops_all_but_navigation(browser, course, trap, tmp_path):
    policy = re.search("<meta[^>]*>", feedback_page(course, "honest").read_text())[0]
    assert "Content-Security-Policy" in policy
    for learner, expected in (("attacker", {"go-elsewhere", "go-own-page"}), ("navigating", {"refresh"})):
        stock = feedback_page(course.with_name("stock"), learner)
        guarded = stock.with_name("guarded.html")
        guarded.write_text(stock.read_text().replace("<head>", f"<head>{policy}", 1))
        assert fired(browser, trap, guarded.as_uri(), CLICKED if learner == "attacker" else ()) == expected


@pytest.mark.parametrize("learner", ["attacker", "navigating"])
def test_sanitising_alone_stops_all(browser, course, trap, formgraders, learner):
    clicks = CLICKED if learner == "attacker" else ()
    page = feedback_page(course, learner)
    assert fired(browser, trap, page.as_uri(), clicks, bypass_csp=True) == set()
    assert fired(browser, trap, formgraders["ours"][learner], clicks, bypass_csp=True) == set()
    written = html.unescape(page.read_text())
    assert all(name in written for name in (CLICKED if learner == "attacker" else NAVIGATING))  # shown, as text


def test_looking_at_a_submission_runs_no_configuration_of_its_own(browser, course, trap, formgraders):
    """The formgrader takes its settings from the folder that a request names, and a picture is a request."""
    for which in ("ours", "stock"):
        fired(browser, trap, formgraders[which]["setting"], bypass_csp=True)
        assert (course.with_name(which) / "owned").exists() == (which == "stock")


def test_pages_ask_nobody_else(browser, course, formgraders):
    server = formgraders["ours"]["honest"].split("/formgrader")[0]
    for address, own in ((feedback_page(course, "honest").as_uri(), "file:"), (formgraders["ours"]["honest"], server)):
        page, asked, complaints = browser.new_page(), [], []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("pageerror", lambda error, complaints=complaints: complaints.append(str(error)))
        page.goto(address)
        page.wait_for_timeout(500)
        assert not [url for url in asked if not url.startswith((own, "data:image/png"))]
        assert not complaints
        assert page.evaluate("document.head.firstElementChild.httpEquiv") == "Content-Security-Policy"
        page.close()


def test_what_is_meant_is_shown(browser, course):
    page = browser.new_page()
    page.goto(feedback_page(course, "honest").as_uri())
    assert "Score: 0 / 5, and part of it waits to be marked" in page.locator(".lead").inner_text()
    rows = [" ".join(row.split()) for row in page.locator("table").first.locator("tr").all_inner_texts()]
    assert rows == ["check 0 / 2 NameError: name 'one' is not defined", "why waits to be marked, 3 points"]
    assert page.locator(".findings").inner_text().split("\n\n") == FINDINGS
    shown = " ".join(page.locator("body").inner_text().split())
    for words in ("My notes", "a < b", "the paper (https://example.org/?a=1&b=2)", "bold words"):
        assert words in shown
    for element in ("h2", "strong", "p code", "blockquote", ".k:text('if')", "td:text('2')", "ul > li:text('two')"):
        assert page.locator(f".rendered_html {element}").count() == 1, element
    for picture in page.locator("img").all():
        assert picture.evaluate("picture => picture.naturalWidth") == 1
    assert page.locator("img").count() == 2
    assert "Comment: Well tried" in shown
    page.close()


def test_a_traceback_quotes_no_hidden_test(course):
    """The honest learner's cell defines nothing, so that the check fails on its first line."""
    ours, stock = (text_of(feedback_page(course.with_name(which), "honest")) for which in ("ours", "stock"))
    assert "one == 1" in text_of(course / "autograded" / "honest" / SLUG / f"{SLUG}.ipynb")
    assert "one == 1" not in ours
    assert "HIDDEN" not in ours
    assert "NameError: name 'one' is not defined" in ours
    assert "HIDDEN" in stock


@pytest.mark.parametrize("flags", [{}, {"grade": True, "solution": True}])
def test_the_marker_of_hidden_tests_in_a_learners_own_text_costs_nothing(flags):
    cell = v4.new_markdown_cell("### BEGIN HIDDEN TESTS", metadata={"nbgrader": flags})
    assert feedback.ClearHiddenTests().preprocess_cell(cell, {}, 0)[0].source == "### BEGIN HIDDEN TESTS"


def text_of(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]*>|\\u001b\[[0-9;]*m", "", page.read_text()))


def test_a_person_marks_offline_and_makes_feedback_by_a_button(browser, course, formgraders):
    page = browser.new_page()
    page.goto(formgraders["ours"]["attacker"])
    until_formgrader_has_loaded(page)
    page.locator("#why").fill("2")
    with page.expect_response(lambda answer: "/api/grade/" in answer.url and answer.request.method == "PUT"):
        page.locator("#why").press("Tab")
    path = feedback_page(course, "attacker")
    path.unlink()
    answer = page.evaluate(
        """async (path) => {
            const headers = {"X-CSRFToken": getCookie("_xsrf")};
            return (await fetch(path, {method: "POST", headers})).json();
        }""",
        f"/formgrader/api/assignment/{SLUG}/attacker/generate_feedback",
    )
    assert answer["success"], answer
    page.goto(path.as_uri())
    assert "why 2 / 3" in " ".join(page.locator("table").first.inner_text().split())
    assert page.evaluate("document.head.firstElementChild.httpEquiv") == "Content-Security-Policy"
    page.close()


@pytest.mark.parametrize(
    ("markup", "safe"),
    [
        ('<b id="check" class="score" onclick="x()">b</b>', "<b>b</b>"),
        ('<a href="https://a.org/?b=1&amp;c=2">a</a>', "a (https://a.org/?b=1&amp;c=2)"),
        ('<a href="https://a.org">https://a.org</a>', "https://a.org"),
        ('<a href="/formgrader/?path=x">a</a>', "a (/formgrader/?path=x)"),
        ('<a href="&lt;script&gt;">a</a>', "a (&lt;script&gt;)"),
        ('<a href="javascript:x()">a</a>', "a"),
        ('<img src="picture.png" alt="p">', '<img alt="p">'),
        ('<img src="data:image/svg+xml;base64,AAAA">', "<img>"),
        ('<img src="data:image/png;base64,AAAA" width="9">', '<img src="data:image/png;base64,AAAA">'),
        ('<span class="k">if</span><span class="btn">x</span>', '<span class="k">if</span><span>x</span>'),
        ("<style>b {}</style>", "&lt;style&gt;b {}&lt;/style&gt;"),
        ("a &lt; b", "a &lt; b"),
    ],
)
def test_sanitised(markup, safe):
    assert feedback.sanitised(markup) == safe


@pytest.mark.parametrize("source", ["![<lost>](attachment:lost.png)", r"\begin{a}" * 99_999])
def test_a_cell_that_cannot_be_rendered_is_shown_as_text(source):
    context = jinja2.Environment().from_string("").new_context({"cell": {}})
    assert feedback.markdown2html(context, source) == f"<pre>{html.escape(source)}</pre>"


def test_nothing_else_reaches_the_templates():
    """Whatever the file holds where the pages expect numbers, words and names."""
    wild = {"__html__": "<script>", "nbgrader": {"grade_id": '"><script>', "grade": True}, "tags": 5, "title": "<b>"}
    outputs = [
        {"output_type": "execute_result", "execution_count": "<b>", "metadata": wild, "data": {"text/html": "<b>"}},
        {"output_type": "display_data", "metadata": wild, "data": {"image/png": "AA", "text/plain": ["<", "b>"]}},
        {"output_type": "error", "ename": "E", "evalue": {"a": 1}, "traceback": [wild, "line"]},
    ]
    cell = {"cell_type": "code", "source": "", "id": "a", "metadata": wild, "execution_count": "<b>"}
    metadata = {**wild, "language_info": 5, "widgets": wild, "mechpuzzles": {"findings": [wild, "found"]}}
    forged = {"nbgrader": {"grade_id": "why", "grade": "yes", "points": 9, "score": 9, "comment": "<b>"}}
    cells = [{**cell, "outputs": outputs}, {**cell, "outputs": [], "metadata": forged}]
    notebook = nbformat.from_dict({"cells": cells, "metadata": metadata})
    notebook, _ = feedback.KeepWhatIsShown().preprocess(notebook, {})
    assert notebook.metadata == {"findings": ["found"]}
    plain = {"grade": False, "solution": False, "task": False, "locked": False}
    assert notebook.cells[1].metadata == {"nbgrader": {**plain, "grade_id": "why"}}
    kept = notebook.cells[0]
    assert (kept.metadata, kept.execution_count) == ({"nbgrader": {}}, None)
    assert kept.outputs == [
        {"output_type": "display_data", "metadata": {}, "data": {"image/png": "AA", "text/plain": "['<', 'b>']"}},
        {"output_type": "error", "ename": "E", "evalue": "E: {'a': 1}", "traceback": ["line"]},
    ]
