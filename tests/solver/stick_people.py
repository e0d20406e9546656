"""Stick people for the tests of keypoints: a pose by landmark, laid out in any format."""

import numpy as np

from lsr1_solver.keypoints import KeypointFormat

# Subject's left is at the right of the picture; parts of the person's height, y down.
_SIDE = {
    "shoulder": (0.11, -0.31), "elbow": (0.16, -0.14), "wrist": (0.18, 0.0), "hip": (0.06, 0.0),
    "knee": (0.07, 0.24), "ankle": (0.07, 0.47), "eye": (0.02, -0.46), "ear": (0.045, -0.45),
    "big_toe": (0.09, 0.52), "small_toe": (0.11, 0.52), "heel": (0.06, 0.5), "eye_inner": (0.012, -0.46),
    "eye_outer": (0.03, -0.46), "thumb_knuckle": (0.17, 0.03), "index_knuckle": (0.18, 0.05),
    "pinky_knuckle": (0.19, 0.05), "thumb_tip": (0.165, 0.05), "index_tip": (0.18, 0.08),
    "middle_tip": (0.185, 0.08), "ring_tip": (0.19, 0.08), "pinky_tip": (0.2, 0.07), "collar": (0.05, -0.32),
    "hand": (0.18, 0.04), "foot": (0.08, 0.5),
}  # fmt: skip
_MIDDLE = {
    "nose": -0.44, "coco_neck": -0.31, "coco_mid_hip": 0.0, "upper_neck": -0.36, "head_top": -0.53,
    "pelvis": -0.01, "spine1": -0.08, "spine2": -0.16, "spine3": -0.2, "neck": -0.33, "head": -0.4,
}  # fmt: skip


def landmark(name: str) -> tuple[float, float]:
    """x and y of a landmark, in parts of the person's height from the middle of the hips."""
    name = {"mouth_left": "left_mouth", "mouth_right": "right_mouth"}.get(name, name)
    if name in _MIDDLE:
        return 0.0, _MIDDLE[name]
    side, _, part = name.removeprefix("coco_").partition("_")
    x, y = {**_SIDE, "mouth": (0.015, -0.41)}[part]
    return (x if side == "left" else -x), y


def stick(layout: KeypointFormat, x: float, y: float, height: float, stride: float = 0.0) -> np.ndarray:
    """[K, 3] x, y in pixels and confidence 0.9 of a person who stands at x, y and faces us.

    ``stride`` spreads the legs and swings the arms against them, in parts of the height. Points that mark
    nothing on the body are missing.
    """
    points = np.zeros((len(layout), 3))
    for i, mark in enumerate(layout.joints):
        if mark is None:
            continue
        px, py = landmark(mark)
        sign = 1.0 if "left" in mark else -1.0 if "right" in mark else 0.0
        swing = sign * stride * (max(py, 0.0) - 0.3 * (abs(px) > 0.1 and py < 0.1))
        points[i] = x + height * (px + swing), y + height * py, 0.9
    return points
