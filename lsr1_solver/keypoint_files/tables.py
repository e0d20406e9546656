"""Tables of keypoints as text: rows with their line numbers, and where columns hold which coordinate."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import FitError
from .records import Json, numbers

_COORDINATES = {
    "x": 0, "y": 1, "z": 2, "visibility": 3, "vis": 3, "v": 3, "likelihood": 3, "confidence": 3, "conf": 3,
    "score": 3, "c": 3, "presence": 3,
}  # fmt: skip
_WORDS = "|".join(sorted(_COORDINATES, key=len, reverse=True))
_NAME_FIRST = re.compile(rf"(.+?)[ _.\-]+({_WORDS})", re.IGNORECASE)  # L0_x, LEFT_WRIST_visibility
_COORDINATE_FIRST = re.compile(rf"({_WORDS})[ _.\-]*(\d+)", re.IGNORECASE)  # x1, y1, z1, v1
FRAME_COLUMNS = (
    "frame", "frame_number", "frame_no", "frame_id", "frame_idx", "frame_index", "frame_num", "iter",
    "framenumber", "frameid", "frameindex", "image", "filename", "file_name", "index", "unnamed: 0", "",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of cells. ``lines`` [N] the line of the file that each row ends on; ``place`` the file's name."""

    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    place: str

    def where(self, row: int) -> str:
        """The place of a row, for error messages."""
        return f"{self.place}, line {self.lines[row]}"

    def header(self) -> tuple[str, ...]:
        """The first row in small letters, without blanks round the words."""
        return tuple(cell.strip().lower() for cell in self.rows[0])

    def cell(self, row: int, column: int) -> str:
        """The text of a cell. FitError where the row is too short."""
        cells = self.rows[row]
        if len(cells) <= column:
            raise FitError(f"{self.where(row)} has {len(cells)} cells; {len(self.rows[0])} are right.")
        return cells[column]

    def floats(self, row: int, columns: Sequence[int]) -> np.ndarray:
        """Numbers of a row, NaN for blanks. FitError where the row is too short or holds other text."""
        cells = self.rows[row]
        if len(cells) <= max(columns):
            raise FitError(f"{self.where(row)} has {len(cells)} cells; {len(self.rows[0])} are right.")
        values: list[Json] = [cells[c] for c in columns]
        return numbers(values, self.where(row))


def parse(text: str, place: str) -> Table:
    """The cells of a text with commas, semicolons or tabs. Lines without any content are left out."""
    first = text.lstrip().split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    rows, lines = [], []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append(tuple(row))
                lines.append(reader.line_num)
    except csv.Error as error:
        raise FitError(f"{place}, line {reader.line_num}: no table ({error}).") from error
    if not rows:
        raise FitError(f"{place} is a table without content; rows of keypoints are right.")
    return Table(tuple(rows), tuple(lines), place)


def coordinate_columns(header: Sequence[str]) -> dict[str, list[int | None]]:
    """For each keypoint name in the header its columns of x, y, z and confidence, None where absent.

    Names are as in the file, in small letters; only those with x and y.
    """
    found: dict[str, list[int | None]] = {}
    for column, title in enumerate(header):
        if match := _NAME_FIRST.fullmatch(title):
            name, word = match[1], match[2]
        elif match := _COORDINATE_FIRST.fullmatch(title):
            name, word = match[2], match[1]
        else:
            continue
        columns = found.setdefault(name, [None] * 4)
        kind = _COORDINATES[word.lower()]
        # Where both are there, visibility stands before presence.
        if columns[kind] is None:
            columns[kind] = column
    return {name: c for name, c in found.items() if c[0] is not None and c[1] is not None}


def frame_column(header: Sequence[str]) -> int | None:
    """The column with frame numbers, None where there is none."""
    return next((header.index(name) for name in FRAME_COLUMNS if name in header), None)


def frame_label(cell: str) -> int | str:
    """A frame's number, or the picture's name."""
    text = cell.strip()
    if re.fullmatch(r"\d+(\.0*)?", text):
        return int(text.split(".")[0])
    return text
