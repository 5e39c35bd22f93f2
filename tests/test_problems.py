"""The catalogue of open problems, and what leads into it."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mechpuzzles import build, folders, problems
from mechpuzzles.cli import app

ROOT = Path(__file__).parents[1]
PUZZLES = [folders.declared(ROOT, slug) for slug in folders.slugs(ROOT)]
NEEDS = {
    "models": {"none", "toy", "small", "medium", "large", "vision", "policy", "diffusion"},
    "data": {"none", "synthetic", "prompts", "text", "code", "images", "games", "training checkpoints"},
    "compute": {"laptop", "one GPU", "many GPUs"},
}


def listed(*arguments: str) -> list[dict]:
    done = CliRunner().invoke(app, ["problems", *arguments, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_the_catalogue_is_whole():
    rows = listed()
    assert Counter(row["id"].split(".")[0] for row in rows) == dict(
        zip("123456789", (23, 38, 33, 45, 38, 59, 18, 22, 63), strict=True)
    )
    assert len({row["id"] for row in rows}) == len({row["title"] for row in rows}) == 339
    assert len({row["category"] for row in rows}) == 9
    numbers = [[int(part) for part in row["id"].split(".")] for row in rows]
    assert numbers == sorted(numbers)
    for row in rows:
        assert 5 <= len(row["title"].split()) <= 16, row
        for need, words in NEEDS.items():
            found = row["needs"][need] if need != "compute" else [row["needs"][need]]
            assert found
            assert set(found) <= words, row


def test_each_puzzle_is_where_it_leads():
    rows = {row["id"]: row for row in listed()}
    for puzzle in PUZZLES:
        for number, part in puzzle.problems.items():
            assert {"slug": puzzle.slug, "part": part} in rows[number]["puzzles"]
    assert sum(len(row["puzzles"]) for row in rows.values()) == sum(len(puzzle.problems) for puzzle in PUZZLES)


def test_one_category_and_what_is_uncovered():
    assert {row["id"].split(".")[0] for row in listed("--category", "6")} == {"6"}
    covered = {row["id"] for row in listed() if row["puzzles"]}
    assert {row["id"] for row in listed("--uncovered")} == {row["id"] for row in listed()} - covered
    assert CliRunner().invoke(app, ["problems", "--category", "10"]).exit_code == 2
    shown = CliRunner().invoke(app, ["problems", "--category", "9"], env={"COLUMNS": "200"}).stdout
    assert f"63 problems; a puzzle leads into {sum(number.startswith('9.') for number in covered)} of them" in shown


def test_a_notebook_ends_in_what_it_leads_into():
    for puzzle in PUZZLES:
        last = build.assemble(ROOT, puzzle.slug).cells[-1]
        assert (last.id == build.FURTHER) == bool(puzzle.problems)
        for number, part in puzzle.problems.items():
            assert f"- **{number}** {problems.catalogue()[number].title} (`{part}`)" in last.source


def test_the_index_has_every_problem_under_its_category():
    table, *categories = problems.page(PUZZLES)
    assert table.count("\n| ") == 10  # the head and nine
    assert len(categories) == 9
    for problem in problems.catalogue().values():
        assert f"\n- {problem.id} {problem.title}" in categories[problem.number - 1]


def test_a_puzzle_leads_to_problems_and_parts_that_there_are():
    with pytest.raises(ValueError, match=r"leads into problem '6\.1 8', which is not in the list"):
        problems.steps([replace(PUZZLES[0], problems={"6.1 8": PUZZLES[0].parts[0].name})])
    with pytest.raises(ValueError, match="problems lead to parts that there are not: nowhere"):
        replace(PUZZLES[0], problems={"6.18": "nowhere"})
