"""Fit and animator in turns: what was changed by hand is noticed, kept, and the rest fitted again around it.

edited = edited_parts(before, after)
state = fit_pose(refit_problem(problem, edited, free=LIMBS["left_leg"]), initial=after)
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from math import radians
from types import MappingProxyType

import numpy as np

from .body_model import JOINT_COUNT, BodyModel, BodyPose, local_rotations, rest_joints
from .errors import FitError
from .problem import PARTS, PLACE, SHAPE, FitProblem
from .rotation import geodesic_angle

# Seconds from frames that can't follow within which a hint has to be firmer. While hints knew nothing of
# time, an elbow turned by 30 degrees in one frame alone kept 60 % of that at 30 frames a second and 18 % at
# 60; now it keeps 79 % at either rate.
HINT_TIME = 0.05


def _sided(side: str, *joints: str) -> tuple[str, ...]:
    return tuple(f"{side}_{joint}" for joint in joints)


# The joints that turn when a limb moves, from the trunk outwards.
LIMBS = MappingProxyType(
    {
        "left_arm": _sided("left", "shoulder", "elbow", "wrist", "hand"),
        "right_arm": _sided("right", "shoulder", "elbow", "wrist", "hand"),
        "left_leg": _sided("left", "hip", "knee", "ankle", "foot"),
        "right_leg": _sided("right", "hip", "knee", "ankle", "foot"),
        "torso": ("pelvis", "spine1", "spine2", "spine3", "neck", "head", "left_collar", "right_collar"),
    }
)


def edited_parts(
    before: BodyPose, after: BodyPose, *, angle: float = radians(0.5), distance: float = 0.001
) -> np.ndarray:
    """Which of PARTS were changed by hand, bone by bone. -> [B, 26] booleans.

    A joint counts where its rotation differs by more than ``angle`` radians, the place where the body was
    moved by more than ``distance`` metres, the shape where any of the betas differs by more than 0.01.
    Smaller differences are what writing to an armature and reading back leaves.

    Raises FitError where the two have not the same number of frames.
    """
    if len(before) != len(after):
        raise FitError(f"The pose before has {len(before)} frames, the pose after {len(after)}")
    count = min(before.betas.shape[1], after.betas.shape[1])
    turned = geodesic_angle(local_rotations(before), local_rotations(after)) > angle
    moved = np.linalg.norm(after.transl - before.transl, axis=1) > distance
    reshaped = np.abs(after.betas[:, :count] - before.betas[:, :count]).max(axis=1, initial=0.0) > 0.01
    return np.concatenate([turned, moved[:, None], reshaped[:, None]], axis=1)


def with_parts(body: BodyModel, pose: BodyPose, kept: BodyPose, parts: np.ndarray) -> BodyPose:
    """A pose [B] with ``parts`` [B, 26] (booleans, the columns PARTS) as another one has them.

    The place is that of the pelvis: where it is kept and the shape is not, the pelvis stays where it was.
    """
    place, shape = (parts[:, PARTS.index(part), None] for part in (PLACE, SHAPE))
    betas = np.where(shape, kept.betas[:, : pose.betas.shape[1]], pose.betas)
    own, other = (rest_joints(body, one.betas)[:, 0] + one.transl for one in (pose, kept))
    return BodyPose(
        np.where(parts[:, :1], kept.global_orient, pose.global_orient),
        np.where(parts[:, 1:JOINT_COUNT, None], kept.body_pose, pose.body_pose),
        betas,
        np.where(place, other, own) - rest_joints(body, betas)[:, 0],
    )


def refit_problem(
    problem: FitProblem,
    edited: np.ndarray,
    *,
    free: Collection[str] | None = None,
    frames: np.ndarray | None = None,
    sigma: float = 0.0,
) -> FitProblem:
    """The problem in which edits are kept: fit it with the edited pose as ``initial``.

    ``edited`` [B, 26] which of PARTS were changed by hand. At ``sigma`` 0 they are locked; above, edited
    joints are hints, one standard deviation of ``sigma`` radians about the edit (place and shape stay
    locked), and firmer within `HINT_TIME` of frames of a clip in which the joint can't follow. Only ``free``
    (names of PARTS; None for all) in the rows ``frames`` [B] (booleans; None for all) may change, all else
    stays bit for bit. What the problem holds already it goes on holding.

    Raises FitError for an unknown name, a table of another shape, and a negative ``sigma``.
    """
    count = len(problem.keypoints)
    names = PARTS if free is None else tuple(free)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise FitError(f"{unknown[0]!r} is no part of a pose: give joint names, {PLACE!r} or {SHAPE!r}")
    if edited.shape != (count, len(PARTS)):
        raise FitError(f"The table of edits has shape {edited.shape}; right is ({count}, {len(PARTS)})")
    if sigma < 0:
        raise FitError(f"A hint's sigma is {sigma}; give radians above zero, or zero for a lock")
    may_change = np.isin(PARTS, names) & (True if frames is None else np.asarray(frames)[:, None])
    held = np.minimum(np.where(may_change, np.inf, 0.0), problem.firmness)
    kept = np.zeros(held.shape)
    kept[:, :JOINT_COUNT] = sigma * _firmer(problem, held == 0)[:, :JOINT_COUNT]
    return replace(problem, held=np.where(edited, np.minimum(held, kept), held))


def _firmer(problem: FitProblem, still: np.ndarray) -> np.ndarray:
    """By what to multiply a hint's sigma where parts are ``still`` [B, 26] in other frames. -> [B, 26].

    To leave frames that stand still and come back to them within the time s bends the motion by 1 / s^2 for
    as long: that costs 1 / s^3, and so much firmer has a hint to be to stay where it is, at any rate.
    """
    if problem.frame_rate is None or problem.weights.temporal == 0:
        return np.ones(still.shape)
    rows = np.arange(len(still))[:, None]
    before = np.maximum.accumulate(np.where(still, rows, -np.inf))
    after = np.minimum.accumulate(np.where(still, rows, np.inf)[::-1])[::-1]
    seconds = np.minimum(rows - before, after - rows) / problem.frame_rate
    return np.minimum(seconds / HINT_TIME, 1.0) ** 1.5
