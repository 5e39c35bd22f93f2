"""The people of a course: read from the table that an instructor has, and found again by what a platform calls them."""

from __future__ import annotations

import codecs
import csv
import io
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

LONGEST = 128  # characters that nbgrader's gradebook has for an id or a name
_LONGEST_FOLDER = 200  # bytes; most disks take 255
_DELIMITERS = ",;\t"
_NOT_IN_FOLDERS = '*?[]{}/\\:|<>"'  # nbgrader takes ids for patterns and for formats; the rest cannot be on some disk
_WIDE = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class BadRoster(ValueError):
    """The table cannot be used; the message names the file, the line and what to do."""


@dataclass(frozen=True)
class Learner:
    """One person, as nbgrader's gradebook has them; ``lms_user_id`` is the learning platform's own number or name."""

    id: str
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    lms_user_id: str | None = None


COLUMNS = tuple(field.name for field in fields(Learner))


def read(path: Path, encoding: str | None = None) -> list[Learner]:
    """The learners of a table with the columns of `Learner`, of which only ``id`` is required, in the file's order.

    The table is CSV as spreadsheets write it: with commas, semicolons or tabs, in UTF-8 or UTF-16 (or in ``encoding``),
    with or without a byte order mark. Other columns are passed over, and an empty field is nothing. Raises `BadRoster`.
    """
    text, first = _text(path, encoding), 0
    if text.lower().startswith("sep="):  # Excel's own way to say it
        text, first = text.partition("\n")[2], 1
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text.partition("\n")[0]), strict=True)
    table = _Table(path.name)
    try:
        for row in rows:
            table.add(first + rows.line_num, [field.strip() for field in row])
    except csv.Error as error:
        raise BadRoster(f"{path.name}, line {first + rows.line_num}: {error}") from None
    return table.whole()


def _text(path: Path, encoding: str | None) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadRoster(f"{path} cannot be read: {error.strerror}") from None
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise BadRoster(f"{path.name} is a workbook, not a table of text: save it as CSV UTF-8")
    chosen = encoding or next((name for mark, name in _WIDE.items() if content.startswith(mark)), "utf-8-sig")
    try:
        text = content.decode(chosen)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadRoster(
            f"{path.name}, line {line}: this is not {chosen.removesuffix('-sig').upper()}. In Excel, save as "
            '"CSV UTF-8"; or say what it is, with --encoding cp1252 (Western Europe), cp1251, mac-roman ...'
        ) from None
    except LookupError:
        raise BadRoster(f"there is no encoding {encoding!r}; cp1252, cp1251 and mac-roman are some") from None
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise BadRoster(f'{path.name}, line {line}: this is no text. In Excel, save as "CSV UTF-8".')
    return text


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


class _Table:
    """Rows, each looked at as it comes."""

    def __init__(self, file: str):
        self.file = file
        self.header: list[str] | None = None
        self.lines: dict[str, int] = {}
        self.learners: list[Learner] = []

    def refuse(self, line: int, why: str) -> BadRoster:
        return BadRoster(f"{self.file}, line {line}: {why}")

    def add(self, line: int, row: list[str]) -> None:
        if not any(row):
            return
        if self.header is None:
            self.header = self._header(line, row)
            return
        if any(row[len(self.header) :]) or len(row) < self.header.index("id") + 1:
            several = f"{len(row)} fields, and the first line names {len(self.header)}"
            raise self.refuse(line, f"{several}; a name that holds the separator goes between double quotes")
        there = {name: field for name, field in zip(self.header, row, strict=False) if name in COLUMNS}
        learner = Learner(there["id"], **{name: field or None for name, field in there.items() if name != "id"})
        for name, field in there.items():
            if len(field) > LONGEST:
                raise self.refuse(line, f"{name} has {len(field)} characters; nbgrader keeps {LONGEST}")
        if problem := unusable(learner.id):
            raise self.refuse(line, problem)
        before = self.lines.setdefault(learner.id.casefold(), line)
        if before != line:
            same = "the id" if any(one.id == learner.id for one in self.learners) else "but for capitals, the id"
            raise self.refuse(line, f"{same} {learner.id!r} is on line {before} already")
        self.learners.append(learner)

    def _header(self, line: int, row: list[str]) -> list[str]:
        names = [name.casefold().replace(" ", "_") for name in row]
        if "id" not in names:
            raise self.refuse(line, f"there is no column id; the columns are {', '.join(filter(None, row))}")
        for name in COLUMNS:
            if names.count(name) > 1:
                raise self.refuse(line, f"there are {names.count(name)} columns {name}")
        return names

    def whole(self) -> list[Learner]:
        if self.header is None:
            raise BadRoster(f"{self.file} is empty; its first line names the columns: {','.join(COLUMNS[:4])}")
        if not self.learners:
            raise BadRoster(f"{self.file} names nobody below its first line")
        return self.learners


def unusable(learner: str) -> str | None:
    """Why an id cannot be the name of a learner's folder in a course; None if it can."""
    if not learner:
        return "the id is empty"
    if not learner.isprintable() or learner != learner.strip():
        return f"the id {learner!r} has signs that do not show"
    if len(learner.encode()) > _LONGEST_FOLDER:
        return f"the id {learner!r} is too long for the name of a folder"
    if learner.startswith(".") or learner.endswith("."):
        return f"the id {learner!r} begins or ends with a full stop, which a folder must not"
    if wrong := sorted(set(learner) & set(_NOT_IN_FOLDERS)):
        return f"the id {learner!r} cannot be the name of a folder in nbgrader: it has {' '.join(wrong)}"
    return None


class Found:
    """Learners by what platforms call them. Every look gives all who fit: none, one, or several."""

    def __init__(self, learners: Iterable[Learner]):
        self.by_id: dict[str, set[str]] = defaultdict(set)
        self.by_number: dict[str, set[str]] = defaultdict(set)
        self.numbers: dict[str, str] = {}
        self.by_email: dict[str, set[str]] = defaultdict(set)
        self.by_name: dict[str, set[str]] = defaultdict(set)
        for one in learners:
            self.by_id[one.id.casefold()].add(one.id)
            if one.lms_user_id:
                self.by_number[one.lms_user_id.casefold()].add(one.id)
                self.numbers[one.id] = one.lms_user_id
            if one.email:
                self.by_email[one.email.casefold()].add(one.id)
            if one.first_name and one.last_name:
                for name in (one.first_name + one.last_name, one.last_name + one.first_name):
                    self.by_name[_bare(name)].add(one.id)

    def called(self, word: str) -> set[str]:
        """Those whose id, number, e-mail or full name this is; an id comes before the others."""
        word = word.strip()
        folded = word.casefold()
        exact = self.by_id.get(folded, set()) | self.by_number.get(folded, set()) | self.by_email.get(folded, set())
        return exact or self.named(word)

    def numbered(self, number: str) -> set[str]:
        """Those who have this number on the platform, or for an id where the roster has no numbers of the platform."""
        return set((self.by_number or self.by_id).get(number, set()))

    def named(self, name: str) -> set[str]:
        """Those whose full name this is, in either order, whatever became of spaces, accents and capitals."""
        return set(self.by_name.get(_bare(name), set())) if _bare(name) else set()


def _bare(name: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFKD", name).casefold() if sign.isalnum())
