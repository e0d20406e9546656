"""Body models of files, read once: the open body, or a user's SMPL file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import bpy

from ..lsr1_solver import BodyModel, load_body_model

SHAPE_COUNT = 10


def body_model(path: str = "") -> BodyModel:
    """The body of a file ("" is the open body; "//" begins at the .blend file). FitError if unreadable."""
    if not path:
        return _load(None, 0.0)
    absolute = bpy.path.abspath(path)
    changed = Path(absolute).stat().st_mtime if Path(absolute).is_file() else 0.0
    return _load(absolute, changed)


@lru_cache(maxsize=4)
def _load(path: str | None, changed: float) -> BodyModel:
    """``changed`` is the file's time: a file that was replaced is read again."""
    return load_body_model(path, shape_count=SHAPE_COUNT)
