"""nbgrader's configuration for this checkout and for courses that copy it: nbgrader as it is, configured."""

from pathlib import Path

from mechpuzzles.grading import feedback

c = get_config()  # noqa: F821 - nbgrader defines it

c.CourseDirectory.course_id = "mech-interp-puzzles"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "puzzles"

# nbgrader copies every file beside a notebook into the release: the percent text and the authors' file hold answers.
c.CourseDirectory.ignore = [
    ".ipynb_checkpoints",
    "*.pyc",
    "__pycache__",
    "feedback",
    "_author.py",
    *sorted(f"{folder.name}.py" for folder in Path(__file__).parent.glob("solutions/*/")),
]

# Without this, one warning on stderr in a test cell costs all of its points.
c.IgnorePattern.enabled = True
c.IgnorePattern.pattern = r"(?s)."

# A deleted check is put back and graded, instead of leaving the notebook ungraded.
c.OverwriteCells.add_missing_cells = True

# Loading a model on a busy machine takes longer than nbgrader's 30 seconds.
c.Execute.timeout = 120

# What a learner wrote is shown in feedback and formgrader, and nothing of it runs. Hidden tests are not shown.
feedback.configure(c)

# Marks that nobody has given yet are empty in the exported table, not 0.
c.ExportApp.plugin_class = "mechpuzzles.grading.export.MarksExportPlugin"
