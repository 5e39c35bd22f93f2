"""Put what a learning platform exported into a course's ``submitted/<learner>/<puzzle>/``, as nbgrader has it.

nbgrader's own zip_collect is not used: it wants one regular expression that finds the learner's id in each name, where
platforms write names and numbers of their own; it knows no roster, and makes a learner of whatever was found. It
unpacks everything, decides between resubmissions by a time that few names hold, and writes over what is there.

Who a file is from is never guessed: what fits nobody on the roster, or two, is listed for a person.
"""

from __future__ import annotations

import datetime
import json
import re
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mechpuzzles import course as courses
from mechpuzzles import exports
from mechpuzzles.exports import File, Reading, Unreadable
from mechpuzzles.grading import driver
from mechpuzzles.roster import Found

STAMP, NOTE, JOURNAL = "timestamp.txt", ".collected.json", "journal.jsonl"
FOR_A_PERSON = ("unmatched", "ambiguous", "undecided", "unreadable")


@dataclass(frozen=True)
class Line:
    """What became of a file, or that there is none of a learner's.

    ``status``: collected, unchanged, older (than what is there), missing; or for a person to see to, unmatched (nobody
    on the roster), ambiguous (two of them), undecided (which of two files is the last), unreadable.
    """

    learner: str | None
    file: str
    status: str
    message: str = ""

    def data(self) -> dict[str, Any]:
        """The line as `mechpuzzles course collect --json` prints it."""
        return asdict(self)


@dataclass(frozen=True)
class _Handed:
    """A file and what its name says."""

    file: File
    reading: Reading

    @property
    def time(self) -> datetime.datetime | None:
        return self.reading.time or self.file.time


def collect(course: driver.Course, slug: str, source: Path) -> list[Line]:
    """Collect a puzzle's submissions from a folder or a zip; a line for each file and each learner without one.

    Raises `Unreadable` for a source that cannot be read, `mechpuzzles.course.Refused` for a course without this puzzle
    or without a roster.
    """
    if not course.has(slug):
        raise courses.Refused(f"{slug} is no puzzle of the course in {course.root}")
    learners = courses.on_roster(course)
    if not learners:
        raise courses.Refused(f"the gradebook of {course.root} has no learners: `mechpuzzles course roster` adds them")
    zone, due = _zone(course), _due(course, slug)
    with exports.opened(source, zone) as files:
        lines, notebooks, journals = _sorted(files, _slugs(course, slug), Found(learners), zone)
        for learner, handed in notebooks.items():
            lines.append(_put(course, learner, slug, handed, journals.get(learner, []), due))
    seen = {line.learner for line in lines}
    for one in learners:
        if one.id not in seen and not course.folder("submitted_directory", one.id, slug).exists():
            lines.append(Line(one.id, "", "missing"))
    return sorted(lines, key=lambda line: (line.learner is None, line.learner or "", line.file))


def _slugs(course: driver.Course, slug: str) -> list[str]:
    """The course's puzzles, the wanted one first."""
    there = sorted(folder.name for folder in (course.root / "solutions").iterdir() if course.has(folder.name))
    return [slug, *(other for other in there if other != slug)]


def _zone(course: driver.Course) -> datetime.tzinfo:
    return courses.zone(str(course.config.get("Exchange", {}).get("timezone", "UTC")))


def _due(course: driver.Course, slug: str) -> datetime.datetime | None:
    with course.book() as book:
        try:
            due = book.find_assignment(slug).duedate
        except driver.MissingEntry:
            return None
    return due.replace(tzinfo=datetime.UTC) if due else None


def _sorted(
    files: Any, slugs: list[str], found: Found, zone: datetime.tzinfo
) -> tuple[list[Line], dict[str, list[_Handed]], dict[str, list[_Handed]]]:
    """The files that may be the puzzle's by learner, journals by learner, and lines about those that are nobody's."""
    lines: list[Line] = []
    notebooks: dict[str, list[_Handed]] = defaultdict(list)
    journals: dict[str, list[_Handed]] = defaultdict(list)
    for file in files:
        kind = re.search(r"\.(ipynb|jsonl|zip)(?:\.(?:txt|json))?$", file.path.name, re.IGNORECASE)
        if kind is None:
            continue
        reading = exports.read_name(file.path, slugs, found, zone)
        if any(exports.named_for(word, other) for other in slugs[1:] for word in (reading.own, file.path.parent.name)):
            continue  # another puzzle's
        name = str(file.path)
        if kind[1].lower() == "zip":
            lines.append(
                Line(None, name, "unreadable", "a zip in the export is not opened: unpack it beside the others")
            )
        elif not reading.learners:
            lines.append(Line(None, name, "unmatched", "nobody on the roster has this id, number, e-mail or full name"))
        elif len(reading.learners) > 1:
            said = f"it may be from {' or '.join(sorted(reading.learners))}"
            lines.append(Line(None, name, "ambiguous", said))
        else:
            (notebooks if kind[1].lower() == "ipynb" else journals)[min(reading.learners)].append(
                _Handed(file, reading)
            )
    return lines, notebooks, journals


def _put(
    course: driver.Course,
    learner: str,
    slug: str,
    handed: list[_Handed],
    journals: list[_Handed],
    due: datetime.datetime | None,
) -> Line:
    """Write a learner's last submission into the course, unless there is a later one."""
    rightly_named = [one for one in handed if exports.named_for(one.reading.own, slug)]
    last = _last(rightly_named or handed)
    name = str(last[0].file.path)
    try:
        if len({one.file.read() for one in last}) > 1:
            either = " or ".join(str(one.file.path) for one in last)
            return Line(learner, name, "undecided", f"which is the last: {either}?")
        content = last[0].file.read()
        journal = _last(journals)[0].file.read() if journals else None
    except Unreadable as why:
        return Line(learner, name, "unreadable", str(why))
    folder = course.folder("submitted_directory", learner, slug)
    if any(place.is_symlink() for place in (folder, folder.parent)):
        return Line(learner, name, "unreadable", f"{folder} is a link, and nothing is written through one")
    time, said = _time(last[0], due)
    files = {f"{slug}.ipynb": content, STAMP: stamp(time) if time else None, JOURNAL: journal}
    note = {"platform": last[0].reading.platform, "upload": last[0].reading.upload}
    if older := _is_older(folder, slug, time, note):
        return Line(learner, name, "older", older)
    if all((folder / part).is_file() and (folder / part).read_bytes() == had for part, had in files.items() if had):
        return Line(learner, name, "unchanged")
    _write(folder, {**files, NOTE: json.dumps(note).encode()})
    several = f"the last of {len(handed)}" if len(handed) > 1 else ""
    return Line(learner, name, "collected", "; ".join(filter(None, (several, said))))


def _last(handed: list[_Handed]) -> list[_Handed]:
    """The last of some files by the platform's number, or where not all have one by time; several if that is equal."""
    if all(one.reading.upload is not None for one in handed) and len({one.reading.platform for one in handed}) == 1:
        newest = max(one.reading.upload or 0 for one in handed)
        return [one for one in handed if one.reading.upload == newest]
    if not all(one.time for one in handed):
        return handed
    latest = max(one.time for one in handed if one.time)
    return [one for one in handed if one.time == latest]


def _time(last: _Handed, due: datetime.datetime | None) -> tuple[datetime.datetime | None, str]:
    """When it was handed in. Canvas says whether it was late, and its files' times are those of the export."""
    time, late = last.time, last.reading.late
    if due is None or late is None or (time is not None and (time > due) == late):
        return time, "" if time else "its time is not known, and it does not count as late"
    if late:
        return due + datetime.timedelta(seconds=1), "late, but not known by how much: a second"
    return due, "not late"


def stamp(time: datetime.datetime) -> bytes:
    """A time as nbgrader's exchange writes it."""
    return time.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.%f UTC").encode()


def _is_older(folder: Path, slug: str, time: datetime.datetime | None, note: dict[str, Any]) -> str:
    """A sentence if what is there is later, by the platform's number or by time."""
    if not (folder / f"{slug}.ipynb").exists():
        return ""
    try:
        before = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        if note["upload"] is not None and before["platform"] == note["platform"] and before["upload"] is not None:
            return f"upload {before['upload']} is there" if before["upload"] > note["upload"] else ""
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not put there by this command
    try:
        there = driver.parse_utc((folder / STAMP).read_text(encoding="utf-8").strip())
    except (OSError, ValueError, OverflowError):  # none, or none that nbgrader could read
        written = (folder / f"{slug}.ipynb").stat().st_mtime
        there = datetime.datetime.fromtimestamp(written, datetime.UTC).replace(tzinfo=None)
    if time is None:
        return f"its time is not known, and one of {there:%Y-%m-%d %H:%M} UTC is there"
    later = there.replace(tzinfo=datetime.UTC) > time
    return f"one of {there:%Y-%m-%d %H:%M:%S} UTC is there" if later else ""


def _write(folder: Path, files: dict[str, bytes | None]) -> None:
    """Write a submission, its time last: one that was cut short is collected again."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: name in (STAMP, NOTE)):
        content = files[name]
        if content is None:
            if name == STAMP:  # of what was there before
                (folder / name).unlink(missing_ok=True)
            continue
        fresh = folder / f".{name.removeprefix('.')}.new"
        fresh.write_bytes(content)
        fresh.replace(folder / name)
