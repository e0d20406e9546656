"""DeepLabCut's tables: header rows scorer, (individuals,) bodyparts, coords; x, y, likelihood.

A blank cell is a missing point.
"""

from __future__ import annotations

import numpy as np

from ..errors import FitError
from .records import ONLY_PERSON, Clip, Frame, Person
from .tables import Table, frame_label

_HEADER_ROWS = ("scorer", "individuals", "bodyparts", "coords")
_COORDINATES = {"x": 0, "y": 1, "likelihood": 2}


def claims(table: Table) -> bool:
    """Whether the table begins with DeepLabCut's header."""
    return table.header()[0] == "scorer"


def read(table: Table) -> Clip:
    """Frames by the first column: a number, or the picture's path. FitError for a wrong header or row.

    The individuals of a multi-animal file are tracks. A file without likelihoods (labelled by hand) is sure.
    """
    titles = {row[0].strip().lower(): row for row in table.rows[:4]}
    if "bodyparts" not in titles or "coords" not in titles:
        raise FitError(f"{table.where(0)}: DeepLabCut's header is scorer, bodyparts, coords, a row each.")
    if len({len(row) for row in titles.values()}) > 1:
        raise FitError(f"{table.where(0)}: the header's rows have different numbers of cells.")
    first = sum(name in titles for name in _HEADER_ROWS)
    coords = titles["coords"]
    columns = [c for c, word in enumerate(coords) if word.strip().lower() in _COORDINATES]
    kinds = [_COORDINATES[coords[c].strip().lower()] for c in columns]
    parts = [titles["bodyparts"][c].strip() for c in columns]
    individuals = [titles["individuals"][c].strip() if "individuals" in titles else "" for c in columns]
    names = tuple(dict.fromkeys(parts))
    if not names:
        raise FitError(f"{table.where(first - 1)} names no column x or y.")
    who = tuple(dict.fromkeys(individuals))
    at = [(who.index(i), names.index(p), k) for i, p, k in zip(individuals, parts, kinds, strict=True)]
    targets = tuple(np.array(index) for index in zip(*at, strict=True))
    sure = np.nan if 2 in kinds else 1.0
    frames = []
    for row in range(first, len(table.rows)):
        points = np.full((len(who), len(names), 3), np.nan)
        points[..., 2] = sure
        points[targets] = table.floats(row, columns)
        people = [Person(points[i], table.where(row), name or ONLY_PERSON) for i, name in enumerate(who)]
        # An index of several columns (folder, video, picture) ends in the picture's name.
        label = frame_label(table.cell(row, columns[0] - 1) or table.cell(row, 0))
        frames.append(Frame(label, tuple(people)))
    return Clip("DeepLabCut CSV", tuple(frames), names=names)
