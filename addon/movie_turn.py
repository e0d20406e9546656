"""Phones film lying and note in the file how to turn it. Blender before 4.4 doesn't look there."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import atan2, pi
from pathlib import Path
from typing import BinaryIO

import bpy

from .footage import content

_BOXES_INSIDE = {b"moov", b"trak"}
# From the beginning of a track's header to its matrix, by the header's version (ISO/IEC 14496-12, 8.3.2).
_MATRIX_AT = {0: 40, 1: 52}
_NEAR = 0.05  # radians
_BLENDER_TURNS = (4, 4, 0)


def quarter_turns(path: Path) -> int:
    """Quarter turns clockwise, 0 to 3, that show an MP4 or QuickTime movie upright; 0 for other files."""
    try:
        with path.open("rb") as file:
            headers = list(_track_headers(file, path.stat().st_size))
    except (OSError, struct.error):
        return 0
    for header in headers:
        at = _MATRIX_AT.get(header[0])
        if at is None or len(header) < at + 44:
            continue
        a, b = struct.unpack_from(">2i", header, at)
        if any(struct.unpack_from(">2i", header, at + 36)):  # a track of sound has no width and height
            return round(atan2(b, a) / (pi / 2)) % 4
    return 0


def turns_left(path: Path) -> int:
    """Quarter turns clockwise that a movie still needs where Blender shows it."""
    return 0 if bpy.app.version >= _BLENDER_TURNS else quarter_turns(path)


def show_turned(background: bpy.types.CameraBackgroundImage, turns: int) -> None:
    """Turn what a background shows, and let it fill the frame again."""
    width, height = content(background).size
    background.rotation = turns * pi / 2  # clockwise
    background.scale = max(width, height) / min(width, height) if turns % 2 else 1.0


def is_shown_upright(background: bpy.types.CameraBackgroundImage, path: Path) -> bool:
    """Whether a background turns its movie as the file says."""
    away = background.rotation - turns_left(path) * pi / 2
    return abs((away + pi) % (2 * pi) - pi) < _NEAR


def _track_headers(file: BinaryIO, end: int) -> Iterator[bytes]:
    """The contents of all boxes ``tkhd`` before ``end``."""
    while file.tell() + 8 <= end:
        begin = file.tell()
        size, kind = struct.unpack(">I4s", file.read(8))
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
        stop = end if size == 0 else min(begin + size, end)
        if stop < file.tell():
            return
        if kind in _BOXES_INSIDE:
            yield from _track_headers(file, stop)
        elif kind == b"tkhd":
            yield file.read(stop - file.tell())
        file.seek(stop)
