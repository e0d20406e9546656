"""Motions as Biovision's BVH, which most animation programs read.

y up, metres, a joint's frame at rest along the world's axes in SMPL's T-pose. The root has places and
rotations, every other joint rotations, in degrees and in the order z, x, y, the customary one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .body_model import SMPL_JOINT_NAMES, SMPL_PARENTS, BodyModel, BodyPose, local_rotations, rest_joints
from .errors import FitError
from .whole_file import write_whole

# Where the bones of joints without children end, from the joint, in the rest pose, metres.
LEAF_TIPS = {
    "head": (0.0, 0.17, 0.0), "left_foot": (0.0, -0.01, 0.07), "right_foot": (0.0, -0.01, 0.07),
    "left_hand": (0.09, 0.0, 0.0), "right_hand": (-0.09, 0.0, 0.0),
}  # fmt: skip
_GIMBAL_LOCK = 1e-9


def write_bvh(path: str | Path, pose: BodyPose, *, body: BodyModel, frame_rate: float) -> None:
    """Write a motion as a ``.bvh``: whole, or not at all.

    ``pose`` [N] is y up, metres; ``frame_rate`` frames a second; ``body`` the one whose joints move. The
    format has one skeleton: that of the mean shape; every pelvis stays where it was.

    Raises ``FitError`` where the pose is empty or not finite, or the file cannot be written.
    """
    if not (math.isfinite(frame_rate) and frame_rate > 0):
        raise FitError(f"frame_rate is {frame_rate}; it should be a positive number of frames a second.")
    arrays = [np.asarray(a) for a in (pose.global_orient, pose.body_pose, pose.betas, pose.transl)]
    if not len(pose) or not all(np.isfinite(a).all() for a in arrays):
        raise FitError("The motion has no frames or holds NaN: fit it before writing it.")
    rest = rest_joints(body, arrays[2].mean(axis=0)[None])[0]
    pelvis = rest_joints(body, arrays[2])[:, 0] + arrays[3]
    angles = np.degrees(continuous_zxy(np.asarray(local_rotations(pose))))
    order = list(_depth_first(0))
    table = np.concatenate([pelvis, angles[:, order].reshape(len(pelvis), -1)], axis=1)
    lines = ["HIERARCHY", *_joint(rest, 0, ""), "MOTION", f"Frames: {len(table)}"]
    lines += [f"Frame Time: {1 / frame_rate:.10f}"]
    lines += [" ".join(f"{value:.6f}" for value in row) for row in table.tolist()]
    write_whole(Path(path), lambda file: file.write("\n".join([*lines, ""]).encode("ascii")))


def _children(joint: int) -> list[int]:
    return [j for j, parent in enumerate(SMPL_PARENTS) if parent == joint]


def _depth_first(joint: int) -> Iterator[int]:
    """The order of the hierarchy's channels."""
    yield joint
    for child in _children(joint):
        yield from _depth_first(child)


def _joint(rest: np.ndarray, joint: int, indent: str) -> Iterator[str]:
    """The lines of a joint and of those below it. ``rest`` [24, 3]."""
    name, parent = SMPL_JOINT_NAMES[joint], SMPL_PARENTS[joint]
    # The root's places are absolute; programs that add its offset to them find nothing to add.
    offset = np.zeros(3) if parent < 0 else rest[joint] - rest[parent]
    rotations = "Zrotation Xrotation Yrotation"
    yield f"{indent}{'ROOT' if parent < 0 else 'JOINT'} {name}"
    yield f"{indent}{{"
    yield f"{indent}\tOFFSET {_numbers(offset)}"
    if parent < 0:
        yield f"{indent}\tCHANNELS 6 Xposition Yposition Zposition {rotations}"
    else:
        yield f"{indent}\tCHANNELS 3 {rotations}"
    for child in _children(joint):
        yield from _joint(rest, child, indent + "\t")
    if name in LEAF_TIPS:
        yield f"{indent}\tEnd Site"
        yield f"{indent}\t{{"
        yield f"{indent}\t\tOFFSET {_numbers(np.array(LEAF_TIPS[name]))}"
        yield f"{indent}\t}}"
    yield f"{indent}}}"


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in values.tolist())


def continuous_zxy(R: np.ndarray) -> np.ndarray:
    """Angles (z, x, y) in radians of rotations ``Rz Rx Ry``, near those of the frame before.

    ``R`` [N, ..., 3, 3] -> [N, ..., 3]. A rotation has two such triplets, and each angle may make full turns:
    a path without jumps is one without jumps in its angles, but for gimbal lock (x at 90 degrees).
    """
    sine = np.clip(R[..., 2, 1], -1.0, 1.0)
    locked = 1 - np.abs(sine) < _GIMBAL_LOCK
    z = np.where(locked, np.arctan2(R[..., 1, 0], R[..., 0, 0]), np.arctan2(-R[..., 0, 1], R[..., 1, 1]))
    y = np.where(locked, 0.0, np.arctan2(-R[..., 2, 0], R[..., 2, 2]))
    one = np.stack([z, np.arcsin(sine), y], axis=-1)
    other = np.stack([z + np.pi, np.pi - one[..., 1], y + np.pi], axis=-1)
    out = one.copy()
    for n in range(1, len(out)):
        near = [c + 2 * np.pi * np.round((out[n - 1] - c) / (2 * np.pi)) for c in (one[n], other[n])]
        far = [np.abs(c - out[n - 1]).sum(axis=-1, keepdims=True) for c in near]
        out[n] = np.where(far[0] <= far[1], near[0], near[1])
    return out
