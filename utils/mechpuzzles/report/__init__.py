"""What a class understood and misunderstood, as one document of plain data.

``document(course)`` is what `mechpuzzles report --json` prints and what the page is made of:

- ``course``, ``made`` (when), ``anonymous``, ``left_out`` (assignments that are not in it)
- ``puzzles``: in the order of the series ``{slug, title, principle, points, handed_in, parts, predictions}``; a part is
  ``{name, points, outcomes, graded, right, rate, low, high, discrimination, symptoms, log}``: ``outcomes`` counts the
  learners by outcome, ``rate`` is right of graded with a Wilson interval of 95 % (null where none is graded),
  ``discrimination`` the point-biserial correlation of being right with the learner's points for all other parts (null
  where the class is too small, or where all or none are right), ``symptoms`` is ``[{name, sentence, learners}]`` of
  the wrong answers, most frequent first, and ``log`` is ``{learners, attempts, minutes, hints}``, medians of those who
  shared their log, or null; a prediction is ``{name, guesses, bars: [{label, learners, right}], sure, truth, source,
  right, share}``, with ``source`` "puzzle" or "logs" or null where no truth is known
- ``learners``: by points, the most first, ``{learner, name, points, max_points, right, handed_in, parts}``, where
  ``parts`` is ``{slug: {part: {outcome, symptom, points, attempts, minutes, hints}}}``, the last three from a log
- ``stuck``: ``[{learner, puzzle, part, outcome, sentence, behind, attempts}]``, who is furthest behind first
- ``teach``: ``{rule, things: [{puzzle, part, points, symptom, sentence, principle, learners, graded, cost}]}``
- ``values``: ``{shared: [{learner, puzzle, part, owners, chance}], compared: [{puzzle, part, learners, of}]}``
- ``waits``: ``{texts: [{puzzle, text, learners}], submissions: [{learner, puzzle, status, message}]}``

``page(document)`` is the page, one file of HTML; ``table(document)`` the CSV, a row for each learner and part.
"""

from mechpuzzles.report.contents import document
from mechpuzzles.report.pages import page
from mechpuzzles.report.tables import table

__all__ = ["document", "page", "table"]
