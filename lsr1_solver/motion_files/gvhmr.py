"""GVHMR's results (``hmr4d_results.pt``): the first person of a video, in the world and before the camera.

https://github.com/zju3dv/GVHMR: ``smpl_params_global`` is y up, ``smpl_params_incam`` in camera axes, y down
and z away; the video is read at 30 frames a second. The betas are SMPL-X's, which begin nearly as SMPL's do.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import FitError
from .records import Recording, Space, Track, Up, betas_of, finite, numbers, rotations_of

_GLOBAL, _IN_CAMERA = "smpl_params_global", "smpl_params_incam"


def claims(document: Mapping[object, object]) -> bool:
    """Whether the dictionary has GVHMR's keys."""
    return _GLOBAL in document or _IN_CAMERA in document


def read(document: Mapping[object, object], place: str) -> Recording:
    """The person in both spaces. FitError where something has a wrong shape."""
    world, camera = _space(document, _GLOBAL, "Y", place), _space(document, _IN_CAMERA, "-Y", place)
    return Recording("GVHMR", world, camera, None)


def _space(document: Mapping[object, object], key: str, up: Up, place: str) -> Space | None:
    values = document.get(key)
    if values is None:
        return None
    if not isinstance(values, Mapping):
        raise FitError(f"{place}: {key} is no dictionary with body_pose, global_orient, transl and betas.")
    here = f"{place}: {key}"
    trans = numbers(values.get("transl"), f"{here}, transl", (None, 3))
    count = len(trans)
    root = numbers(values.get("global_orient"), f"{here}, global_orient", (count, 3))
    body = finite(values.get("body_pose"), f"{here}, body_pose")
    joints = numbers(body, f"{here}, body_pose", (count, max(body.size // count, 1)))
    rotations = rotations_of(np.concatenate([root, joints], axis=1), f"{here}, body_pose", count)
    betas = betas_of(values.get("betas"), f"{here}, betas", count)
    return Space(up, (Track("person 1", rotations, trans, betas, np.arange(count)),))
