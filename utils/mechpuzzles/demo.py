"""A made-up class whose true marks are known: what `mechpuzzles course demo` makes, to try out what reads a course.

Each submission is put together from the authors' solutions, alternatives and mutants, so that what is right, and which
symptom a wrong part shows, is known without grading: the gate holds that every mutant shows its own. Values are typed
as literals and no right answer uses a wrong one, so one mistake costs one part. All of it is in ``truth.json``:

    {"seed", "course", "learners": {learner: {puzzle: submission}}}

A submission has "status" (graded, needs_manual or rejected), "score" (of the checks; None where nothing can be
graded), "max_score", "parts" ({name: {"outcome", "symptom"}}), "manual" ({grade id: points} that a person is to give),
"done" (in words), "late" (in seconds, 0 for in time), "predictions" ({name: {"value", "sure"}}) and "journal" (None, or
{"minutes", "attempts": {part: number}, "hints": {part: number}}).
"""

from __future__ import annotations

import datetime
import hashlib
import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from mechpuzzles import beside, collect, course, folders, made_up, variants
from mechpuzzles.grading import driver
from mechpuzzles.made_up import Answered, Bank
from mechpuzzles.roster import Learner

TRUTH = "truth.json"
PLAN = course.Plan(datetime.date(2026, 12, 1))

# What twenty learners do; a class is as many of these as it has learners, in an order of its own for each puzzle.
WAYS = (
    *("right", "wrong one", "wrong one", "right", "wrong one", "copied", "wrong some", "right", "not json", "crash"),
    *(
        "untouched",
        "wrong one",
        "right",
        "raises",
        "renamed",
        "left out",
        "wrong some",
        "right",
        "duplicated",
        "nothing",
    ),
)
BROKEN = ("not json", "empty")
FIRST = (
    "Ada",
    "Benoît",
    "Chipo",
    "Dmitri",
    "Élise",
    "Farid",
    "Grace",
    "Hiro",
    "Ines",
    "Jonas",
    "Kavya",
    "Lena",
    "Mateo",
)
LAST = ("Adeyemi", "Baker", "Costa", "Dube", "Eriksen", "Fischer", "García", "Haddad", "Ito", "Jansen", "Kim")


@dataclass
class Submission:
    """One learner's submission of one puzzle, and what is true of it."""

    way: str
    answered: Answered
    max_score: float
    manual: dict[str, float] = field(default_factory=dict)
    predictions: dict[str, dict[str, Any]] = field(default_factory=dict)
    late: int = 0
    journal: dict[str, Any] | None = None

    def truth(self) -> dict[str, Any]:
        """The submission as ``truth.json`` has it."""
        rejected = self.way in BROKEN
        status = "rejected" if rejected else "needs_manual" if self.manual else "graded"
        return {
            "status": status,
            "score": None if rejected else self.answered.score,
            "max_score": self.max_score,
            "parts": {} if rejected else self.answered.parts,
            "manual": {} if rejected else self.manual,
            "done": self.answered.done,
            "late": self.late,
            "predictions": {} if rejected else self.predictions,
            "journal": self.journal,
        }


def make(folder: Path, learners: int, slugs: list[str], seed: int, root: Path | None = None) -> dict[str, Any]:
    """Make a course with a class of so many in a new folder; what is in its ``truth.json``.

    Of all puzzles without ``slugs``. The same numbers make the same class. Raises `mechpuzzles.course.Refused`.
    """
    try:
        root = root or folders.checkout()
    except FileNotFoundError as error:
        raise course.Refused(f"a demo is made from the authors' mutants: {error}") from None
    rng = random.Random(seed)
    people = _people(learners, rng)
    secret = hashlib.sha256(f"mechpuzzles demo {seed}".encode()).hexdigest()
    course.init(folder, people, slugs or folders.slugs(root), PLAN, checkout=root, secret=secret)
    opened = driver.Course(folder)
    sharing = _some(people, 0.4, rng)
    logs: dict[str, list[dict[str, Any]]] = {one.id: [] for one in people}
    truth: dict[str, Any] = {"seed": seed, "course": opened.coursedir.course_id}
    truth["learners"] = {one.id: {} for one in people}
    for number, slug in enumerate(slug for slug in folders.slugs(root) if (opened.root / "solutions" / slug).is_dir()):
        bank = Bank.of(root, slug)
        keys = {one.id: variants.key(secret, one.id) for one in people}
        ways, late = _ways(learners, number, rng), _some(people, 0.1, rng)
        for one, way in zip(people, ways, strict=True):
            if way == "nothing":
                continue
            submission = _submission(bank, way, one.id, keys, rng)
            log = logs[one.id] if one.id in sharing else None
            minutes = -rng.randrange(1, 48 * 60) if one.id in late else rng.randrange(10, 5 * 24 * 60)
            submission.late = max(0, -60 * minutes)
            _hand_in(opened, bank, one.id, submission, PLAN.due(number) - datetime.timedelta(minutes=minutes), log, rng)
            truth["learners"][one.id][slug] = submission.truth()
    (folder / TRUTH).write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    return truth


def give_manual_marks(opened: driver.Course, truth: dict[str, Any]) -> int:
    """Enter the marks that a person is to give, once the course is graded; how many there were."""
    given = 0
    with opened.book() as book:
        for learner, by_puzzle in truth["learners"].items():
            for slug, submission in by_puzzle.items():
                for cell, points in submission["manual"].items():
                    mark = book.find_grade(cell, slug, slug, learner)
                    mark.manual_score, mark.needs_manual_grade = points, False
                    given += 1
        book.db.commit()
    return given


def _people(learners: int, rng: random.Random) -> list[Learner]:
    names = [(first, last) for first in FIRST for last in LAST]
    rng.shuffle(names)
    people = []
    for number in range(learners):
        first, last = names[number % len(names)]
        again = f"-{number // len(names) + 1}" if number >= len(names) else ""
        word = "".join(sign for sign in f"{first}-{last}".lower() if sign.isascii()) + again
        people.append(Learner(word, first, last + again, f"{word}@example.org", str(70_000 + number)))
    return people


def _some(people: list[Learner], share: float, rng: random.Random) -> set[str]:
    return {one.id for one in rng.sample(people, max(1, round(share * len(people))))}


def _ways(learners: int, puzzle: int, rng: random.Random) -> list[str]:
    ways = [WAYS[number % len(WAYS)] for number in range(learners)]
    ways = [BROKEN[puzzle % len(BROKEN)] if way in BROKEN else way for way in ways]
    rng.shuffle(ways)
    return ways


def _submission(bank: Bank, way: str, learner: str, keys: dict[str, str], rng: random.Random) -> Submission:
    own = bank.values(keys[learner])
    if way == "copied" and bank.draws:
        other = rng.choice([one for one in keys if one != learner])
        answered = made_up.copied(bank, own, bank.values(keys[other]), other, rng)
    elif way == "untouched":
        answered = made_up.untouched(bank)
    elif way in ("wrong one", "wrong some", "copied"):
        answered = made_up.wrong(bank, own, 1 if way != "wrong some" else 2, rng)
    elif way in ("raises", "crash", "left out"):
        answered = made_up.unfinished(bank, own, way, rng)
    else:
        answered = made_up.right(bank, own, rng)
        if way != "right":
            answered.done += {
                "renamed": "; the notebook has another name",
                "duplicated": "; a check is there twice",
            }.get(way, f"; the file is {way}")
    submission = Submission(way, answered, bank.max_score)
    if way != "untouched":
        submission.manual = beside.write_texts(bank, answered, rng)
        submission.predictions = beside.guess(bank, answered, rng)
    if way != "untouched" and bank.draws:
        answered.cells |= beside.named(bank, learner)
    return submission


# Handing in ----------------------------------------------------------------------------------------------------------


def _hand_in(
    opened: driver.Course,
    bank: Bank,
    learner: str,
    submission: Submission,
    time: datetime.datetime,
    log: list[dict[str, Any]] | None,
    rng: random.Random,
) -> None:
    """Write a submission into the course's folder, with its time and, where it is shared, the log up to then."""
    folder = opened.folder("submitted_directory", learner, bank.slug)
    folder.mkdir(parents=True)
    _write(folder, bank, submission)
    (folder / collect.STAMP).write_bytes(collect.stamp(time))
    if log is not None:
        entries, submission.journal = beside.journal(bank, submission.answered, submission.predictions, time, rng)
        log += entries
        log.sort(key=lambda entry: entry["time"])
        (folder / collect.JOURNAL).write_text("".join(json.dumps(entry) + "\n" for entry in log), encoding="utf-8")


def _write(folder: Path, bank: Bank, submission: Submission) -> None:
    notebook = bank.notebook(submission.answered.cells)
    path = folder / f"{bank.slug}.ipynb"
    if submission.way == "renamed":
        path = folder / f"{bank.slug} (1).ipynb"
    if submission.way == "duplicated":
        _copy_a_check(notebook)
    text = nbformat.writes(notebook)
    if submission.way in BROKEN:
        text = text[: len(text) // 2] if submission.way == "not json" else ""
    path.write_text(text, encoding="utf-8")


def _copy_a_check(notebook: NotebookNode) -> None:
    """Copy and paste a check, as Jupyter does: only the cell's id is new."""
    at = next(n for n, cell in enumerate(notebook.cells) if cell.id.startswith("check-"))
    copied = nbformat.from_dict({**notebook.cells[at], "id": "pasted"})
    notebook.cells.insert(at + 1, copied)
