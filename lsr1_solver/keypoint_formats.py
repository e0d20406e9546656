"""The orders in which pose detectors and data sets list a person's keypoints.

Each table gives the keypoints' names as the format's users know them and, for each, the landmark of the body
that it marks (see ``BodyModel.landmarks``). Left is always the subject's left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType

from .body_model import SMPL_JOINT_NAMES, SMPL_PARENTS
from .errors import FitError


@dataclass(frozen=True, eq=False)
class KeypointFormat:
    """An order of K keypoints.

    ``names`` [K] as the format's users know them; ``edges`` pairs of keypoints to draw a line between;
    ``joints`` [K] the landmark of the body that each keypoint marks, None where the body has no such point.
    """

    name: str
    names: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    joints: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def mirror(self) -> tuple[int, ...]:
        """[K] the index of each keypoint's counterpart on the other side (its own index in the middle)."""
        index = {name: i for i, name in enumerate(self.names)}
        return tuple(index.get(_mirrored_name(name), i) for i, name in enumerate(self.names))

    def index(self, name: str) -> int:
        """Where the keypoint ``name`` stands. FitError where the format has no such point."""
        if name not in self.names:
            raise FitError(f"{self.name} has no keypoint {name!r}; it has {', '.join(self.names)}.")
        return self.names.index(name)


# Mirrored pairs of the 68 face points of iBUG 300-W (Sagonas et al. 2013), from the subject's right jaw on.
_FACE_PAIRS = (
    *((i, 16 - i) for i in range(8)), *((i, 43 - i) for i in range(17, 22)), (31, 35), (32, 34),
    (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46), (48, 54), (49, 53), (50, 52), (55, 59),
    (56, 58), (60, 64), (61, 63), (65, 67),
)  # fmt: skip
_FACE_MIRROR = {a: b for pair in _FACE_PAIRS for a, b in (pair, pair[::-1])}
_SIDES = {
    "left": "right", "right": "left", "Left": "Right", "Right": "Left", "L": "R", "R": "L",
    "l": "r", "r": "l",
}  # fmt: skip
_SIDE_WORD = re.compile(
    r"(?<![A-Za-z])([LlRr])(?![A-Za-z])|(?<![A-Za-z])([LR])(?=[A-Z])|(left|right|Left|Right)"
)


def _mirrored_name(name: str) -> str:
    if face := re.fullmatch(r"face_(\d+)", name):
        point = int(face[1])
        return f"face_{_FACE_MIRROR.get(point, point)}"
    return _SIDE_WORD.sub(lambda match: _SIDES[match[0]], name, count=1)


def _both(*names: str) -> tuple[str, ...]:
    """Each name for the left, then for the right side."""
    return tuple(f"{side}_{name}" for name in names for side in ("left", "right"))


_LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_TOES = ("big_toe", "small_toe", "heel")
# What a keypoint's name marks on the body. COCO's limb points are not quite SMPL's joints.
_MARKS: dict[str, str] = {
    "nose": "nose", "neck": "coco_neck", "mid_hip": "coco_mid_hip", "mouth_left": "mouth_left",
    "mouth_right": "mouth_right", "upper_neck": "upper_neck", "head_bottom": "upper_neck",
    "head_top": "head_top", "head": "head_top", "pelvis": "coco_mid_hip", "thorax": "coco_neck",
    **{name: f"coco_{name}" for name in _both(*_LIMBS)},
    **{name: name for name in _both("eye", "ear", "eye_inner", "eye_outer", *_TOES)},
    **{name.replace("_toe", "toe"): name for name in _both("big_toe", "small_toe")},
    **{f"{side}_foot_index": f"{side}_big_toe" for side in ("left", "right")},
    # BlazePose names a knuckle after its finger.
    **{name: f"{name}_knuckle" for name in _both("thumb", "index", "pinky")},
    "face_36": "right_eye_outer", "face_39": "right_eye_inner", "face_42": "left_eye_inner",
    "face_45": "left_eye_outer", "face_48": "mouth_right", "face_54": "mouth_left",
    **{
        f"{side}_hand_{point}": f"{side}_{mark}"
        for side in ("left", "right")
        for point, mark in (
            (2, "thumb_knuckle"), (4, "thumb_tip"), (5, "index_knuckle"), (8, "index_tip"),
            (12, "middle_tip"), (16, "ring_tip"), (17, "pinky_knuckle"), (20, "pinky_tip"),
        )
    },
}  # fmt: skip


def _format(name: str, names: tuple[str, ...], lines: str) -> KeypointFormat:
    """A format whose landmarks follow from its names. ``lines``: chains of indices, such as "5-7-9 6-8"."""
    chains = [[int(i) for i in chain.split("-")] for chain in lines.split()]
    edges = tuple((a, b) for chain in chains for a, b in pairwise(chain))
    return KeypointFormat(name, names, edges, tuple(_MARKS.get(n) for n in names))


def _side(side: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{side}_{name}" for name in names)


def _fingers(wrist: int, hand: int) -> str:
    """Chains from the body's ``wrist`` along the fingers of the 21 hand points that begin at ``hand``."""
    return f"{wrist}-{hand} " + " ".join(
        "-".join(str(hand + i) for i in (0, *range(first, first + 4))) for first in (1, 5, 9, 13, 17)
    )


_COCO = ("nose", *_both("eye", "ear", *_LIMBS))
_ARM, _LEG, _FOOT = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"), ("bigtoe", "smalltoe", "heel")
_EYE = ("eye_inner", "eye", "eye_outer")
_FACE = tuple(f"face_{i}" for i in range(68))
_HANDS = tuple(f"{side}_hand_{i}" for side in ("left", "right") for i in range(21))
_LIMB_LINES = "5-7-9 6-8-10 11-13-15 12-14-16 5-6-12-11-5"
_HEAD_LINES = "0-1-3 0-2-4"
_OPENPOSE_ARMS = ("nose", "neck", *_side("right", *_ARM), *_side("left", *_ARM))
_OPENPOSE_HEAD = ("right_eye", "left_eye", "right_ear", "left_ear")
_HALPE = (*_COCO, "head", "neck", "mid_hip", *_both(*_FOOT))
_HALPE_LINES = f"{_LIMB_LINES} {_HEAD_LINES} 17-18-19 15-24 15-20 15-22 16-25 16-21 16-23"

COCO_17 = _format("COCO_17", _COCO, f"{_LIMB_LINES} {_HEAD_LINES}")
COCO_18 = _format(
    "COCO_18",
    (*_OPENPOSE_ARMS, *_side("right", *_LEG), *_side("left", *_LEG), *_OPENPOSE_HEAD),
    "1-2-3-4 1-5-6-7 1-8-9-10 1-11-12-13 1-0-14-16 0-15-17",
)
BODY_25 = _format(
    "BODY_25",
    (
        *_OPENPOSE_ARMS, "mid_hip", *_side("right", *_LEG), *_side("left", *_LEG), *_OPENPOSE_HEAD,
        *_side("left", *_FOOT), *_side("right", *_FOOT),
    ),
    "1-2-3-4 1-5-6-7 1-8-9-10-11 8-12-13-14 1-0-15-17 0-16-18 14-21 14-19-20 11-24 11-22-23",
)  # fmt: skip
BODY_25B = _format(
    "BODY_25B",
    (*_COCO, "upper_neck", "head_top", *_side("left", *_FOOT), *_side("right", *_FOOT)),
    f"{_LIMB_LINES} {_HEAD_LINES} 17-18 15-21 15-19-20 16-24 16-22-23",
)
HALPE_26 = _format("HALPE_26", _HALPE, _HALPE_LINES)
HALPE_136 = _format(
    "HALPE_136", (*_HALPE, *_FACE, *_HANDS), f"{_HALPE_LINES} {_fingers(9, 94)} {_fingers(10, 115)}"
)
BLAZEPOSE_33 = _format(
    "BLAZEPOSE_33",
    (
        "nose", *_side("left", *_EYE), *_side("right", *_EYE),
        *_both("ear"), "mouth_left", "mouth_right", *_both(*_ARM, "pinky", "index", "thumb", *_LEG),
        *_both("heel", "foot_index"),
    ),
    "8-6-5-4-0-1-2-3-7 9-10 11-13-15-17-19-15-21 12-14-16-18-20-16-22 11-12-24-23-11 23-25-27-29-31-27 "
    "24-26-28-30-32-28",
)  # fmt: skip
SMPL_24 = KeypointFormat(
    "SMPL_24",
    SMPL_JOINT_NAMES,
    tuple((parent, joint) for joint, parent in enumerate(SMPL_PARENTS) if parent >= 0),
    SMPL_JOINT_NAMES,
)
CROWDPOSE_14 = _format(
    "CROWDPOSE_14", (*_both(*_LIMBS), "head", "neck"), "12-13 13-0-2-4 13-1-3-5 0-6-8-10 1-7-9-11 6-7"
)
POSETRACK_17 = _format(
    "POSETRACK_17", ("nose", "head_bottom", "head_top", *_both("ear", *_LIMBS)), f"{_LIMB_LINES} 2-0-1"
)
MPII_16 = _format(
    "MPII_16",
    (
        *_side("right", *_LEG[::-1]), *_side("left", *_LEG), "pelvis", "thorax", "upper_neck", "head_top",
        *_side("right", *_ARM[::-1]), *_side("left", *_ARM),
    ),
    "0-1-2-6-3-4-5 6-7-8-9 10-11-12-7-13-14-15",
)  # fmt: skip
COCO_WHOLEBODY_133 = _format(
    "COCO_WHOLEBODY_133",
    (*_COCO, *_side("left", *_TOES), *_side("right", *_TOES), *_FACE, *_HANDS),
    f"{_LIMB_LINES} {_HEAD_LINES} 15-19 15-17-18 16-22 16-20-21 {_fingers(9, 91)} {_fingers(10, 112)}",
)
# The joints of a fitted SMPL body in OpenPose's order; the rest are other data sets' joints on the same body.
PHALP_45 = KeypointFormat(
    "PHALP_45",
    (*BODY_25.names, *(f"extra_{i}" for i in range(20))),
    BODY_25.edges,
    (
        "nose", "neck", *_side("right", *_ARM), *_side("left", *_ARM), "pelvis", *_side("right", *_LEG),
        *_side("left", *_LEG), *BODY_25.joints[15:], *[None] * 20,
    ),
)  # fmt: skip

FORMATS = MappingProxyType(
    {
        f.name: f
        for f in (
            COCO_17, COCO_18, BODY_25, BODY_25B, HALPE_26, HALPE_136, BLAZEPOSE_33, SMPL_24, CROWDPOSE_14,
            POSETRACK_17, MPII_16, COCO_WHOLEBODY_133, PHALP_45,
        )
    }
)  # fmt: skip


def keypoint_format(chosen: str | KeypointFormat) -> KeypointFormat:
    """The format of that name (any case). FitError where there is none."""
    if isinstance(chosen, KeypointFormat):
        return chosen
    found = FORMATS.get(chosen.strip().upper())
    if found is None:
        raise FitError(f"There is no keypoint format {chosen!r}; choose one of {', '.join(FORMATS)}.")
    return found


_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[LR])(?=[A-Z][a-z])")
_SIDE_TOKENS = {"l": "left", "left": "left", "r": "right", "right": "right"}
_SYNONYMS = {
    "midhip": "mid_hip", "hip_center": "mid_hip", "hips": "mid_hip", "top_head": "head_top",
    "headtop": "head_top", "crown": "head_top", "bigtoe": "big_toe", "smalltoe": "small_toe",
    "toe": "big_toe", "foot_index": "big_toe",
}  # fmt: skip


def plain_name(name: str) -> str:
    """A keypoint's name in one spelling: LBigToe, "big toe (left)" and left_bigtoe are left_big_toe."""
    tokens = [t for t in re.split(r"[^a-z0-9]+", _CAMEL.sub("_", name.strip()).lower()) if t]
    sides = [_SIDE_TOKENS[t] for t in tokens if t in _SIDE_TOKENS]
    part = "_".join(t for t in tokens if t not in _SIDE_TOKENS)
    part = _SYNONYMS.get(part, part)
    if not sides:
        return "mid_hip" if part == "hip" else part
    return f"mouth_{sides[0]}" if part == "mouth" else f"{sides[0]}_{part}"


def format_of_names(names: Sequence[str]) -> KeypointFormat:
    """The format with these names in this order, or else a format made for them.

    A format made here marks the landmarks whose names it knows. A bare "head" is not among them: some mean
    its middle and some its top.
    """
    plain = [plain_name(name) for name in names]
    for known in FORMATS.values():
        # The points of faces and hands have no common names.
        own = [plain_name(name) for name in known.names[:26]]
        if len(known) == len(plain) and sum(map(str.__eq__, own, plain)) >= 0.9 * len(own):
            return known
    joints = tuple(None if name == "head" else _MARKS.get(name) for name in plain)
    return KeypointFormat(f"CUSTOM_{len(names)}", tuple(names), (), joints)
