"""What the initializer sees: a fixed list of points, free of place and size, with the vectors between them.

Every keypoint format is arranged into the same slots; a slot without a point is missing, as a point that the
detector did not see is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from .arrays import Array, at_least, device, namespace

_LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_SIDES = ("left", "right")

# COCO's points, the feet's, and the two of BODY_25B: the landmark of the body that each slot holds.
INPUT_LANDMARKS: tuple[str, ...] = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    *(f"coco_{side}_{part}" for part in _LIMBS for side in _SIDES),
    *(f"{side}_{part}" for part in ("big_toe", "small_toe", "heel") for side in _SIDES),
    "head_top", "upper_neck",
)  # fmt: skip
SLOTS = len(INPUT_LANDMARKS)

# What else may fill a slot, the first that a format has: SMPL's joints stand within centimetres.
SUBSTITUTES: Mapping[str, tuple[str, ...]] = {
    **{f"coco_{side}_{part}": (f"{side}_{part}",) for part in _LIMBS for side in _SIDES},
    **{f"{side}_eye": (f"{side}_eye_outer", f"{side}_eye_inner") for side in _SIDES},
    **{f"{side}_big_toe": (f"{side}_foot",) for side in _SIDES},
    "upper_neck": ("neck",),
}

_CROSSBARS = (
    ("coco_left_shoulder", "coco_right_shoulder"),
    ("coco_left_hip", "coco_right_hip"),
    ("left_ear", "right_ear"),
    ("upper_neck", "nose"),
    ("upper_neck", "head_top"),
)
_SIDE_BONES = (
    ("coco_{}_shoulder", "coco_{}_hip"),
    ("coco_{}_shoulder", "coco_{}_elbow"),
    ("coco_{}_elbow", "coco_{}_wrist"),
    ("coco_{}_hip", "coco_{}_knee"),
    ("coco_{}_knee", "coco_{}_ankle"),
    ("coco_{}_ankle", "{}_big_toe"),
    ("{}_heel", "{}_big_toe"),
    ("{}_ear", "nose"),
    ("coco_{}_shoulder", "{}_ear"),
)
BONES: tuple[tuple[str, str], ...] = (
    *_CROSSBARS,
    *((a.format(side), b.format(side)) for a, b in _SIDE_BONES for side in _SIDES),
)
_ENDS = tuple(np.array([INPUT_LANDMARKS.index(bone[end]) for bone in BONES]) for end in (0, 1))
INPUT_SIZE = 3 * SLOTS + 1 + 6 * len(BONES)
# About the logarithm of a person's size on the image plane at five metres: the features lie around zero.
_TYPICAL_LOG_SCALE = -2.3


def input_slots(landmarks: Sequence[str]) -> np.ndarray:
    """Where each slot's point stands among a format's ``landmarks``, -1 where there is none. -> [25]."""
    return _input_slots(tuple(landmarks))


@lru_cache(maxsize=16)
def _input_slots(order: tuple[str, ...]) -> np.ndarray:
    found = np.full(SLOTS, -1)
    for slot, name in enumerate(INPUT_LANDMARKS):
        for candidate in (name, *SUBSTITUTES.get(name, ())):
            if candidate in order:
                found[slot] = order.index(candidate)
                break
    return found


def arrange_input(
    landmarks: Sequence[str], target: np.ndarray, confidence: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints of any format in the initializer's slots, with confidence 0 where a slot has no point.

    ``landmarks`` names of K landmarks of the body; ``target`` [B, K, 2]; ``confidence`` [B, K]. ->
    [B, 25, 2] and [B, 25].
    """
    slots = input_slots(landmarks)
    known = slots >= 0
    index = np.where(known, slots, 0)
    confidence = np.where(known, confidence[:, index], 0.0)
    return np.where((confidence > 0)[..., None], target[:, index], 0.0), confidence


def centre_and_spread(plane: Array, seen: Array) -> tuple[Array, Array]:
    """The mean [B, 1, 2] of the seen points and how far they spread about it, [B, 1, 1]."""
    xp = namespace(plane)
    count = at_least(xp.sum(seen, axis=1), 1.0)[:, None]
    centre = (xp.sum(seen[..., None] * plane, axis=1) / count)[:, None]
    points = (plane - centre) * seen[..., None]
    return centre, xp.sqrt(xp.sum(points * points, axis=(1, 2))[:, None] / count + 1e-12)[..., None]


def input_features(plane: Array, seen: Array) -> Array:
    """The network's input, on numpy or torch.

    ``plane`` [B, 25, 2] image-plane coordinates of the virtual camera, finite everywhere; ``seen`` [B, 25]
    1 or 0. -> [B, INPUT_SIZE]: points about their mean in units of their spread, which are seen, the
    logarithm of the spread, and for every bone its vector, direction, length, and whether both ends are seen.
    """
    xp = namespace(plane)
    centre, spread = centre_and_spread(plane, seen)
    points = (plane - centre) / spread * seen[..., None]
    start, end = (xp.asarray(ends, device=device(plane)) for ends in _ENDS)
    both = xp.take(seen, start, axis=1) * xp.take(seen, end, axis=1)
    vector = (xp.take(points, end, axis=1) - xp.take(points, start, axis=1)) * both[..., None]
    length = xp.sqrt(xp.sum(vector * vector, axis=-1) + 1e-8)
    unit = vector / length[..., None]
    batch = (plane.shape[0], -1)
    return xp.concat(
        [
            xp.reshape(points, batch),
            seen,
            xp.log(spread[..., 0]) - _TYPICAL_LOG_SCALE,
            xp.reshape(vector, batch),
            xp.reshape(unit, batch),
            length * both,
            both,
        ],
        axis=1,
    )
