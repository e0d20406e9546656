"""Flip Limb Depth: a limb's mirror twin along the view, which gives the same pixels at another depth.

The tip of a bone of known length on a known ray of the camera has two places, one nearer and one farther than
the bone's base. The bones' directions are then exact; how far the limb turns about its first bone, which no
pixel shows, is chosen by the joint limits and the pose prior.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np

from .body_model import (
    SMPL_JOINT_NAMES,
    SMPL_PARENTS,
    BodyModel,
    BodyPose,
    bone_offsets,
    forward_kinematics,
    local_rotations,
    rest_joints,
)
from .errors import FitError
from .limits import ALLOWED, BONES, FORBIDDEN, JOINTS, SOFTNESS
from .pose_prior import PosePrior, load_pose_prior
from .problem import PARTS, FitProblem
from .refine import LIMBS, refit_problem
from .rotation import axis_angle_to_matrix, rotation_between, rotation_vectors

# Which of a limb's two bones change sides: the upper, the lower.
FLIPS = MappingProxyType({"both": (True, True), "upper": (True, False), "lower": (False, True)})
# A flip is a hint to the fit that follows, radians: it may correct the direction, hardly the side. In a clip
# flipped frames are locked: hints at both ends of a range are pulled off their pixels by the frames beside
# them, by 19 to 36 of a picture 1280 wide at a sigma of 0.02.
FLIP_SIGMA = 0.1
# So that the trunk does not bend back: with a hint of 0.1 at the pelvis alone 0 to 18 % of random poses that
# lean by 15 to 45 degrees stayed flipped, with this one of pelvis and spine all did.
TORSO_SIGMA = 0.02
# How many turns about the first bone are looked at.
TWISTS = 36
# A joint bent the wrong way shows more than an unusual turn of the limb: limits come first.
LIMIT_WEIGHT = 30.0
_TORSO = "torso"
# What hangs on the trunk keeps its directions when the pelvis turns.
_ON_TRUNK = tuple(
    SMPL_JOINT_NAMES.index(name)
    for name in ("left_hip", "right_hip", "neck", "left_shoulder", "right_shoulder")
)
_TRUNK = tuple(SMPL_JOINT_NAMES.index(name) for name in ("pelvis", "spine1", "spine2", "spine3"))
_NECK = SMPL_JOINT_NAMES.index("neck")


def flip_limb(
    body: BodyModel, pose: BodyPose, limb: str, *, bones: str = "both", prior: PosePrior | None = None
) -> BodyPose:
    """A pose with one limb at its mirror twin along the view; all joints but the limb's keep their rotations.

    ``pose`` B frames in camera axes; ``limb`` one of LIMBS; ``bones`` one of FLIPS: of an arm or a leg both
    bones change sides, or the upper or the lower alone (the torso has but one). Elbow or knee and wrist or
    ankle stay on their pixels, hand and foot turn with the bone before them. Where no turn of the limb
    respects the joint limits, the least violation is taken. ``prior`` is the product's unless given.

    Raises FitError for an unknown limb or choice of bones.
    """
    rotations = local_rotations(pose)
    offsets = bone_offsets(rest_joints(body, pose.betas))
    offsets[:, 0] += pose.transl
    world = forward_kinematics(rotations, offsets)
    flipped = rotations.copy()
    joints, changed = flipped_joints(limb, bones), turned_joints(limb)
    if limb == _TORSO:
        _turn_trunk(flipped, world)
    else:
        _turn_limb(flipped, world, joints, FLIPS[bones], prior or load_pose_prior())
    omega = np.concatenate([pose.global_orient[:, None], pose.body_pose], axis=1)
    omega[:, changed] = rotation_vectors(flipped[:, changed])
    return replace(pose, global_orient=omega[:, 0], body_pose=omega[:, 1:])


def flip_problem(
    problem: FitProblem,
    pose: BodyPose,
    limb: str,
    *,
    bones: str = "both",
    frames: np.ndarray | None = None,
    sigma: float | None = None,
) -> tuple[FitProblem, BodyPose]:
    """What to fit after a flip, and where to begin: ``fit(problem, initial=pose)``.

    ``frames`` [B] (booleans; None for all) says where the limb is flipped. The flipped bones, of the torso
    pelvis and spine, are hints with a standard deviation of ``sigma`` radians (0 locks them; None is
    FLIP_SIGMA, of the torso TORSO_SIGMA, in a clip 0), the prior of the rest is conditioned on them; what the
    problem holds exactly it holds at the pose that is returned. Raises FitError as ``flip_limb`` does.
    """
    rows = np.arange(len(pose)) if frames is None else np.flatnonzero(frames)
    flipped = flip_limb(problem.body, pose.frames(rows), limb, bones=bones, prior=problem.prior)
    orient, body_pose = pose.global_orient.copy(), pose.body_pose.copy()
    orient[rows], body_pose[rows] = flipped.global_orient, flipped.body_pose
    edited = np.zeros((len(pose), len(PARTS)), dtype=bool)
    for joint in _TRUNK if limb == _TORSO else turned_joints(limb):
        edited[rows, joint] = True
    start = replace(pose, global_orient=orient, body_pose=body_pose)
    if sigma is None:
        tied = problem.frame_rate is not None and problem.weights.temporal > 0 and len(problem.keypoints) > 1
        sigma = 0.0 if tied else TORSO_SIGMA if limb == _TORSO else FLIP_SIGMA
    return refit_problem(problem, edited, sigma=sigma), start


def turned_joints(limb: str) -> tuple[int, ...]:
    """The joints of which a limb's flip changes the rotation; FitError for an unknown limb."""
    base, middle, _ = flipped_joints(limb, "both")
    return (base, *_ON_TRUNK) if limb == _TORSO else (base, middle)


def flipped_joints(limb: str, bones: str) -> tuple[int, int, int]:
    """The joints at the base, the middle and the tip of a limb's two bones; FitError for unknown names."""
    if limb not in LIMBS or bones not in FLIPS or (limb == _TORSO and bones != "both"):
        choices = f"limbs are {', '.join(LIMBS)}, bones {', '.join(FLIPS)} (of the torso both)"
        raise FitError(f"{bones!r} of {limb!r} can't be flipped: {choices}")
    names = ("pelvis", "spine1", "neck") if limb == _TORSO else LIMBS[limb][:3]
    base, middle, tip = (SMPL_JOINT_NAMES.index(name) for name in names)
    return base, middle, tip


def _turn_trunk(rotations: np.ndarray, world: np.ndarray) -> None:
    """Turn the pelvis, in place, so that the neck goes to its other depth. ``rotations`` [B, 24, 3, 3]."""
    G, places = world[..., :3, :3], world[..., :3, 3]
    base, tip = places[:, 0], places[:, _NECK]
    swing = rotation_between(tip - base, _twin(base, base, tip, True) - base)
    rotations[:, 0] = swing @ rotations[:, 0]
    for joint in _ON_TRUNK:
        parent = swing @ G[:, SMPL_PARENTS[joint]]
        rotations[:, joint] = np.swapaxes(parent, -1, -2) @ G[:, joint]


def _turn_limb(
    rotations: np.ndarray,
    world: np.ndarray,
    limb: tuple[int, int, int],
    flips: tuple[bool, bool],
    prior: PosePrior,
) -> None:
    """Turn a limb's two bones, in place, to their other depths. ``rotations`` [B, 24, 3, 3]."""
    base, middle, tip = limb
    G, places = world[..., :3, :3], world[..., :3, 3]
    new_middle = _twin(places[:, base], places[:, base], places[:, middle], flips[0])
    new_tip = _twin(places[:, middle], new_middle, places[:, tip], flips[1])
    upper = new_middle - places[:, base]
    swing = rotation_between(places[:, middle] - places[:, base], upper)
    axis = upper / np.linalg.norm(upper, axis=-1, keepdims=True)
    bone = np.swapaxes(G[:, base], -1, -2) @ (places[:, tip] - places[:, middle])[..., None]

    def turned(angle: np.ndarray) -> np.ndarray:
        """The limb turned by angles [B] about its first bone."""
        trial = rotations.copy()
        G_base = axis_angle_to_matrix(angle[:, None] * axis) @ swing @ G[:, base]
        trial[:, base] = np.swapaxes(G[:, SMPL_PARENTS[base]], -1, -2) @ G_base
        # The middle joint turns as little as points the lower bone to where it shall go.
        wanted = np.swapaxes(G_base, -1, -2) @ (new_tip - new_middle)[..., None]
        trial[:, middle] = rotation_between(bone[..., 0], wanted[..., 0]) @ rotations[:, middle]
        return trial

    step = 2 * np.pi / TWISTS
    every = np.full(len(rotations), step)
    cost = np.stack([_improbability(turned(index * every), prior) for index in range(TWISTS)])
    best, rows = cost.argmin(axis=0), np.arange(len(rotations))
    before, least, after = (cost[(best + way) % TWISTS, rows] for way in (-1, 0, 1))
    # The least of the parabola through three of them: from frame to frame whole steps would be seen.
    off = 0.5 * (before - after) / np.maximum(before - 2 * least + after, 1e-9)
    rotations[:] = turned((best + np.clip(off, -0.5, 0.5)) * step)


def _improbability(rotations: np.ndarray, prior: PosePrior) -> np.ndarray:
    """Twice the energy of pose prior and joint limits: [B, 24, 3, 3] -> [B]."""
    omega = rotation_vectors(rotations[:, 1:] @ np.swapaxes(prior.mean_rotations, -1, -2))
    omega = omega.reshape(len(rotations), -1)
    lean = np.sum((rotations[:, JOINTS] @ BONES[..., None])[..., 0] * FORBIDDEN, axis=-1)
    excess = np.maximum(lean - ALLOWED, 0.0) / SOFTNESS
    improbable = np.sum(omega * np.linalg.solve(prior.covariance, omega.T).T, axis=1)
    return improbable + LIMIT_WEIGHT * np.sum(excess**2, axis=1)


def _twin(base: np.ndarray, new_base: np.ndarray, tip: np.ndarray, flip: bool) -> np.ndarray:
    """Where a bone's tip goes on its ray when its base moves; to the other side if ``flip``. [B, 3] each."""
    ray = tip / np.linalg.norm(tip, axis=-1, keepdims=True)
    farther = np.sum(ray * (tip - base), axis=-1) > 0
    length = np.linalg.norm(tip - base, axis=-1)
    along = np.sum(ray * new_base, axis=-1)
    half = np.sqrt(np.maximum(along**2 - np.sum(new_base * new_base, axis=-1) + length**2, 0.0))
    reach = np.where(farther != flip, along + half, along - half)[:, None] * ray - new_base
    # Where the bone is too short for its ray it points to the nearest place on it.
    return new_base + reach * (length / np.linalg.norm(reach, axis=-1))[:, None]
