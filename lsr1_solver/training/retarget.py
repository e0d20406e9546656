"""Motion capture on SMPL's joints.

A joint of SMPL turns with the joint of the source that drives it: G_smpl(t) = G_source(t) A with a constant
A. In the rest pose G_source is the source's rest rotation R, so A = R^T S with S what SMPL's rest bone lacks
to lie along the source's: for thighs, shins, upper arms and forearms the smallest rotation between the two,
so that bone directions are exact; for the hands that of the forearm; for the feet the turn about the
vertical and what lays a standing sole flat; for the pelvis what makes it level when the subject is at ease,
between legs and spine that stay as they are; for the spine, the neck and the head nothing, because SMPL's
bones there lean though the body stands upright. `limb_twist` then repairs what the sources have wrong about
the limbs' turns about themselves.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..body_model import (
    JOINT_COUNT,
    SMPL_JOINT_NAMES,
    SMPL_PARENTS,
    bone_offsets,
    forward_kinematics,
)
from ..errors import FitError
from ..model_file import load_body_model
from ..rotation import axis_angle_to_matrix, rotation_between
from .limb_twist import repair_twists
from .mocap import Clip
from .sources import PELVES, SOLES, SPLITS, Family, SourceClip, read_sources, subject_of

_INDEX = {joint: j for j, joint in enumerate(SMPL_JOINT_NAMES)}
# Limb bones, whose directions are kept: from joint to joint.
LIMBS = (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
_HINGED = ("shoulder", "elbow")
_SIDES = ("left", "right")
MIRRORED_JOINTS = tuple(
    _INDEX[joint.replace("left_", "*").replace("right_", "left_").replace("*", "right_")]
    for joint in SMPL_JOINT_NAMES
)
_REFLECT = np.diag([-1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Motion:
    """A motion of T frames on SMPL's 24 joints.

    ``name`` subject/clip, such as "cmu/05_01"; ``split`` train, validation or test; ``group`` the test group,
    or the source; ``rotations`` [T, 24, 3, 3] in the parent's frame, the root's in a world with y up whose
    rest body faces +z; ``root`` [T, 3] the pelvis, metres, scaled to the body's legs; ``frame_rate`` hertz.
    """

    name: str
    split: str
    group: str
    rotations: np.ndarray
    root: np.ndarray
    frame_rate: float


def load_motions(
    mocap_folder: Path,
    *,
    rate: float | None = 10.0,
    splits: Collection[str] = SPLITS,
    pattern: str = "*",
    rest_joints: np.ndarray | None = None,
) -> list[Motion]:
    """Every clip of the wanted splits on a body with ``rest_joints`` [24, 3], metres (None: the open body).

    ``rate`` in hertz: the nearest frames are taken, none is interpolated; None: every frame. ``pattern``
    chooses clips by name.
    Raises FitError where the motion capture is missing or damaged.
    """
    if rest_joints is None:
        rest_joints = open_body_joints()
    sources = read_sources(Path(mocap_folder), rate=rate, splits=splits, pattern=pattern)
    return [retarget(source, rest_joints) for source in sources]


def open_body_joints() -> np.ndarray:
    """The joints [24, 3] of the open body of mean shape in its rest pose, metres."""
    body = load_body_model()
    return body.J_regressor @ body.v_template


def retarget(source: SourceClip, rest_joints: np.ndarray) -> Motion:
    """The motion of ``source`` on a body with ``rest_joints`` [24, 3], metres.

    The feet stay on the source's ground: positions are scaled by the ratio of the legs' lengths, and the
    middle of the hips is what follows the source's.
    """
    if rest_joints.shape != (JOINT_COUNT, 3):
        raise FitError(f"rest_joints must be [24, 3], not {list(rest_joints.shape)}")
    clip, family = source.clip, source.family
    drivers = [clip.index(family.driver(joint)) for joint in SMPL_JOINT_NAMES]
    G = clip.rotations[:, drivers] @ _alignment(source, rest_joints)
    # The arms' turn to SMPL's hinge leaves the hand where it was: that much is the usual pronation.
    G = repair_twists(G, rest_joints, -np.radians(family.elbow_twist))
    local = G.copy()
    local[:, 1:] = np.swapaxes(G[:, list(SMPL_PARENTS[1:])], -1, -2) @ G[:, 1:]
    hips = [_INDEX["left_hip"], _INDEX["right_hip"]]
    middle = clip.positions[:, [drivers[j] for j in hips]].mean(axis=1)
    scale = _leg_length(rest_joints) / _source_leg_length(clip, family)
    from_pelvis = rest_joints[hips].mean(axis=0) - rest_joints[0]
    root = scale * middle - G[:, 0] @ from_pelvis
    return Motion(source.name, source.split, source.group, local, root, clip.frame_rate)


def world_joints(
    rotations: np.ndarray, root: np.ndarray, rest_joints: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """World rotations [T, 24, 3, 3] and positions [T, 24, 3] of the joints of a body, metres.

    ``rotations`` [T, 24, 3, 3] in the parents' frames; ``root`` [T, 3]; ``rest_joints`` [24, 3] or
    [T, 24, 3].
    """
    bones = bone_offsets(np.broadcast_to(rest_joints, (len(root), JOINT_COUNT, 3)))
    bones = np.concatenate([root[:, None], bones[:, 1:]], axis=1)
    world = forward_kinematics(rotations, bones)
    return world[..., :3, :3], world[..., :3, 3]


def mirror_rotations(rotations: np.ndarray) -> np.ndarray:
    """The pose seen in a mirror (x -> -x), with the sides' names exchanged. [..., 24, 3, 3] -> the same."""
    return _REFLECT @ rotations[..., list(MIRRORED_JOINTS), :, :] @ _REFLECT


def mirror(motion: Motion) -> Motion:
    """The motion seen in a mirror; it stays on the same side of the split."""
    return replace(
        motion,
        name=f"{motion.name} mirrored",
        rotations=mirror_rotations(motion.rotations),
        root=motion.root * [-1.0, 1.0, 1.0],
    )


def _alignment(source: SourceClip, rest_joints: np.ndarray) -> np.ndarray:
    """The constant A of every joint, [24, 3, 3]."""
    clip, family, rest = source.clip, source.family, source.rest
    drivers = [clip.index(family.driver(joint)) for joint in SMPL_JOINT_NAMES]
    S = np.broadcast_to(np.eye(3), (JOINT_COUNT, 3, 3)).copy()
    S[0] = axis_angle_to_matrix(np.array([-np.radians(PELVES.get(subject_of(source.name), 0.0)), 0.0, 0.0]))
    for side in _SIDES:
        for upper, lower in LIMBS:
            bone = rest_joints[_INDEX[f"{side}_{lower}"]] - rest_joints[_INDEX[f"{side}_{upper}"]]
            j = _INDEX[f"{side}_{upper}"]
            S[j] = rotation_between(bone, _source_bone(source, side, upper, rest))
            if lower == "wrist":
                S[[_INDEX[f"{side}_wrist"], _INDEX[f"{side}_hand"]]] = S[j]
            if upper in _HINGED:
                twist = np.radians(family.elbow_twist) * (1 if side == "left" else -1)
                S[j] = S[j] @ axis_angle_to_matrix(twist * bone / np.linalg.norm(bone))
        ankle, foot = _INDEX[f"{side}_ankle"], _INDEX[f"{side}_foot"]
        tip = clip.index(family.foot_tip.format(family.side(side)))
        S[[ankle, foot]] = _heading(
            rest_joints[foot] - rest_joints[ankle], rest[drivers[ankle]] @ clip.offsets[tip]
        )
        S[[ankle, foot]] = S[ankle] @ _sole(source.name, side)
    return np.swapaxes(rest[drivers], -1, -2) @ S


def _sole(name: str, side: str) -> np.ndarray:
    """The turn that lays the sole of a subject's standing foot flat."""
    toes_up, left_edge_up = np.radians(SOLES.get(subject_of(name), ((0, 0), (0, 0)))[side == "right"])
    up = np.array([-np.tan(left_edge_up), 1.0, np.tan(toes_up)])
    return rotation_between(np.array([0.0, 1.0, 0.0]), up)


def _source_bone(source: SourceClip, side: str, upper: str, rotations: np.ndarray) -> np.ndarray:
    """The source's limb bone below ``upper`` ("hip", "knee", "shoulder" or "elbow").

    ``rotations`` [..., J, 3, 3] world rotations of the source's joints -> [..., 3], metres.
    """
    clip, family = source.clip, source.family
    j = clip.index(family.driver(f"{side}_{upper}"))
    child = clip.index(_bone_end(clip, j))
    return rotations[..., j, :, :] @ clip.offsets[child]


def _bone_end(clip: Clip, joint: int) -> str:
    # A limb's joint has one child: the next joint of the limb (for a forearm that may be a twist joint).
    return clip.joint_names[clip.parents.index(joint)]


def _heading(bone: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The turn about the vertical that takes the direction of one bone to that of another."""
    yaw = np.arctan2(target[0], target[2]) - np.arctan2(bone[0], bone[2])
    return axis_angle_to_matrix(np.array([0.0, yaw, 0.0]))


def _leg_length(joints: np.ndarray) -> float:
    knee, ankle, hip = (joints[_INDEX[f"left_{part}"]] for part in ("knee", "ankle", "hip"))
    return float(np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee))


def _source_leg_length(clip: Clip, family: Family) -> float:
    lengths = (
        np.linalg.norm(clip.offsets[clip.index(family.driver(f"left_{part}"))]) for part in ("knee", "ankle")
    )
    return float(sum(lengths))
