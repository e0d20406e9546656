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


@lru_cache(maxsize=4)
def joint_basis(body: BodyModel) -> tuple[np.ndarray, np.ndarray]:
    """The mean body's joints [24, 3] and their change with the betas [24, 3, S], metres."""
    return body.J_regressor @ body.v_template, np.einsum("jv,vcs->jcs", body.J_regressor, body.shapedirs)
