"""What learning platforms export, brought into a course: whose it is, which is the last, when it was handed in."""

import datetime
import io
import json
import os
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

import pytest
from typer.testing import CliRunner

from mechpuzzles import collect, course, exports, folders
from mechpuzzles.cli_course import course_app
from mechpuzzles.exports import Unreadable
from mechpuzzles.grading import driver, submissions
from mechpuzzles.roster import Found, Learner

from .courses import ROOT, copy_course

SLUG, OTHER = "similar_embeddings", "and_or_circuits"
NOTEBOOK = (ROOT / "puzzles" / SLUG / f"{SLUG}.ipynb").read_bytes()
DUE = datetime.datetime(2026, 12, 7, 22, 59, tzinfo=datetime.UTC)
PEOPLE = [
    Learner("ada", "Ada", "Lovelace", "ada@example.org", "4711"),
    Learner("ben", "Benoît", "de la Tour", "ben@example.org", "4712"),
    Learner("li_w", "Li", "Wei"),
    Learner("wei", "Wei", "Li"),
    Learner("cleo", "Cleo", "Ptolemy"),
]


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Path:
    """A course with two puzzles, a roster and a due date; nobody has handed in."""
    folder = copy_course(
        tmp_path_factory.mktemp("collect") / "course", SLUG, OTHER, config="c.Exchange.timezone = 'CET'"
    )
    opened = driver.Course(folder)
    with opened.book() as book:
        book.update_or_create_assignment(SLUG, duedate=DUE)
    course._enrol(opened, PEOPLE)
    return folder


@pytest.fixture
def opened(empty, tmp_path) -> driver.Course:
    return driver.Course(shutil.copytree(empty, tmp_path / "course"))


def export(folder: Path, files: dict[str, bytes], time: datetime.datetime = DUE) -> Path:
    """A folder with these files, all of one time."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (time.timestamp(), time.timestamp()))
    return folder


def zipped(path: Path, files: dict[str, bytes], **fields) -> Path:
    """A zip with these files; ``fields`` are set on each entry."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, (2026, 12, 7, 12, 0, 0))
            for field, value in fields.items():
                setattr(info, field, value)
            archive.writestr(info, content)
    return path


def there(opened: driver.Course, learner: str) -> dict[str, bytes]:
    folder = opened.root / "submitted" / learner / SLUG
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}


def statuses(lines: list[collect.Line]) -> dict[str, str]:
    """By the file's name; who handed in nothing is left out."""
    return {line.file: line.status for line in lines if line.status != "missing"}


def only(lines: list[collect.Line]) -> collect.Line:
    [line] = [line for line in lines if line.status != "missing"]
    return line


# Whose --------------------------------------------------------------------------------------------------------------

NAMES = {
    f"lovelaceada_4711_67890_{SLUG}-2.ipynb": "ada",
    f"lovelaceada_LATE_4711_67890_{SLUG}.ipynb": "ada",
    f"somebodyelse_4711_67890_{SLUG}.ipynb": "ada",
    f"delatourbenoît_4712_1_{SLUG}.ipynb": "ben",
    f"delatourbenoit_4712_1_{SLUG} (1).ipynb": "ben",
    f"ptolemycleo_9999_1_{SLUG}.ipynb": "cleo",
    f"Ada Lovelace_123456_assignsubmission_file_/{SLUG}.ipynb": "ada",
    f"week 1/Benoît de la Tour_7_assignsubmission_file_/{SLUG}.ipynb": "ben",
    f"Ptolemy Cleo_4711_assignsubmission_file_/{SLUG}.ipynb": "cleo",
    f"Week 1_ada_attempt_2026-12-07-14-03-22_{SLUG}.ipynb": "ada",
    f"Week 1_li_w_attempt_2026-12-07-14-03-22_{SLUG}.ipynb": "li_w",
    "ada.ipynb": "ada",
    f"ada/{SLUG}.ipynb": "ada",
    f"ada/{SLUG}/{SLUG}.ipynb": "ada",
    f"li_w_{SLUG}.ipynb": "li_w",
    f"ada@example.org/{SLUG}.ipynb": "ada",
    f"Benoît de la Tour/{SLUG}-Copy1.ipynb": "ben",
    f"ADA_{SLUG}.ipynb": "ada",
    "4712.ipynb": "ben",
    f"ada_{SLUG}.ipynb.txt": "ada",
    f"lovelaceada_4700_67890_{SLUG}.ipynb": "",  # a namesake: Ada's number is another
    f"Li Wei_3_assignsubmission_file_/{SLUG}.ipynb": "li_w or wei",
    f"lovelaceada_4712_67890_{SLUG}.ipynb": "ada or ben",
    f"ada/ben_{SLUG}.ipynb": "ada or ben",
    f"Nobody Known_4711_assignsubmission_file_/{SLUG}.ipynb": "",  # Moodle's number is the assignment's own
    f"{SLUG}.ipynb": "",
    f"ad_{SLUG}.ipynb": "",
    "Ada.zip.ipynb": "",
}


@pytest.mark.parametrize("name", NAMES)
def test_whose_a_file_is(name):
    reading = exports.read_name(PurePosixPath(name), [SLUG, OTHER], Found(PEOPLE), datetime.UTC)
    assert " or ".join(sorted(reading.learners)) == NAMES[name]


def test_what_is_nobodys_is_listed_and_the_rest_is_collected(opened, tmp_path):
    source = export(tmp_path / "export", dict.fromkeys(NAMES, NOTEBOOK))
    lines = collect.collect(opened, SLUG, source)
    found = {line.file: (line.learner, line.status) for line in lines if line.learner is None}
    of_two = {name for name, whose in NAMES.items() if " or " in whose}
    assert {name for name, line in found.items() if line == (None, "ambiguous")} == of_two
    assert found.keys() - of_two == {name for name, whose in NAMES.items() if not whose}
    assert {found[name] for name in found.keys() - of_two} == {(None, "unmatched")}
    assert {path.name for path in (opened.root / "submitted").iterdir()} == {"ada", "ben", "cleo", "li_w"}
    assert [line.learner for line in lines if line.status == "missing"] == ["wei"]


def test_a_submission_is_where_nbgrader_looks_for_it(opened, tmp_path):
    journal = b'{"time": 1.0}\n'
    files = {
        f"ada_{SLUG} (1).ipynb": NOTEBOOK,
        "ada_journal.jsonl": journal,
        f"ada_{OTHER}.ipynb": b"{}",
        "ada.pdf": b"",
    }
    line = only(collect.collect(opened, SLUG, export(tmp_path / "export", files)))
    assert line == collect.Line("ada", f"ada_{SLUG} (1).ipynb", "collected")
    found = there(opened, "ada")
    assert json.loads(found.pop(".collected.json")) == {"platform": "folder", "upload": None}
    stamp = b"2026-12-07 22:59:00.000000 UTC"
    assert found == {f"{SLUG}.ipynb": NOTEBOOK, "journal.jsonl": journal, "timestamp.txt": stamp}
    folder = opened.root / "submitted" / "ada" / SLUG
    assert opened.coursedir.get_existing_timestamp(str(folder)) == DUE.replace(tzinfo=None)
    read = submissions.read(folder, opened.assignment(SLUG).released, SLUG)
    assert read.notebook is not None
    assert read.findings == ()
    again = collect.collect(opened, SLUG, tmp_path / "export")
    assert only(again).status == "unchanged"


# Which, and when ----------------------------------------------------------------------------------------------------


def test_of_uploads_the_last_counts_by_the_platforms_number(opened, tmp_path):
    uploads = {f"lovelaceada_4711_{number}_{SLUG}{again}.ipynb": f"{number}".encode() for number, again in
               ((90, "-1"), (1000, "-3"), (999, "-2"))}  # fmt: skip
    line = only(collect.collect(opened, SLUG, export(tmp_path / "one", uploads)))
    assert (line.file, line.message) == (f"lovelaceada_4711_1000_{SLUG}-3.ipynb", "the last of 3")
    assert there(opened, "ada")[f"{SLUG}.ipynb"] == b"1000"
    older = export(tmp_path / "two", {f"lovelaceada_4711_999_{SLUG}.ipynb": b"999"}, DUE + datetime.timedelta(1))
    assert only(collect.collect(opened, SLUG, older)).status == "older"
    assert there(opened, "ada")[f"{SLUG}.ipynb"] == b"1000"


def test_without_a_number_the_last_counts_by_time(opened, tmp_path):
    export(tmp_path / "one", {f"ada/{SLUG}.ipynb": b"new"})
    early = DUE - datetime.timedelta(1)
    export(tmp_path / "one", {f"ada_{SLUG}.ipynb": b"old"}, early)
    assert only(collect.collect(opened, SLUG, tmp_path / "one")).file == f"ada/{SLUG}.ipynb"
    older = export(tmp_path / "two", {f"ada_{SLUG}.ipynb": b"old"}, early)
    line = only(collect.collect(opened, SLUG, older))
    assert (line.status, line.message) == ("older", "one of 2026-12-07 22:59:00 UTC is there")
    assert there(opened, "ada")[f"{SLUG}.ipynb"] == b"new"
    newer = export(tmp_path / "three", {"ada.ipynb": b"newest"}, DUE + datetime.timedelta(1))
    assert only(collect.collect(opened, SLUG, newer)).status == "collected"
    assert there(opened, "ada")[f"{SLUG}.ipynb"] == b"newest"


def test_two_of_one_time_are_left_to_a_person_unless_they_are_the_same(opened, tmp_path):
    source = export(tmp_path / "export", {f"ada/{SLUG}.ipynb": b"one", f"ada_{SLUG}.ipynb": b"two"})
    line = only(collect.collect(opened, SLUG, source))
    assert line.status == "undecided"
    assert f"ada/{SLUG}.ipynb" in line.message
    assert there(opened, "ada") == {}
    export(source, {f"ada/{SLUG}.ipynb": b"two"})
    assert only(collect.collect(opened, SLUG, source)).status == "collected"


def test_a_submission_that_nbgrader_collected_is_not_written_over_by_an_older_one(opened, tmp_path):
    folder = opened.root / "submitted" / "ada" / SLUG
    export(folder, {f"{SLUG}.ipynb": b"there", "timestamp.txt": b"2026-12-08 01:00:00.000000 CET"})
    source = export(tmp_path / "export", {f"ada_{SLUG}.ipynb": b"older"})
    assert only(collect.collect(opened, SLUG, source)).status == "older"
    (folder / "timestamp.txt").write_text("when it was ready")
    os.utime(folder / f"{SLUG}.ipynb", (DUE.timestamp() + 1,) * 2)
    assert only(collect.collect(opened, SLUG, source)).status == "older"
    assert (folder / f"{SLUG}.ipynb").read_bytes() == b"there"


def test_a_file_of_another_name_is_taken_where_there_is_no_other(opened, tmp_path):
    source = export(tmp_path / "export", {"ada/homework.ipynb": b"homework"})
    assert only(collect.collect(opened, SLUG, source)).status == "collected"
    export(source, {f"ada/{SLUG}.ipynb": NOTEBOOK}, DUE + datetime.timedelta(1))
    export(source, {"ada/homework.ipynb": b"homework"}, DUE + datetime.timedelta(2))
    collect.collect(opened, SLUG, source)
    assert there(opened, "ada")[f"{SLUG}.ipynb"] == NOTEBOOK


@pytest.mark.parametrize(
    ("name", "written", "stamp"),
    [
        # Canvas knows who was late, and by its files' times nobody knows when.
        (f"lovelaceada_LATE_4711_1_{SLUG}.ipynb", -5, "2026-12-07 22:59:01"),
        (f"lovelaceada_LATE_4711_1_{SLUG}.ipynb", 5, "2026-12-08 03:59:00"),
        (f"lovelaceada_4711_1_{SLUG}.ipynb", 5, "2026-12-07 22:59:00"),
        (f"lovelaceada_4711_1_{SLUG}.ipynb", -5, "2026-12-07 17:59:00"),
        (f"Week 1_ada_attempt_2026-12-09-14-03-22_{SLUG}.ipynb", -5, "2026-12-09 13:03:22"),  # the course is in CET
        (f"Ada Lovelace_1_assignsubmission_file_/{SLUG}.ipynb", 5, "2026-12-08 03:59:00"),
    ],
)
def test_when_it_was_handed_in(opened, tmp_path, name, written, stamp):
    source = export(tmp_path / "export", {name: NOTEBOOK}, DUE + datetime.timedelta(hours=written))
    assert only(collect.collect(opened, SLUG, source)).status == "collected"
    assert there(opened, "ada")["timestamp.txt"].decode() == f"{stamp}.000000 UTC"


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")  # nbgrader's, at a learner's first submission
def test_a_late_submission_is_late_for_nbgrader(opened, tmp_path):
    source = export(tmp_path / "export", {f"ada_{SLUG}.ipynb": NOTEBOOK}, DUE + datetime.timedelta(seconds=90))
    collect.collect(opened, SLUG, source)
    folder = opened.root / "submitted" / "ada" / SLUG
    with opened.book() as book:
        stamp = opened.coursedir.get_existing_timestamp(str(folder))
        assert book.update_or_create_submission(SLUG, "ada", timestamp=stamp).total_seconds_late == 90


# Zips ---------------------------------------------------------------------------------------------------------------

ADA = f"lovelaceada_4711_1_{SLUG}.ipynb"


def collected(opened: driver.Course, source: Path) -> dict[str, str]:
    return statuses(collect.collect(opened, SLUG, source))


def test_a_zip_is_read_as_a_folder(opened, tmp_path):
    source = zipped(
        tmp_path / "export.zip", {f"export/Benoît de la Tour_7_assignsubmission_file_/{SLUG}.ipynb": NOTEBOOK}
    )
    [status] = collected(opened, source).values()
    assert status == "collected"
    assert there(opened, "ben")["timestamp.txt"] == b"2026-12-07 11:00:00.000000 UTC"  # noon in CET
    assert {path.name for path in (opened.root / "submitted").rglob("*")} == {
        *("ben", SLUG, f"{SLUG}.ipynb", "timestamp.txt", ".collected.json")
    }


def test_a_zips_own_time_in_utc_is_used_where_it_has_one(opened, tmp_path):
    extra = struct.pack("<HHBi", 0x5455, 5, 1, int(DUE.timestamp()) - 7)
    zipped(tmp_path / "export.zip", {f"ada_{SLUG}.ipynb": NOTEBOOK}, extra=extra)
    collected(opened, tmp_path / "export.zip")
    assert there(opened, "ada")["timestamp.txt"] == b"2026-12-07 22:58:53.000000 UTC"


def test_a_zip_without_times_has_none(opened, tmp_path):
    zipped(tmp_path / "export.zip", {f"ada_{SLUG}.ipynb": NOTEBOOK}, date_time=(1980, 1, 1, 0, 0, 0))
    line = only(collect.collect(opened, SLUG, tmp_path / "export.zip"))
    assert (line.status, line.message) == ("collected", "its time is not known, and it does not count as late")
    assert "timestamp.txt" not in there(opened, "ada")


def test_names_in_utf8_that_do_not_say_so_are_understood(opened, tmp_path):
    name = f"Benoît de la Tour/{SLUG}.ipynb"
    zipped(tmp_path / "export.zip", {"B" * len(name.encode()): NOTEBOOK})
    content = (tmp_path / "export.zip").read_bytes().replace(b"B" * len(name.encode()), name.encode())
    (tmp_path / "export.zip").write_bytes(content)
    assert list(collected(opened, tmp_path / "export.zip").items()) == [(name, "collected")]


def encrypted(content: bytes) -> bytes:
    """Set the flag, in the entry and in the directory."""
    at, in_directory = content.index(b"PK\x03\x04") + 6, content.index(b"PK\x01\x02") + 8
    for place in (at, in_directory):
        content = content[:place] + bytes([content[place] | 1]) + content[place + 1 :]
    return content


def flipped(content: bytes) -> bytes:
    """Change a byte of the first entry's data."""
    at = content.index(ADA.encode()) + len(ADA) + 20
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


@pytest.mark.parametrize(("edit", "says"), [(encrypted, "it is encrypted"), (flipped, "it is damaged in the zip")])
def test_one_bad_entry_costs_nobody_else_anything(opened, tmp_path, edit, says):
    source = zipped(tmp_path / "export.zip", {ADA: NOTEBOOK, f"delatourbenoît_4712_2_{SLUG}.ipynb": NOTEBOOK})
    source.write_bytes(edit(source.read_bytes()))
    lines = {line.learner: line for line in collect.collect(opened, SLUG, source)}
    assert (lines["ada"].status, lines["ben"].status) == ("unreadable", "collected")
    assert lines["ada"].message.startswith(says)
    assert there(opened, "ada") == {}


def test_nothing_leaves_the_course_and_no_link_is_followed(opened, tmp_path):
    source = zipped(tmp_path / "export.zip", {f"../../ada/{SLUG}.ipynb": NOTEBOOK, f"/ben/{SLUG}.ipynb": NOTEBOOK})
    assert set(collected(opened, source).values()) == {"unreadable"}
    link = zipped(tmp_path / "link.zip", {ADA: b"/etc/passwd"}, external_attr=(stat.S_IFLNK | 0o777) << 16)
    assert collected(opened, link) == {ADA: "unreadable"}
    (tmp_path / "folder").mkdir()
    (tmp_path / "secret").write_bytes(NOTEBOOK)
    (tmp_path / "folder" / ADA).symlink_to(tmp_path / "secret")
    (tmp_path / "folder" / "ben").symlink_to(tmp_path)
    assert collected(opened, tmp_path / "folder") == {ADA: "unreadable"}
    (opened.root / "submitted").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (opened.root / "submitted" / "ada").symlink_to(tmp_path / "elsewhere")
    assert collected(opened, zipped(tmp_path / "good.zip", {ADA: NOTEBOOK})) == {ADA: "unreadable"}
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_is_too_large_is_not_read(opened, tmp_path, monkeypatch):
    read = []
    real = zipfile.ZipExtFile.read
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda self, n=-1: read.append(n) or real(self, n))
    monkeypatch.setattr(exports, "MOST_BYTES", 1_000_000)
    source = zipped(tmp_path / "export.zip", {ADA: bytes(3_000_000)})
    line = only(collect.collect(opened, SLUG, source))
    assert (line.status, line.message) == ("unreadable", "it has more than 1 MB")
    assert read == [1_000_001]
    monkeypatch.setattr(exports, "MOST_ENTRIES", 1)
    both = {ADA: NOTEBOOK, "ben.ipynb": NOTEBOOK}
    for source in (zipped(tmp_path / "many.zip", both), export(tmp_path / "many", both)):
        with pytest.raises(Unreadable, match=r"has (2 names|more than 1 files)"):
            collect.collect(opened, SLUG, source)


@pytest.mark.parametrize("content", [b"", b"not a zip", zlib.compress(b"not a zip"), b"PK\x05\x06" + bytes(10)])
def test_what_is_no_zip_is_said_to_be_none(opened, tmp_path, content):
    (tmp_path / "export.zip").write_bytes(content)
    with pytest.raises(Unreadable, match=r"^export.zip is no zip that can be read"):
        collect.collect(opened, SLUG, tmp_path / "export.zip")


def test_a_zip_in_the_export_is_listed(opened, tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr(f"{SLUG}.ipynb", NOTEBOOK)
    source = export(tmp_path / "export", {"lovelaceada_4711_1_work.zip": inner.getvalue()})
    assert collected(opened, source) == {"lovelaceada_4711_1_work.zip": "unreadable"}


# The command --------------------------------------------------------------------------------------------------------


def test_the_command_says_what_a_person_has_to_see_to(opened, tmp_path):
    def call(source: Path, slug: str = SLUG):
        return CliRunner().invoke(course_app, ["collect", slug, str(source), "--course", str(opened.root), "--json"])

    done = call(export(tmp_path / "good", {f"ada_{SLUG}.ipynb": NOTEBOOK}))
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert rows[0] == {"learner": "ada", "file": f"ada_{SLUG}.ipynb", "status": "collected", "message": ""}
    assert [row["learner"] for row in rows if row["status"] == "missing"] == ["ben", "cleo", "li_w", "wei"]
    assert call(export(tmp_path / "bad", {f"nobody_{SLUG}.ipynb": NOTEBOOK})).exit_code == 1
    for refused in (call(tmp_path / "nothing"), call(tmp_path / "good", "no_puzzle")):
        assert (refused.exit_code, refused.stdout) == (2, "")
    assert not set(folders.slugs(ROOT)) & {"no_puzzle"}
