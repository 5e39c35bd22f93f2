"""What a learner handed in, read without trusting it and put back into the shape of the release.

Nothing of a submission is run or imported here, and no link is followed. Every file is opened once, looked at after it
was opened, and read into memory: what is graded is what was checked, whatever happens to the folder meanwhile.

The repaired notebook is the release, cell by cell and in its order, with the learner's text where the release leaves a
cell open, and the learner's own cells where they stood. Findings quote names that the learner chose, cut short and
without control characters: they are plain text, to be escaped wherever markup is made of them.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
from nbformat import NotebookNode

MB, KB = 1_000_000, 1_000

_OF_THE_RELEASE = {"puzzle.py"}  # the learner's copy of it is never used
_OF_THE_COURSE = {"timestamp.txt"}  # nbgrader's, not the learner's
_LITTER = {"__pycache__", "__macosx", "thumbs.db", "desktop.ini"}

_LINK = "links are not followed (hand in the files themselves)"
_NO_FILE = "only regular files are read"
_FOREIGN = "they are names for somebody else's files (hand in copies)"
_UNREADABLE = "they could not be opened"
_NAME = "their names are not valid text"
_MANY_NOTEBOOKS = "there are too many notebooks"


@dataclass(frozen=True)
class Bounds:
    """How much of a submission is looked at; MB and kB are millions and thousands of bytes."""

    notebook_mb: float = 20.0
    notebooks: int = 10
    files: int = 100  # besides the notebooks
    files_mb: float = 50.0  # all of them together
    entries: int = 1000  # names in all folders, those of links and litter too
    depth: int = 5  # folders in folders
    cells: int = 2000
    cell_kb: float = 500.0  # its text alone, counted in characters
    containers: int = 1_000_000  # lists and dictionaries in a notebook's JSON: each takes some 80 bytes of memory


@dataclass(frozen=True)
class Submission:
    """What there is to grade.

    `notebook` is the repaired notebook, or None if there is none to grade; then `findings` says why. `files` are the
    learner's other files by their path from the notebook's folder. `findings` are sentences for the learner. `digest`
    (SHA-256, hexadecimal) changes when anything changes that may change the marks, among it nbgrader's timestamp.txt,
    by which it reckons lateness; hidden files, checkpoints and caches do not count.
    """

    notebook: NotebookNode | None
    files: dict[str, bytes]
    findings: tuple[str, ...]
    digest: str

    @property
    def rejected(self) -> bool:
        """Whether there is nothing to grade."""
        return self.notebook is None


def read(folder: Path, released: NotebookNode, slug: str, bounds: Bounds = Bounds()) -> Submission:
    """Read the submission in `folder`, which is `submitted/<learner>/<slug>`, and repair its notebook.

    `released` is the puzzle's notebook as the learners got it. Raises `ValueError` for a release that is not valid, has
    no cell ids, or no or repeated grade ids; nothing that a learner may hand in makes it raise.
    """
    release = _Release(released)
    found = _Folder(bounds, f"{slug}.ipynb")
    refusal = found.walk(folder)
    digest = found.digest.hexdigest()
    if refusal:
        return Submission(None, {}, (refusal,), digest)
    chosen, findings = _choose(found, release, slug, bounds)
    if chosen is None:
        return Submission(None, {}, (*findings, *found.findings()), digest)
    repair = _Repair(release, chosen.cells)
    notebook = repair.notebook()
    files, inside = found.files_beside(chosen.path)
    findings += [*inside, *chosen.findings, *repair.findings, *found.findings()]
    return Submission(notebook, files, tuple(findings), digest)


# ---- the folder -----------------------------------------------------------------------------------------------------


class _PassedOver(Exception):
    """One file is not read; the message is why."""


class _Folder:
    """The regular files below a folder, held in memory; what else lies there, by the reason why it was passed over."""

    def __init__(self, bounds: Bounds, wanted: str):
        self.bounds, self.wanted = bounds, wanted
        self.notebooks: dict[str, bytes] = {}
        self.files: dict[str, bytes] = {}
        self.passed_over: defaultdict[str, list[str]] = defaultdict(list)
        self.digest = hashlib.sha256()
        self.entries = self.bytes = 0
        self.too_much = False

    def walk(self, folder: Path) -> str | None:
        """Read everything below; a sentence if the folder cannot be entered.

        The learner's folder and the puzzle's in it must be no links; what is above them is the instructor's.
        """
        try:
            above = os.open(folder.parent, _folder_flags())
            try:
                inside = os.open(folder.name, _folder_flags(), dir_fd=above)
            finally:
                os.close(above)
        except OSError:
            link = next((each for each in (folder.parent, folder) if os.path.islink(each)), None)
            self.note(folder.name, "link" if link else "nothing")
            if link:
                return f"The folder {_quoted(link.name)} of your submission is a link, and {_LINK}."
            return f"There is no folder {_quoted(folder.name)} to read in your submission; hand in {self.wanted}."
        try:
            self.owner = os.fstat(inside).st_uid
            self.enter(inside, "", 0)
        finally:
            os.close(inside)
        return None

    def enter(self, here: int, prefix: str, depth: int) -> None:
        """Read the folder open as `here`: its files first, the wanted notebook before them."""
        try:
            with os.scandir(here) as entries:
                left = self.bounds.entries - self.entries
                names = [entry.name for entry in itertools.islice(entries, left + 1)]
        except OSError:
            self.pass_over(prefix.rstrip("/") or ".", _UNREADABLE)
            return
        self.entries += len(names)
        if len(names) > left:
            self.too_much = True
            many = f"your submission has more than {self.bounds.entries} files and folders"
            self.pass_over(prefix.rstrip("/") or "the rest", many)
        folders = []
        for name in sorted(names[:left], key=lambda name: (name != self.wanted, name)):
            if name.startswith(".") or name.endswith(".pyc") or name.casefold() in _LITTER:
                continue
            try:
                name.encode()
                if stat.S_ISDIR(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
                    folders.append(name)
                else:
                    self.take(name, here, prefix + name)
            except UnicodeEncodeError:
                self.pass_over(prefix + name, _NAME)
            except _PassedOver as why:
                self.pass_over(prefix + name, str(why))
            except OSError:
                self.pass_over(prefix + name, _UNREADABLE)
        for name in folders:
            if depth == self.bounds.depth:
                self.pass_over(prefix + name, f"folders may lie in one another {self.bounds.depth} deep at most")
                continue
            try:
                below = os.open(name, _folder_flags(), dir_fd=here)
            except OSError:
                self.pass_over(prefix + name, _UNREADABLE)
                continue
            try:
                self.enter(below, f"{prefix}{name}/", depth + 1)
            finally:
                os.close(below)

    def take(self, name: str, here: int, path: str) -> None:
        """Keep one file's bytes."""
        if ".ipynb" in name.casefold():  # browsers save "puzzle.ipynb.txt" and "puzzle.ipynb.json" too
            if len(self.notebooks) == self.bounds.notebooks:
                raise _PassedOver(_MANY_NOTEBOOKS)
            limit = self.bounds.notebook_mb
            why = f"a notebook may have {limit:g} MB at most (clear its outputs and save it again)"
            self.notebooks[path] = content = self.content(name, here, int(limit * MB), why)
        else:
            room = int(self.bounds.files_mb * MB) - self.bytes
            why = f"all files together may have {self.bounds.files_mb:g} MB at most"
            content = self.content(name, here, room, why)
            self.bytes += len(content)
            if name.casefold() not in _OF_THE_COURSE:
                self.too_much |= len(self.files) == self.bounds.files
                self.files[path] = content
        self.note(path, hashlib.sha256(content).hexdigest())

    def content(self, name: str, here: int, limit: int, too_big: str) -> bytes:
        """The bytes of a regular file, which is looked at before it is opened and again when it is open.

        Before: opening a device may do something. After: it may have been exchanged meanwhile.
        """
        _only_regular(os.stat(name, dir_fd=here, follow_symlinks=False))
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
        try:
            status = os.fstat(handle)
            _only_regular(status)
            # Backups and snapshots make hard links of everything, and they keep the owner. A learner's hard link to
            # what is not theirs (where the system lets them make one) keeps the other's.
            if status.st_nlink > 1 and status.st_uid != self.owner:
                raise _PassedOver(_FOREIGN)
            if status.st_size > limit:
                raise _PassedOver(too_big)
            with open(handle, "rb", closefd=False) as file:
                content = file.read(limit + 1)
            if len(content) > limit:  # it has grown
                raise _PassedOver(too_big)
            return content
        finally:
            os.close(handle)

    def pass_over(self, path: str, why: str) -> None:
        """Say why a file was not read."""
        self.passed_over[why].append(path)
        self.note(path, why)

    def note(self, path: str, what: str) -> None:
        """Let the digest depend on it."""
        self.digest.update(json.dumps([path, what]).encode() + b"\n")

    def files_beside(self, notebook: str) -> tuple[dict[str, bytes], list[str]]:
        """The learner's files by their path from the notebook's folder, and what there is to say about them."""
        parent = str(PurePosixPath(notebook).parent)
        if self.too_much:
            return {}, [f"Your folder holds more than {self.bounds.files} other files, so only the notebook is used."]
        prefix = "" if parent == "." else f"{parent}/"
        files = {
            path.removeprefix(prefix): content
            for path, content in self.files.items()
            if path.startswith(prefix) and path.removeprefix(prefix).casefold() not in _OF_THE_RELEASE
        }
        if not prefix:
            return files, []
        return files, [
            f"Your notebook lies in the folder {_quoted(parent)}; only files in that folder are used with it."
        ]

    def findings(self) -> list[str]:
        """A sentence for each reason why something was passed over."""
        return [f"Left out, because {why}: {_listed(map(_quoted, paths))}." for why, paths in self.passed_over.items()]


def _folder_flags() -> int:
    return os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _only_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _PassedOver(_LINK if stat.S_ISLNK(status.st_mode) else _NO_FILE)


# ---- the notebooks in it --------------------------------------------------------------------------------------------


class _Unusable(Exception):
    """A file is no notebook of this puzzle; the message is the end of a sentence that begins with its name."""


@dataclass(eq=False)
class _Cell:
    """A learner's cell, as far as it counts: outputs and all other metadata are left behind."""

    kind: str
    source: str
    id: str | None
    nbgrader: Any
    pictures: bool

    def __post_init__(self) -> None:
        self.plain = _plain(self.source)

    @cached_property
    def defined(self) -> set[str]:
        """The names of the functions, classes and values that it defines."""
        return _defined(self.source)

    @property
    def grade_id(self) -> str | None:
        """What the cell says it is; None if it says nothing that can be one."""
        said = self.nbgrader.get("grade_id") if isinstance(self.nbgrader, dict) else None
        return said if isinstance(said, str) else None


@dataclass
class _Candidate:
    """A notebook that holds cells of this puzzle."""

    path: str
    cells: list[_Cell]
    own: int  # cells to be filled in or graded
    worked_on: bool
    findings: list[str] = field(default_factory=list)


class _Release:
    """The released notebook and where its cells are; `ValueError` if it cannot serve as one."""

    def __init__(self, notebook: NotebookNode):
        self.notebook, self.cells = notebook, notebook.cells
        self.by_id: dict[str, int] = {}
        self.by_grade_id: dict[str, int] = {}
        for number, cell in enumerate(self.cells):
            if self.by_id.setdefault(cell.get("id"), number) != number or "id" not in cell:
                raise ValueError(f"cell {number} of the release has no cell id of its own")
        try:
            nbformat.validate(notebook)
        except nbformat.ValidationError as error:
            raise ValueError(f"the release is no valid notebook: {error.message}") from error
        for number in range(len(self.cells)):
            grade_id = self.role(number).get("grade_id")
            if grade_id and self.by_grade_id.setdefault(grade_id, number) != number:
                raise ValueError(f"the release has the grade id {grade_id!r} twice")
        self.plain = [_plain(cell.source) for cell in self.cells]
        self.counted = {number for number in self.by_grade_id.values() if _counts(self.role(number))}
        if not self.counted:
            raise ValueError("the release has no cell to be filled in or graded")

    def role(self, number: int) -> dict[str, Any]:
        """nbgrader's metadata of a cell, empty for an ordinary one."""
        return self.cells[number].metadata.get("nbgrader", {})

    def locked(self, number: int) -> bool:
        """Whether nbgrader would overwrite the cell's text."""
        role = self.role(number)
        return not role.get("solution") and bool(role.get("grade") or role.get("locked"))

    def called(self, number: int) -> str:
        """A cell as its learner may recognise it."""
        name = self.role(number).get("grade_id") or self.cells[number].id
        first = next(iter(self.cells[number].source.strip().splitlines()), "")
        return f"{name} ({_quoted(first)})"


def _counts(role: Any) -> bool:
    """Whether a cell is to be filled in or graded: cells named code-1 are in every puzzle."""
    return isinstance(role, dict) and any(role.get(key) is True for key in ("grade", "solution", "task"))


def _choose(found: _Folder, release: _Release, slug: str, bounds: Bounds) -> tuple[_Candidate | None, list[str]]:
    """The notebook to grade, and what to say about the choice.

    Before others: one in which something was filled in, then one of the right name, the least deep, the one with most
    of the puzzle's cells, the last by name ("puzzle (2)" is after "puzzle (1)"). Times do not count: they change
    when files are collected, and the digest could not tell.
    """
    wanted, fit, unfit = f"{slug}.ipynb", [], {}
    for path, raw in found.notebooks.items():
        try:
            fit.append(_candidate(path, raw, release, bounds))
        except _Unusable as why:
            unfit[path] = f"{_quoted(path)} {why}; hand in {wanted}."
    if fit:
        best = max(fit, key=lambda each: _preference(each, wanted))
        said = [unfit[wanted]] if wanted in unfit else []
        if len(fit) > 1:
            all_names = _listed(_quoted(each.path) for each in fit)
            said.append(f"There are {len(fit)} notebooks of this puzzle: {all_names}; graded is {_quoted(best.path)}.")
        elif best.path != wanted:
            said.append(f"Your notebook is called {_quoted(best.path)}; it is graded as {wanted}.")
        return best, said
    if not unfit:
        others = f", only {_listed(map(_quoted, found.files))}" if found.files else ""
        return None, [f"There is no notebook to be read in your submission{others}; hand in {wanted}."]
    return None, list(unfit.values())


def _preference(candidate: _Candidate, wanted: str) -> tuple[Any, ...]:
    path = PurePosixPath(candidate.path)
    numbered = [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", candidate.path)]
    return candidate.worked_on, path.name == wanted, -len(path.parts), candidate.own, numbered


def _candidate(path: str, raw: bytes, release: _Release, bounds: Bounds) -> _Candidate:
    """The notebook in a file; `_Unusable` if there is none of this puzzle."""
    listed = _cells(_document(raw, bounds))
    if len(listed) > bounds.cells:
        raise _Unusable(f"has {len(listed)} cells, more than {bounds.cells}")
    cells, damaged = [], []
    for number, value in enumerate(listed, start=1):
        cell = _cell(value)
        if cell is None or len(cell.source) > bounds.cell_kb * KB:
            damaged.append(f"cell {number}")
        else:
            cells.append(cell)
    numbers = [release.by_grade_id.get(cell.grade_id or "", -1) for cell in cells]
    claimed = {*numbers, *(release.by_id.get(cell.id or "") for cell in cells)}
    own = len(claimed & release.counted)
    foreign = {cell.grade_id for cell in cells if _counts(cell.nbgrader) and cell.grade_id} - release.by_grade_id.keys()
    if own == 0 or len(foreign) > own:
        titles = (re.search(r"^# *(\S.*)", cell.source, re.MULTILINE) for cell in cells if cell.kind == "markdown")
        title = next((_quoted(found[1]) for found in titles if found), None)
        seems = f"it seems to be {title}" if title else "none of the puzzle's cells are in it"
        raise _Unusable(f"is not this puzzle's notebook: {seems}")
    worked_on = any(
        claim >= 0 and not release.locked(claim) and cell.plain != release.plain[claim]
        for cell, claim in zip(cells, numbers, strict=True)
    )
    candidate = _Candidate(path, cells, own, worked_on)
    if damaged:
        big = f"have more than {bounds.cell_kb:g} kB (keep data in a file)"
        candidate.findings.append(f"Left out, because they are damaged or {big}: {_listed(damaged)} of your notebook.")
    return candidate


def _document(raw: bytes, bounds: Bounds) -> Any:
    """The JSON in a file; `_Unusable` with what is wrong and what helps."""
    start = raw[:1000].strip()
    if not start:
        raise _Unusable("is empty")
    if start.startswith(b"<"):
        raise _Unusable("is a web page, not a notebook (download the raw file)")
    if b"\n<<<<<<< " in raw and b"\n>>>>>>> " in raw:
        raise _Unusable("holds the marks of a merge conflict (resolve it, open the notebook and save it)")
    if raw.count(b"[") + raw.count(b"{") > bounds.containers:
        raise _Unusable("is too large a structure (clear its outputs and save it again)")
    try:
        return json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _Unusable("is not UTF-8 text (open it in JupyterLab and save it again)") from error
    except json.JSONDecodeError as error:
        too_early = error.msg.startswith("Unterminated string") or error.pos >= len(error.doc.rstrip()) - 1
        where = "ends too early" if too_early else f"is damaged at line {error.lineno}"
        raise _Unusable(f"is not valid JSON: it {where} (open it in JupyterLab and save it again)") from error
    except (RecursionError, ValueError) as error:  # nested too deep; a number of more than 4300 digits
        raise _Unusable("holds JSON that no notebook has (open it in JupyterLab and save it again)") from error


def _cells(document: Any) -> list[Any]:
    """The cells of a notebook of format 3 or 4, or what is in their place."""
    major = document.get("nbformat") if isinstance(document, dict) else None
    if type(major) is not int:
        raise _Unusable("is JSON but not a notebook")
    if major not in (3, 4):
        age = "new (save it in format 4)" if major > 4 else "old (save it in JupyterLab)"
        raise _Unusable(f"is in notebook format {major}, which is too {age}")
    try:
        # nbformat's own conversion from format 3 takes seconds for outputs that nobody needs.
        sheets = document["worksheets"] if major == 3 else [document]
        cells = [cell for sheet in sheets for cell in sheet["cells"]]
        return cells if major == 4 else [{**cell, "source": cell.get("source", cell.get("input"))} for cell in cells]
    except (AttributeError, KeyError, TypeError) as error:
        raise _Unusable("is JSON but not a notebook: it has no list of cells") from error


def _cell(value: Any) -> _Cell | None:
    """A cell, or None if it has no text."""
    if not isinstance(value, dict):
        return None
    source, metadata = value.get("source"), value.get("metadata")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        return None
    source = source.encode("utf-8", "replace").decode()  # JSON can hold half a character, a file cannot
    kind = value.get("cell_type")
    return _Cell(
        kind if kind in ("code", "markdown") else "raw",
        source,
        value["id"] if isinstance(value.get("id"), str) else None,
        metadata.get("nbgrader") if isinstance(metadata, dict) else None,
        bool(value.get("attachments")),
    )


# ---- the repair -----------------------------------------------------------------------------------------------------


class _Repair:
    """Finds the learner's cell for each cell of the release; `findings` says what was not as released."""

    def __init__(self, release: _Release, cells: list[_Cell]):
        self.release, self.cells = release, cells
        self.taken: dict[int, _Cell] = {}
        self.own = dict.fromkeys(cells)  # in order; in the end, those that are nobody's but the learner's
        self.findings: list[str] = []
        self.match_by_name("grade_id", release.by_grade_id)
        self.match_by_name("id", release.by_id)  # the grade id is lost or another's
        self.match_by_text()
        self.match_by_place()

    def match_by_name(self, name: str, numbers: dict[str, int]) -> None:
        """Take the cells that say which of the release's they are."""
        claims: defaultdict[int, list[_Cell]] = defaultdict(list)
        for cell in self.own:
            number = numbers.get(getattr(cell, name) or "")
            if number is not None and number not in self.taken and not self.is_another(cell, number):
                claims[number].append(cell)
        for number, copies in claims.items():
            self.take(number, copies)

    def is_another(self, cell: _Cell, number: int) -> bool:
        """Whether a cell with a locked cell's grade id is by its cell id another one, whose text would be lost."""
        identified = self.release.by_id.get(cell.id or "", number)
        return self.release.locked(number) and identified != number and cell.plain != self.release.plain[number]

    def take(self, number: int, copies: list[_Cell]) -> None:
        """Take one of the cells that claim to be the same.

        Of an open cell the last that was changed, of a locked one any that was not. An unchanged copy of a stub is
        left out: run after the answer, it would undo it.
        """
        released = self.release.plain[number]
        changed = [cell for cell in copies if cell.plain != released]
        unchanged = [cell for cell in copies if cell.plain == released]
        taken = ((unchanged or changed) if self.release.locked(number) else (changed or unchanged))[-1]
        self.taken[number] = taken
        for cell in copies:
            if cell is taken or cell.plain in (released, taken.plain):
                del self.own[cell]
        if len(copies) > 1:
            self.say_which(number, len(copies), {cell.plain for cell in changed})

    def say_which(self, number: int, copies: int, answers: set[str]) -> None:
        """A sentence on a cell that is there more than once."""
        if self.release.locked(number):
            which = "it is graded as released" + (", and the changed copies are cells of your own" if answers else "")
        elif not answers:
            which = "none of them is changed"
        elif len(answers) == 1:
            which = "the one that you changed is graded"
        else:
            which = "the last that you changed is graded, and the others are ordinary cells"
        self.findings.append(f"The cell {self.release.called(number)} is there {copies} times; {which}.")

    def match_by_text(self) -> None:
        """Take the cells that are as released but have lost their names."""
        texts: defaultdict[tuple[str, str], list[_Cell]] = defaultdict(list)
        for cell in reversed(self.own):
            texts[cell.kind, cell.plain].append(cell)
        for number in self.missing():
            if same := texts[self.release.cells[number].cell_type, self.release.plain[number]]:
                self.taken[number] = cell = same.pop()
                del self.own[cell]

    def match_by_place(self) -> None:
        """Take for an open cell the learner's own cell of its type that stands where it belongs."""
        places = {cell: place for place, cell in enumerate(self.cells)}
        used, place = set(self.taken.values()), 0  # the place after the cell that was taken for the one before
        for number in range(len(self.release.cells)):
            if number not in self.taken and not self.release.locked(number):
                between = itertools.takewhile(lambda cell: cell not in used, self.cells[place:])
                fitting = (cell for cell in between if cell in self.own and self.fits(cell, number))
                if (cell := next(fitting, None)) is not None:
                    self.taken[number] = cell
                    used.add(cell)
                    del self.own[cell]
            if number in self.taken:
                place = places[self.taken[number]] + 1

    def fits(self, cell: _Cell, number: int) -> bool:
        """Whether a cell without a name may be this one; of a code stub, only if it defines the same."""
        names = _defined(self.release.cells[number].source) if self.release.role(number).get("solution") else set()
        return cell.kind == self.release.cells[number].cell_type and names <= cell.defined

    def missing(self) -> list[int]:
        """The cells of the release that nothing was taken for."""
        return [number for number in range(len(self.release.cells)) if number not in self.taken]

    def notebook(self) -> NotebookNode:
        """The release with the learner's text."""
        cells = {number: self.filled(number) for number in range(len(self.release.cells))}
        self.say_of_many()
        numbers = {cell: number for number, cell in self.taken.items()}
        after: defaultdict[int, list[NotebookNode]] = defaultdict(list)
        ids = (name for number in itertools.count(1) if (name := f"own-{number}") not in self.release.by_id)
        last = -1
        for cell in self.cells:
            last = numbers.get(cell, last)
            if cell in self.own:
                after[last].append(_new(cell.kind, cell.source, next(ids)))
        made = copy.deepcopy(self.release.notebook)
        made.cells = [*after[-1], *(each for number, cell in cells.items() for each in (cell, *after[number]))]
        return made

    def filled(self, number: int) -> NotebookNode:
        """A cell of the release with the learner's text if it is open."""
        released, cell = self.release.cells[number], self.taken.get(number)
        made = copy.deepcopy(released)
        if released.cell_type == "code":
            made.outputs, made.execution_count = [], None
        if cell is None:
            if self.release.role(number).get("solution"):
                made.source = self.instead(number)
            return made
        called, changed = self.release.called(number), cell.plain != self.release.plain[number]
        if self.release.locked(number):
            if changed or cell.kind != released.cell_type:
                self.findings.append(f"The cell {called} is read-only; your change to it is not graded.")
            return made
        if cell.kind != released.cell_type and not self.release.role(number):
            return _new(cell.kind, cell.source, released.id)  # not graded: the learner may have turned it off
        if cell.kind != released.cell_type:
            self.findings.append(
                f"The cell {called} had become a {cell.kind} cell; its text is graded as {released.cell_type}."
            )
        if changed:
            made.source = cell.source
        return made

    def instead(self, number: int) -> str:
        """The text of a stub that is missing: the released one, unless that would undo an answer elsewhere."""
        names, called = sorted(_defined(self.release.cells[number].source)), self.release.called(number)
        answers = [
            cell
            for taken, cell in self.taken.items()
            if cell.plain != self.release.plain[taken] and not self.release.locked(taken)
        ]
        defined = {name for cell in (*self.own, *answers) if cell.kind == "code" for name in cell.defined}
        if names and defined.issuperset(names):
            listed = ", ".join(names)
            self.findings.append(f"The cell {called} is missing; another cell of yours defines {listed}, and is used.")
            return f"# This cell was missing: {listed} is defined in another one."
        self.findings.append(f"The cell {called} is missing; it is put back as released, without an answer.")
        return self.release.cells[number].source

    def say_of_many(self) -> None:
        """Sentences that take several cells together."""
        release = self.release
        back = [number for number in self.missing() if not release.role(number).get("solution")]
        if back:
            self.findings.append(f"Put back, because they were missing: {_listed(map(release.called, back))}.")
        places = {cell: place for place, cell in enumerate(self.cells)}
        order = [places[self.taken[number]] for number in sorted(self.taken)]
        if order != sorted(order):
            self.findings.append("Some cells were in another order; they are graded in the puzzle's order.")
        lost = [
            number for number, cell in self.taken.items() if _settings(cell.nbgrader) != _settings(release.role(number))
        ]
        if lost:
            names = _listed(map(release.called, sorted(lost)))
            self.findings.append(f"Grading settings were changed or lost, and the released ones are used, in: {names}.")
        if any(_counts(cell.nbgrader) and cell.grade_id not in release.by_grade_id for cell in self.own):
            self.findings.append("Cells of your own had grading settings, which are taken out: they carry no points.")
        if any(cell.pictures for cell in (*self.own, *self.taken.values())):
            self.findings.append("Pictures pasted into text cells are not kept; say in words what they show.")


def _new(kind: str, source: str, cell_id: str) -> NotebookNode:
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    return make.get(kind, nbformat.v4.new_raw_cell)(source, id=cell_id)


def _settings(role: Any) -> Any:
    """A cell's role without its checksum, which another release of the puzzle may have changed."""
    return {key: value for key, value in role.items() if key != "checksum"} if isinstance(role, dict) else role or {}


def _plain(source: str) -> str:
    """A text without what editors change by themselves: ends of lines, blanks before them, empty last lines."""
    return "\n".join(line.rstrip() for line in source.splitlines()).strip("\n")


def _defined(source: str) -> set[str]:
    """The names that a stub's text gives to functions, classes and values."""
    found = re.findall(r"^(?:async +)?(?:def|class) +(\w+)|^(\w+) *(?::[^=\n]*)?=(?!=)", source, re.MULTILINE)
    return {name for pair in found for name in pair if name}


def _shown(text: str, most: int = 60) -> str:
    """A learner's text in a sentence: on one line, without control characters, not long."""
    clean = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[: most + 1]
    )
    return clean if len(clean) <= most else f"{clean[: most - 1]}…"


def _quoted(text: str) -> str:
    return f'"{_shown(text)}"'


def _listed(names: Iterable[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    given = list(names)
    more = [f"{len(given) - most} more"] if len(given) > most else []
    return ", ".join([*given[:most], *more])
