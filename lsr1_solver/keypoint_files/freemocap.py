"""FreeMoCap's tables of 3D keypoints in millimetres: wide (``body_nose_x``) or long (a row a keypoint).

They become metres in the capture's own axes. There is no picture: the 2D keypoints are missing.
"""

from __future__ import annotations

import numpy as np

from ..errors import FitError
from ..keypoint_formats import BLAZEPOSE_33
from .mediapipe_csv import landmark_indices
from .records import ONLY_PERSON, Clip, Frame, Person
from .tables import Table, coordinate_columns, frame_column, frame_label

FAMILY = "FreeMoCap CSV"
_METRES = 1e-3


def claims(table: Table) -> bool:
    """Whether the header is of one of FreeMoCap's layouts."""
    header = set(table.header())
    return {"keypoint", "x", "y", "z", "reprojection_error"} <= header or "body_nose_x" in header


def read(table: Table) -> Clip:
    """The body's keypoints; hands, face and centre of mass are left out. FitError for a bad row."""
    header = table.header()
    frames = _long(table, header) if "keypoint" in header else _wide(table, header)
    return Clip(FAMILY, tuple(frames), {33: BLAZEPOSE_33})


def _wide(table: Table, header: tuple[str, ...]) -> list[Frame]:
    columns = {n: c for n, c in coordinate_columns(header).items() if n.startswith("body_")}
    indices = landmark_indices(list(columns))
    if indices is None or any(c[2] is None for c in columns.values()):
        raise FitError(f"{table.where(0)}: body_<name>_x, _y and _z with BlazePose's names are right.")
    used = [(indices[n], kind, c) for n, cs in columns.items() for kind, c in enumerate(cs[:3])]
    keypoints, kinds = [u[0] for u in used], [u[1] for u in used]
    cells = [c for _, _, c in used if c is not None]
    frame_at = frame_column(header)
    frames = []
    for row in range(1, len(table.rows)):
        points = np.full((33, 3), np.nan)
        points[keypoints, kinds] = table.floats(row, cells)
        label = row - 1 if frame_at is None else frame_label(table.cell(row, frame_at))
        frames.append(Frame(label, (_person(points, table.where(row)),)))
    return frames


def _long(table: Table, header: tuple[str, ...]) -> list[Frame]:
    frame_at = frame_column(header)
    if frame_at is None:
        raise FitError(f"{table.where(0)} has a row a keypoint and no column named frame.")
    name_at = header.index("keypoint")
    model_at = header.index("model") if "model" in header else None
    columns = [header.index(axis) for axis in "xyz"]
    found: dict[int | str, np.ndarray] = {}
    for row in range(1, len(table.rows)):
        values, name = table.floats(row, columns), table.cell(row, name_at).strip().lower()
        points = found.setdefault(frame_label(table.cell(row, frame_at)), np.full((33, 3), np.nan))
        if model_at is not None and "body" not in table.cell(row, model_at):
            continue
        index = landmark_indices([name])
        if index is None:
            raise FitError(f"{table.where(row)} names the keypoint {name!r}; BlazePose has none.")
        points[next(iter(index.values()))] = values
    return [Frame(label, (_person(points, table.place),)) for label, points in found.items()]


def _person(millimetres: np.ndarray, place: str) -> Person:
    points = np.hstack([millimetres * _METRES, np.ones((33, 1))])
    return Person(np.zeros((33, 3)), place, ONLY_PERSON, points)
