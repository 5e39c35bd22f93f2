"""What learning platforms export: the files of a folder or of a zip, and whose each is by its name.

======================  ===========================================================================================
Canvas                  ``lovelaceada_12345_67890_puzzle-2.ipynb``, and ``_LATE_`` after the name; 12345 is the user,
                        67890 grows with every upload
Moodle                  ``Ada Lovelace_123456_assignsubmission_file_/puzzle.ipynb``; the number is the assignment's own
Blackboard              ``Week 1_ada_attempt_2026-12-08-14-03-22_puzzle.ipynb``
a folder of one's own   ``ada.ipynb``, ``ada_puzzle.ipynb``, ``ada/puzzle.ipynb``
======================  ===========================================================================================

Nothing is unpacked: a zip's files are read one at a time, up to a size, and no name in it becomes a path.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mechpuzzles.roster import Found

MOST_BYTES, MOST_ENTRIES = 20_000_000, 50_000  # of one file, as the grader reads; of names in an export
_DEEPEST = 8

_MOODLE = re.compile(r"(?P<name>.+)_(?P<number>\d+)_assignsubmission_(?:file|onlinetext)_?")
_BLACKBOARD = re.compile(r"(?P<before>.+)_attempt_(?P<time>\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d)_(?P<own>.+)")
_CANVAS = re.compile(r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<user>\d+)_(?P<upload>\d+)_(?P<own>.+)")
_COPY = r"(?:[-_ .]*(?:\(\d+\)|\d+|copy ?\d*))*"  # what browsers, Jupyter and platforms add to a name


class Unreadable(ValueError):
    """An export, or one file of it, cannot be read; the message says why."""


@dataclass(frozen=True)
class File:
    """One file of an export, which ``read`` reads; ``time`` is when it was written, if that is known."""

    path: PurePosixPath
    time: datetime.datetime | None
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Reading:
    """What a file's name says: who it may be from, and on which platform; ``own`` is the name that the learner gave.

    Of two with an ``upload`` the larger is the later. ``late`` is what the platform says, None if it says nothing.
    """

    learners: frozenset[str]
    own: str
    platform: str = "folder"
    upload: int | None = None
    late: bool | None = None
    time: datetime.datetime | None = None


# Files ---------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def opened(source: Path, zone: datetime.tzinfo) -> Iterator[Iterator[File]]:
    """The files of a folder or a zip; a zip's times without a zone are in ``zone``. Raises `Unreadable`."""
    if source.is_dir():
        yield _of_folder(source)
        return
    if not source.exists():
        raise Unreadable(f"there is no {source}")
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise Unreadable(f"{source.name} is no zip that can be read ({error}): download it again") from None
    with archive:
        if len(archive.infolist()) > MOST_ENTRIES:
            raise Unreadable(f"{source.name} has {len(archive.infolist()):,} names; at most {MOST_ENTRIES:,} are read")
        yield _of_zip(archive, zone)


def _of_folder(source: Path) -> Iterator[File]:
    names = 0
    for here, folders, files in os.walk(source):  # links to folders are not followed
        folders[:] = sorted(name for name in folders if not _litter(name))
        if len(Path(here).relative_to(source).parts) >= _DEEPEST:
            folders.clear()
        for name in sorted(name for name in files if not _litter(name)):
            names += 1
            if names > MOST_ENTRIES:
                raise Unreadable(f"{source.name} has more than {MOST_ENTRIES:,} files")
            path = Path(here, name)
            written = datetime.datetime.fromtimestamp(path.lstat().st_mtime, datetime.UTC)
            inside = PurePosixPath(path.relative_to(source).as_posix())
            yield File(inside, written, functools.partial(_content, path))


def _content(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as file:
            if path.is_symlink() or not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unreadable("it is a link or no regular file")
            return _capped(file.read(MOST_BYTES + 1))
    except OSError as error:
        link = "it is a link" if path.is_symlink() else f"it cannot be opened: {error.strerror}"
        raise Unreadable(link) from None


def _of_zip(archive: zipfile.ZipFile, zone: datetime.tzinfo) -> Iterator[File]:
    for info in archive.infolist():
        path = PurePosixPath(_name(info))
        if not info.is_dir() and not any(_litter(part) for part in path.parts if part != ".."):
            yield File(path, _written(info, zone), functools.partial(_unpacked, archive, info, path))


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: PurePosixPath) -> bytes:
    if path.is_absolute() or ".." in path.parts:
        raise Unreadable("its path leads out of the zip")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise Unreadable("it is a link")
    if info.flag_bits & 0x1:
        raise Unreadable("it is encrypted")
    try:
        with archive.open(info) as file:
            return _capped(file.read(MOST_BYTES + 1))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, struct.error) as error:
        raise Unreadable(f"it is damaged in the zip ({error})") from None


def _capped(content: bytes) -> bytes:
    if len(content) > MOST_BYTES:
        raise Unreadable(f"it has more than {MOST_BYTES // 1_000_000} MB")
    return content


def _name(info: zipfile.ZipInfo) -> str:
    """A zip's name as it was meant: many programs write UTF-8 and do not say so."""
    name = info.filename
    with contextlib.suppress(UnicodeError):
        if not info.flag_bits & 0x800:
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _written(info: zipfile.ZipInfo, zone: datetime.tzinfo) -> datetime.datetime | None:
    """When a file was written, to the second if the zip says so; its other time has no zone, and 1980 is none."""
    extra = info.extra
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        if kind == 0x5455 and size >= 5 and len(extra) >= 9 and extra[4] & 1:
            return datetime.datetime.fromtimestamp(struct.unpack("<i", extra[5:9])[0], datetime.UTC)
        extra = extra[4 + size :]
    with contextlib.suppress(ValueError):
        local = datetime.datetime(*info.date_time, tzinfo=zone)
        return local.astimezone(datetime.UTC) if local.year > 1980 else None
    return None


def _litter(name: str) -> bool:
    return name.startswith((".", "~$")) or name.casefold() in ("__macosx", "__pycache__", "thumbs.db", "desktop.ini")


# Names ---------------------------------------------------------------------------------------------------------------


def named_for(own: str, slug: str) -> bool:
    """Whether a learner's file is called as the puzzle is, but for what copying adds."""
    stem = re.split(r"\.ipynb", own, maxsplit=1, flags=re.IGNORECASE)[0]
    return re.fullmatch(re.escape(slug) + _COPY, stem, re.IGNORECASE) is not None


def read_name(path: PurePosixPath, slugs: list[str], found: Found, zone: datetime.tzinfo) -> Reading:
    """What a file's path in an export says."""
    for folder in reversed(path.parts[:-1]):
        if moodle := _MOODLE.fullmatch(folder):
            return Reading(frozenset(found.named(moodle["name"])), path.name, "moodle")
    if blackboard := _BLACKBOARD.fullmatch(path.name):
        words = blackboard["before"].split("_")
        users = ("_".join(words[start:]) for start in range(len(words)))  # either name may hold an underscore
        learners = frozenset(learner for user in users for learner in found.called(user))
        with contextlib.suppress(ValueError):
            local = datetime.datetime.strptime(blackboard["time"], "%Y-%m-%d-%H-%M-%S").replace(tzinfo=zone)
            upload = int(blackboard["time"].replace("-", ""))
            return Reading(learners, blackboard["own"], "blackboard", upload, None, local.astimezone(datetime.UTC))
    canvas = _CANVAS.fullmatch(path.name)
    learners, own = _by_place(path, slugs, found)
    if canvas is None:
        return Reading(learners, own)
    by_user, by_name = found.numbered(canvas["user"]), found.named(canvas["name"])
    if not by_user:  # a namesake
        by_name = {learner for learner in by_name if not found.numbers.get(learner, "").isdigit()}
    learners |= (by_user & by_name) or (by_user | by_name)
    return Reading(learners, canvas["own"], "canvas", int(canvas["upload"]), canvas["late"] is not None)


def _by_place(path: PurePosixPath, slugs: list[str], found: Found) -> tuple[frozenset[str], str]:
    """Who a file is from by its own name and the nearest folder that is called after somebody."""
    stem = re.sub(r"\.(ipynb|jsonl)(\.\w+)?$", "", path.name, flags=re.IGNORECASE)
    own, learners = path.name, set(found.called(stem))
    for slug in [*slugs, "journal"]:
        after = re.fullmatch(rf"(?P<who>.+?)[_-](?P<own>{re.escape(slug)}{_COPY})", stem, re.IGNORECASE)
        if after and (here := found.called(after["who"])):
            learners |= here
            own = path.name[after.start("own") :]
    for folder in reversed(path.parts[:-1]):
        if here := found.called(folder):
            learners |= here
            break
    return frozenset(learners), own
