"""MediaPipe's pose landmarks as tables, in the layouts that people write them.

Wide (``L0_x, L0_y, ..``; ``nose_x, ..``; ``x1, y1, ..``), long (frame, id, x, y), cells that hold
"[x, y]", and bare numbers without a header; with or without a column of frame numbers; fractions of
the picture or pixels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from ..errors import FitError
from ..keypoint_formats import BLAZEPOSE_33
from .records import ONLY_PERSON, Clip, Frame, Person, track_id
from .tables import Table, coordinate_columns, frame_column, frame_label

FAMILY = "MediaPipe CSV"
FORMATS_BY_COUNT = {33: BLAZEPOSE_33}
_LANDMARK_NUMBER = re.compile(r"(?:l|lm|landmark|kp|keypoint|point|joint|p)?[ _]*(\d+)")
_CELL_NUMBER = re.compile(r"[-+]?(?:nan|inf|\d+\.?\d*(?:e[-+]?\d+)?|\.\d+)", re.IGNORECASE)
_ID_COLUMNS = ("landmarkid", "landmark_id", "landmark", "id", "keypoint_id", "point", "joint", "keypoint")
_PERSON_COLUMNS = ("person", "person_id", "pose_id", "track_id")
_CONFIDENCE_COLUMNS = ("visibility", "confidence", "score", "likelihood", "presence", "v")


def read(table: Table) -> Clip | None:
    """The clip of a table of landmarks, None where the table isn't one. FitError for a bad row."""
    header = table.header()
    if any(name in header for name in _ID_COLUMNS) and "x" in header and "y" in header:
        return _clip(_long(table, header))
    if columns := coordinate_columns(header):
        return _wide(table, header, columns)
    if any(cell.strip().startswith(("[", "(")) for row in table.rows[1:2] for cell in row):
        return _clip(_cells(table, header))
    if all(re.fullmatch(_CELL_NUMBER, cell.strip()) or not cell.strip() for cell in table.rows[0]):
        return _clip(_bare(table))
    return None


def _clip(frames: list[Frame], names: tuple[str, ...] = ()) -> Clip:
    return Clip(FAMILY, tuple(frames), FORMATS_BY_COUNT, names)


def landmark_indices(names: list[str]) -> Mapping[str, int] | None:
    """BlazePose's index of each name (numbers from 0, or from 1 to 33), None where one is no name of its."""
    numbered = [_LANDMARK_NUMBER.fullmatch(name) for name in names]
    if names and all(numbered):
        values = [int(match[1]) for match in numbered if match]
        start = 1 if max(values) == 33 and min(values) == 1 else 0
        found = {name: value - start for name, value in zip(names, values, strict=True)}
        return found if max(found.values()) < 33 else None
    plain = {name: re.sub(r"[ \-]+", "_", name).removeprefix("pose_").removeprefix("body_") for name in names}
    # Its own names of the mouth are the only ones with the side behind.
    plain = {name: re.sub(r"^(left|right)_mouth$", r"mouth_\1", word) for name, word in plain.items()}
    if not plain or not all(word in BLAZEPOSE_33.names for word in plain.values()):
        return None
    return {name: BLAZEPOSE_33.names.index(word) for name, word in plain.items()}


def _wide(table: Table, header: tuple[str, ...], columns: dict[str, list[int | None]]) -> Clip:
    """A row a frame. Names that are not BlazePose's make a format of their own."""
    indices = landmark_indices(list(columns))
    names = () if indices else tuple(columns)
    places = indices or {name: i for i, name in enumerate(columns)}
    used = [(places[n], kind, c) for n, cs in columns.items() for kind, c in enumerate(cs) if c is not None]
    keypoints, kinds, cells = (list(part) for part in zip(*used, strict=True))
    frame_at = frame_column(header)
    blank = np.full((len(names) or 33, 4), np.nan)
    blank[[places[name] for name, cs in columns.items() if cs[3] is None], 3] = 1.0
    frames = []
    for row in range(1, len(table.rows)):
        points = blank.copy()
        points[keypoints, kinds] = table.floats(row, cells)
        label = row - 1 if frame_at is None else frame_label(table.cell(row, frame_at))
        frames.append(Frame(label, (Person(points[:, [0, 1, 3]], table.where(row), ONLY_PERSON),)))
    return _clip(frames, names)


def _long(table: Table, header: tuple[str, ...]) -> list[Frame]:
    """A row a landmark; landmarks without a row are missing."""
    id_at = header.index(next(name for name in _ID_COLUMNS if name in header))
    frame_at = frame_column(header)
    if frame_at is None:
        raise FitError(f"{table.place} has a row a landmark and no column named frame.")
    confidence_at = next((header.index(name) for name in _CONFIDENCE_COLUMNS if name in header), None)
    person_at = next((header.index(name) for name in _PERSON_COLUMNS if name in header), None)
    columns = [header.index("x"), header.index("y"), *([] if confidence_at is None else [confidence_at])]
    names = {row[id_at].strip().lower() for row in table.rows[1:] if len(row) > id_at}
    indices = landmark_indices(sorted(names))
    if indices is None:
        raise FitError(
            f"{table.place}, column {header[id_at]}: BlazePose's landmarks are 0 to 32, or its names."
        )
    found: dict[int | str, dict[str, np.ndarray]] = {}
    for row in range(1, len(table.rows)):
        values = (*table.floats(row, columns), 1.0)[:3]
        person = str(ONLY_PERSON) if person_at is None else table.cell(row, person_at).strip()
        people = found.setdefault(frame_label(table.cell(row, frame_at)), {})
        points = people.setdefault(person, np.full((33, 3), np.nan))
        index = indices[table.cell(row, id_at).strip().lower()]
        if not np.isnan(points[index, 2]):
            raise FitError(f"{table.where(row)} gives landmark {index} of its frame a second time.")
        points[index] = values
    return [
        Frame(label, tuple(Person(p, table.place, track_id(name)) for name, p in people.items()))
        for label, people in found.items()
    ]


def _cells(table: Table, header: tuple[str, ...]) -> list[Frame]:
    """A row a frame, a cell a landmark: "[x, y]", "[x, y, z, visibility]"; a blank cell is missing."""
    frame_at = frame_column(header)
    columns = [c for c in range(len(header)) if c != frame_at]
    indices = landmark_indices([header[c] for c in columns])
    if indices is None:
        raise FitError(f"{table.where(0)}: a cell a landmark needs columns 0 to 32, or BlazePose's names.")
    frames = []
    for row in range(1, len(table.rows)):
        points = np.full((33, 3), np.nan)
        for c in columns:
            cell = table.rows[row][c] if c < len(table.rows[row]) else ""
            values = [float(v) for v in _CELL_NUMBER.findall(cell)]
            if len(values) not in (0, 2, 3, 4):
                raise FitError(
                    f"{table.where(row)}, column {header[c]} holds {cell[:40]!r}; [x, y] is right."
                )
            if values:
                points[indices[header[c]]] = *values[:2], values[3] if len(values) == 4 else 1.0
        label = row - 1 if frame_at is None else frame_label(table.cell(row, frame_at))
        frames.append(Frame(label, (Person(points, table.where(row), ONLY_PERSON),)))
    return frames


def _bare(table: Table) -> list[Frame]:
    """Rows of 33 times x, y (z, visibility), perhaps with a frame number before them."""
    count = len(table.rows[0])
    size = next((s for s in (2, 3, 4) if count in (33 * s, 33 * s + 1)), None)
    if size is None:
        raise FitError(
            f"{table.where(0)} has {count} numbers and no header; 66, 99 or 132 (33 landmarks) are right."
        )
    lead = count - 33 * size
    frames = []
    for row in range(len(table.rows)):
        if len(table.rows[row]) != count:
            raise FitError(f"{table.where(row)} has {len(table.rows[row])} cells; {count} are right.")
        values = table.floats(row, range(lead, count)).reshape(33, size)
        shown = values[:, 3:] if size == 4 else np.ones((33, 1))
        label = frame_label(table.rows[row][0]) if lead else row
        points = np.hstack([values[:, :2], shown])
        frames.append(Frame(label, (Person(points, table.where(row), ONLY_PERSON),)))
    return frames
