"""What nbgrader's pages show of a submission: feedback for the learner, the formgrader for whoever marks.

Both are made by nbconvert's `HTMLExporter` from a notebook that a learner wrote, and the formgrader's page has the
powers of the person who opens it. So only `SHOWN` reaches the templates (`KeepWhatIsShown`), all Markdown becomes
HTML through `markdown2html`, and that HTML passes `sanitised`: bleach with a short list of tags. `configure` puts
them into an nbgrader configuration.

Formulas stay as they were typed: the pages carry no MathJax, which is a script from another site.
"""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import nbformat
import nbgrader
from bleach.html5lib_shim import Filter
from bleach.sanitizer import Cleaner
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from nbgrader import preprocessors, utils
from nbgrader.coursedir import CourseDirectory
from pygments.token import STANDARD_TYPES
from traitlets.config import Config

SHOWN = ("text/markdown", "image/png", "image/jpeg", "text/plain")
# Errors whose traceback is nothing but words for the learner.
IN_WORDS = ("NotYet", "PlainError", "NotRun", "CheckFailed")

LONGEST = 50_000  # characters of Markdown: the time to render it can grow with the square

_TAGS = (
    "a abbr b blockquote br code dd del div dl dt em h1 h2 h3 h4 h5 h6 hr i img li ol p pre s span strong sub sup ul"
)
_TABLE = "table tbody td th thead tr"
_PICTURE = re.compile(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=\s]+")
_COLOURED_CODE = {"highlight", *STANDARD_TYPES.values()}


def configure(c: Config) -> None:
    """Have nbgrader's feedback and formgrader show submissions in safety."""
    theirs = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader" / "templates"
    c.HTMLExporter.extra_template_basedirs = [str(Path(__file__).parent / "templates"), str(theirs)]
    c.HTMLExporter.template_file = "page.html.j2"
    c.HTMLExporter.sanitize_html = True
    c.HTMLExporter.exclude_input_prompt = c.HTMLExporter.exclude_output_prompt = True
    c.HTMLExporter.preprocessors = [f"{__name__}.KeepWhatIsShown", f"{__name__}.MarkingScheme"]
    c.HTMLExporter.filters = {
        "markdown2html": f"{__name__}.markdown2html",
        "clean_html": f"{__name__}.sanitised",
        "strip_files_prefix": f"{__name__}.sanitised",  # nbconvert's makes javascript: of files/javascript:
    }
    c.GenerateFeedback.preprocessors = [
        f"{__name__}.GetGrades",
        f"{__name__}.ClearHiddenTests",
        "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
    ]


@jinja2.pass_context
def markdown2html(context: jinja2.runtime.Context, source: str) -> str:
    """Markdown as safe HTML; what cannot be rendered, or is longer than `LONGEST`, as the text it is."""
    attachments = context.get("cell", {}).get("attachments", {})
    renderer = IPythonRenderer(escape=False, attachments=attachments, exclude_anchor_links=True)
    if len(source) <= LONGEST:
        with contextlib.suppress(Exception):  # a missing attachment, say: one cell must not cost the page
            return sanitised(MarkdownWithMath(renderer=renderer).render(source))
    return f"<pre>{html.escape(source)}</pre>"


def sanitised(markup: str) -> str:
    """HTML without scripts, styles, ids, forms, links and whatever would be fetched; other tags are shown as text.

    Nothing is clickable: in the formgrader a link to Jupyter itself acts with the rights of whoever follows it, and a
    file that was submitted beside the notebook is such a link's target. The address stands behind the link's text.
    """
    return Cleaner(
        tags={*_TAGS.split(), *_TABLE.split()},
        attributes=_allowed,
        protocols={"http", "https", "mailto", "data"},
        filters=[_LinksInWords],
    ).clean(str(markup))


def _allowed(tag: str, name: str, value: str) -> bool:
    if name == "class":
        return value in _COLOURED_CODE
    if tag == "img":
        return name == "alt" or (name == "src" and _PICTURE.fullmatch(value) is not None)
    return tag == "a" and name == "href"


class _LinksInWords(Filter):
    """Writes a link's address behind its text."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        address, text = "", ""
        for token in super().__iter__():
            if token.get("name") != "a":
                text += token.get("data", "") if token["type"] == "Characters" else ""
                yield token
            elif token["type"] == "StartTag":
                address, text = html.unescape(token["data"].get((None, "href"), "")), ""
            elif token["type"] == "EndTag" and address and address != text:
                yield {"type": "Characters", "data": f" ({address})"}


class KeepWhatIsShown(Preprocessor):
    """Reduces a notebook to what the pages show; all else that a learner can write into the file is gone.

    Findings about the submission, a list of sentences, are at ``nb.metadata["mechpuzzles"]["findings"]``.
    """

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Of each cell keep source, output in `SHOWN`, attachments and nbgrader's metadata."""
        findings = _node(_node(nb.metadata).get("mechpuzzles")).get("findings")
        nb.metadata = NotebookNode(findings=_strings(findings))
        return super().preprocess(nb, resources)

    def preprocess_cell(self, cell: NotebookNode, resources: Any, index: int) -> tuple[NotebookNode, Any]:
        cell.metadata = NotebookNode(nbgrader=_role(_node(_node(cell.metadata).get("nbgrader"))))
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [kept for output in cell.outputs if (kept := _shown(output))]
        return cell, resources


class MarkingScheme(Preprocessor):
    """For whoever marks: beside a text its model answer and rubric, from the course's source, as ``nbgrader.scheme``.

    Only the formgrader names a submission by its id; what learners are given has no scheme.
    """

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Give each cell that a person marks its scheme."""
        texts = [cell.metadata.nbgrader for cell in nb.cells if cell.cell_type == "markdown"]
        texts = [mark for mark in texts if mark.get("grade") and mark.get("solution")]
        if "submission_id" in resources and texts:
            schemes = self._schemes(resources["assignment_id"], resources["notebook_id"])
            for mark in texts:
                if mark.grade_id in schemes:
                    mark.scheme = schemes[mark.grade_id]
        return nb, resources

    def _schemes(self, assignment: str, notebook: str) -> dict[str, str]:
        """What the source has in its solution cells, by grade id; nothing where the source is not at hand."""
        course = CourseDirectory(config=self.config)
        path = Path(course.format_path(course.source_directory, ".", assignment), f"{notebook}.ipynb")
        try:
            cells = nbformat.read(path, as_version=4).cells
        except (OSError, ValueError):
            return {}
        answers = {c.metadata.get("nbgrader", {}).get("grade_id"): c.source for c in cells if c.cell_type == "markdown"}
        return {
            name: re.sub(r"(?m)^### (BEGIN|END) SOLUTION$\n?", "", answer) for name, answer in answers.items() if name
        }


def _role(written: NotebookNode) -> NotebookNode:
    """Of nbgrader's metadata what a cell is for; the marks come from the gradebook."""
    name, points = written.get("grade_id"), written.get("points")
    if not isinstance(name, str) or not re.fullmatch(r"[\w-]+", name):
        return NotebookNode()
    role = NotebookNode({flag: written.get(flag) is True for flag in ("grade", "solution", "task", "locked")})
    if role.grade or role.task:
        role.points = points if isinstance(points, int | float) else 0
    return NotebookNode(role, grade_id=name)


def _shown(output: NotebookNode) -> NotebookNode | None:
    kind = output.output_type
    if kind == "stream":
        return NotebookNode(output_type=kind, name=output.name, text=str(output.text))
    if kind == "error":
        name, says, traceback = str(output.ename), str(output.evalue), _strings(output.traceback)
        if name in IN_WORDS:
            return NotebookNode(output_type=kind, ename=name, evalue=says, traceback=[])
        return NotebookNode(output_type=kind, ename=name, evalue=f"{name}: {says}", traceback=traceback)
    data = {name: str(value) for name, value in _node(output.get("data")).items() if name in SHOWN}
    return NotebookNode(output_type="display_data", data=NotebookNode(data), metadata=NotebookNode()) if data else None


def _node(value: Any) -> NotebookNode:
    return NotebookNode(value) if isinstance(value, dict) else NotebookNode()


def _strings(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


class GetGrades(preprocessors.GetGrades):
    """nbgrader's, with None for the score of what nobody has graded yet."""

    def preprocess_cell(self, cell: NotebookNode, resources: Any, cell_index: int) -> tuple[NotebookNode, Any]:
        """Put score and comment into one cell's metadata."""
        cell, resources = super().preprocess_cell(cell, resources, cell_index)
        mark = cell.metadata.get("nbgrader", {})
        if "score" in mark:
            where = self.notebook_id, self.assignment_id, self.student_id
            grade = self.gradebook.find_grade(mark["grade_id"], *where)
            if grade.auto_score is None and grade.manual_score is None:
                mark["score"] = None
        return cell, resources


class ClearHiddenTests(preprocessors.ClearHiddenTests):
    """nbgrader's, and of an error in a cell with hidden tests only its message: a traceback quotes the cell."""

    def preprocess_cell(self, cell: NotebookNode, resources: Any, cell_index: int) -> tuple[NotebookNode, Any]:
        """Clear one cell, if it is a check: the marker in a learner's own text would cost the page."""
        if not utils.is_grade(cell) or utils.is_solution(cell):
            return cell, resources
        before = cell.source
        cell, resources = super().preprocess_cell(cell, resources, cell_index)
        for output in cell.get("outputs", []) if cell.source != before else []:
            if output.output_type == "error":
                output.traceback = []
        return cell, resources
