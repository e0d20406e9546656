"""AMASS's ``.npz``, the pickles of SMPL motions that use its keys, and AIST++'s.

https://amass.is.tue.mpg.de: z up, SMPL-H's or SMPL-X's rotations. https://google.github.io/aistplusplus_dataset:
y up, SMPL's rotations, and places in units of ``smpl_scaling``, which the bodies are scaled by there.
Programs write files with AMASS's keys in y up, too, so the way up is not sure.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import FitError
from .records import OPEN_SHAPES, SMPL_SHAPES, Recording, Space, Track, betas_of, numbers, rotations_of

RATE_KEYS = ("mocap_framerate", "mocap_frame_rate", "fps")
# The shape in components of the open body; ``betas`` is SMPL's shape.
OPEN_BETAS = "open_body_betas"
KEYS = frozenset({"poses", "trans", "betas", OPEN_BETAS, *RATE_KEYS})
_AIST_RATE = 60.0


def claims_aist(document: Mapping[object, object]) -> bool:
    """Whether the dictionary has AIST++'s keys."""
    return {"smpl_poses", "smpl_trans"} <= document.keys()


def claims(document: Mapping[object, object]) -> bool:
    """Whether the dictionary has AMASS's keys."""
    return {"poses", "trans"} <= document.keys()


def read_aist(document: Mapping[object, object], place: str) -> Recording:
    """A dictionary of AIST++. FitError where something in it has a wrong shape."""
    scaling = numbers(document.get("smpl_scaling", 1.0), f"{place}: smpl_scaling", (1,)).item()
    if scaling <= 0:
        raise FitError(f"{place}: smpl_scaling is {scaling}; it should be positive.")
    trans = numbers(document["smpl_trans"], f"{place}: smpl_trans", (None, 3)) / scaling
    rotations = rotations_of(document["smpl_poses"], f"{place}: smpl_poses", len(trans))
    betas = betas_of(document.get("betas"), f"{place}: betas", len(trans))
    track = Track("person 1", rotations, trans, betas, np.arange(len(trans)))
    rate = frame_rate(document, place) if any(key in document for key in RATE_KEYS) else None
    return Recording("AIST++", Space("Y", (track,), up_is_sure=False), None, rate, _AIST_RATE)


def read(document: Mapping[object, object], place: str) -> Recording:
    """A dictionary under AMASS's keys. FitError where a key is absent or has a wrong shape."""
    for key in ("poses", "trans", "betas"):
        if key not in document:
            some = ", ".join(sorted(map(str, document))[:12])
            raise FitError(f"{place} has no {key}, so it is no AMASS motion. It has: {some}.")
    trans = numbers(document["trans"], f"{place}: trans", (None, 3))
    rotations = rotations_of(document["poses"], f"{place}: poses", len(trans))
    own = OPEN_BETAS in document
    key = OPEN_BETAS if own else "betas"
    betas = betas_of(document[key], f"{place}: {key}", len(trans))
    shapes = OPEN_SHAPES if own else SMPL_SHAPES
    track = Track("person 1", rotations, trans, betas, np.arange(len(trans)), shapes)
    return Recording("AMASS", Space("Z", (track,), up_is_sure=False), None, frame_rate(document, place))


def frame_rate(document: Mapping[object, object], place: str) -> float:
    """Frames a second. FitError where there is no rate or it is not positive."""
    key = next((k for k in RATE_KEYS if k in document), None)
    if key is None:
        raise FitError(f"{place} has no frame rate; one of {', '.join(RATE_KEYS)} is expected.")
    rate = numbers(document[key], f"{place}: {key}", (1,)).item()
    if rate <= 0:
        raise FitError(f"{place}: {key} is {rate}; it should be a positive number of frames a second.")
    return rate
