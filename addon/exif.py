"""The few EXIF tags of a photo that a fit can use: which way is up, and the lens. Free of bpy.

JEITA CP-3451, *Exchangeable image file format for digital still cameras: Exif*, version 2.3.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_ORIENTATION, _EXIF_IFD = 0x0112, 0x8769
_FOCAL_LENGTH, _FOCAL_35MM = 0x920A, 0xA405
_PLANE_X_RESOLUTION, _PLANE_UNIT, _PIXEL_WIDTH, _PIXEL_HEIGHT = 0xA20E, 0xA210, 0xA002, 0xA003
_MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
# struct's letter and the number of values that one entry of each EXIF type has.
_TYPES = {1: "B", 3: "H", 4: "I", 5: "II", 6: "b", 8: "h", 9: "i", 10: "ii"}
_FIRST_BYTES = 1 << 18
# How to turn the pixels (rows from the top) upright: quarter turns counter-clockwise, then mirrored or not.
_UPRIGHT = {
    1: (0, False),
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (3, True),
    6: (3, False),
    7: (1, True),
    8: (1, False),
}


@dataclass(frozen=True)
class Exif:
    """``orientation`` 1 to 8 (1: upright). ``lens`` mm on a sensor ``sensor`` mm along the longer side."""

    orientation: int = 1
    lens: float | None = None
    sensor: float = 36.0


def read_exif(path: Path) -> Exif:
    """What a JPEG says; nothing where it is none, says nothing or is damaged there."""
    try:
        with path.open("rb") as file:
            tags = _tags(_exif_block(file.read(_FIRST_BYTES)))
    except (OSError, struct.error):
        return Exif()
    orientation = int(tags.get(_ORIENTATION, 1.0))
    lens, sensor = _lens(tags)
    return Exif(orientation if orientation in _UPRIGHT else 1, lens, sensor)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn pixels [H, W, C], rows from the top, as the orientation says."""
    turns, mirrored = _UPRIGHT[orientation]
    turned = np.rot90(pixels, turns)
    return turned[:, ::-1] if mirrored else turned


def _lens(tags: Mapping[int, float]) -> tuple[float | None, float]:
    equivalent = tags.get(_FOCAL_35MM, 0.0)
    if equivalent > 0:
        return equivalent, 36.0
    focal, resolution = tags.get(_FOCAL_LENGTH, 0.0), tags.get(_PLANE_X_RESOLUTION, 0.0)
    longer = max(tags.get(_PIXEL_WIDTH, 0.0), tags.get(_PIXEL_HEIGHT, 0.0))
    unit = _MM_PER_UNIT.get(int(tags.get(_PLANE_UNIT, 2.0)), 25.4)
    if focal > 0 and resolution > 0 and longer > 0:
        return focal, longer / resolution * unit
    return None, 36.0


def _exif_block(data: bytes) -> bytes:
    """The TIFF structure in a JPEG's APP1 segment; empty where there is none."""
    if data[:2] != b"\xff\xd8":
        return b""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = data[at + 4 : at + 2 + length]
        if data[at + 1] == 0xE1 and body[:6] == b"Exif\0\0":
            return body[6:]
        at += 2 + length
    return b""


def _tags(block: bytes) -> dict[int, float]:
    """The first number of every numeric tag of the picture's and the camera's directory."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return {}
    (first,) = struct.unpack_from(f"{order}I", block, 4)
    tags = _directory(block, order, first)
    if _EXIF_IFD in tags:
        tags.update(_directory(block, order, int(tags[_EXIF_IFD])))
    return tags


def _directory(block: bytes, order: str, at: int) -> dict[int, float]:
    tags: dict[int, float] = {}
    (count,) = struct.unpack_from(f"{order}H", block, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", block, entry)
        letters = _TYPES.get(kind)
        if letters is None:
            continue
        place = entry + 8
        if struct.calcsize(f"{order}{letters}") > 4:
            (place,) = struct.unpack_from(f"{order}I", block, place)
        values = struct.unpack_from(f"{order}{letters}", block, place)
        tags[tag] = values[0] / (values[1] or 1) if len(values) == 2 else float(values[0])
    return tags
