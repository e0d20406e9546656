"""Knees whose depth nothing tells: ahead rather than behind, as legs bend.

A thigh that looks short points towards the camera or away from it. Where the initializer has no opinion it
answers with the mean of the two, which is neither, and a fit falls to whichever is nearer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from .body_model import SMPL_JOINT_NAMES, BodyModel, rest_joints
from .view import Start

LEGS = ("left_leg", "right_leg")
_HIPS, _KNEES = (
    [SMPL_JOINT_NAMES.index(f"{side}_{joint}") for side in ("left", "right")] for joint in ("hip", "knee")
)
# A thigh whose reading has less depth than this, as a share of its length, is read without an opinion; a pose
# that differs by as much as DECIDED from such a reading has one of its own.
OPEN, DECIDED = 0.05, 0.25
# How far behind a knee is that might be ahead, and how far ahead it then has to be, as shares of the thigh:
# one right below its hip is neither.
BEHIND, AHEAD = 0.05, 0.1
# What the pose prior may have against the knee ahead, in nats.
INDIFFERENT = 0.5


@dataclass(frozen=True, eq=False)
class Thighs:
    """Both thighs of N poses, as shares of their lengths: how far the knees are ``ahead`` [N, 2] of the
    hips, with regard to the pelvis; their ``depth`` [N, 2] away from the camera; how far ahead they would be
    at the other depth, ``twin`` [N, 2].
    """

    ahead: np.ndarray
    depth: np.ndarray
    twin: np.ndarray

    @property
    def open(self) -> np.ndarray:
        """Of a reading: for which thighs it has no opinion. -> [N, 2]."""
        return np.abs(self.depth) < OPEN


def thighs(body: BodyModel, rotations: np.ndarray, pelvis: np.ndarray) -> Thighs:
    """Of poses before a camera that looks along -z: [N, 24, 3, 3] in the parents' frames, [N, 3] metres."""
    hips, bones = _at_rest(body)
    root = rotations[:, :1]
    local = rotations[:, _HIPS] @ bones
    ray = pelvis[:, None, :, None] + root @ hips
    ray /= np.linalg.norm(ray, axis=-2, keepdims=True)
    depth = np.sum(ray * (root @ local), axis=-2)[..., 0]
    ahead = local[..., 2, 0]
    return Thighs(ahead, depth, ahead - 2 * depth * np.sum(root[..., 2:] * ray, axis=-2)[..., 0])


@lru_cache(maxsize=8)
def _at_rest(body: BodyModel) -> tuple[np.ndarray, np.ndarray]:
    """Of the mean body: where the hips are about the pelvis, and the thighs' directions, [2, 3, 1] each."""
    joints = rest_joints(body, np.zeros((1, 1)))[0]
    bones = joints[_KNEES] - joints[_HIPS]
    bones /= np.linalg.norm(bones, axis=-1, keepdims=True)
    return (joints[_HIPS] - joints[0])[..., None], bones[..., None]


def undecided(reading: Thighs, pose: Thighs) -> np.ndarray:
    """Which knees [N, 2] are behind in a pose, might as well be ahead, and were read as neither."""
    return reading.open & (pose.ahead < -BEHIND) & (pose.twin > AHEAD)


def about_decided(
    body: BodyModel, reading: Start, rotations: np.ndarray, pelvis: np.ndarray, held: np.ndarray
) -> Start:
    """A reading with hip and knee of a leg as in a pose, if it says nothing of that leg's depth and the pose
    does. Where either joint is ``held`` [N, 24] the reading stays: the rest follows what is held.
    """
    read, pose = thighs(body, reading.centre, reading.pelvis), thighs(body, rotations, pelvis)
    decided = read.open & (np.abs(pose.depth - read.depth) > DECIDED)
    decided &= ~(held[:, _HIPS] | held[:, _KNEES])
    if not decided.any():
        return reading
    centre = reading.centre.copy()
    for joints in (_HIPS, _KNEES):
        centre[:, joints] = np.where(decided[..., None, None], rotations[:, joints], centre[:, joints])
    return replace(reading, centre=centre)
