"""Body models of files, read once: the open body, or a user's SMPL file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import bpy
import numpy as np

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


# Vertices so near to the lowest one are the soles.
_SOLE = 0.02  # metres


@lru_cache(maxsize=4)
def sole_heights(body: BodyModel) -> tuple[float, np.ndarray]:
    """How far below the solver's origin the soles are, and what each component [S] adds to it, metres.

    Our armatures stand on their origin, whatever their stature.
    """
    height = body.v_template[:, 1]
    soles = height < height.min() + _SOLE
    return -float(height.min()), -body.shapedirs[soles, 1].mean(axis=0)


def soles(body: BodyModel, betas: np.ndarray) -> float:
    """How far below the solver's origin the soles of a shape [S'] are, metres."""
    base, change = sole_heights(body)
    count = min(len(betas), len(change))
    return base + float(change[:count] @ np.asarray(betas)[:count])
