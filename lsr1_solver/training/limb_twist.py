"""Turns of limb bones about themselves, where sources of motion capture are at their weakest.

None of this changes a bone's direction. Two repairs:

- Markers cannot tell a straight limb's turn about itself. Where an elbow or a knee bends backwards a little,
  CMU's thighs and upper arms turn by half a turn instead, and hands do so alone. The hand or the foot tells
  where the limb really is.
- The forearm's pronation sits in the elbow in one source and in the wrist in another. It is shared in equal
  parts, as skin shares it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..body_model import SMPL_JOINT_NAMES, SMPL_PARENTS
from ..rotation import axis_angle_to_matrix, matrix_to_quaternion


@dataclass(frozen=True)
class _Limb:
    """``share`` of the twist between trunk and end that the upper joint takes when the limb is straight;
    beyond ``end_limit``, radians, that twist is half a turn too much: the end's."""

    upper: str
    lower: str
    end: str
    share: float
    end_limit: float


_LIMBS = (
    _Limb("hip", "knee", "ankle", 0.8, np.pi),
    _Limb("shoulder", "elbow", "wrist", 0.5, np.radians(140)),
)
# A limb counts as straight below the first angle, as bent above the second; a twist is believed where it
# differs from what the end tells by less than the first, not where by more than the second. Degrees.
_BEND = (12.0, 30.0)
_DOUBT = (90.0, 130.0)
# Hands further from the usual pronation are half a turn off.
_HALF_TURN = np.radians(125.0)
_HIP_TURN = np.radians(100.0)


def twist_angle(R: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """The turn about ``axis`` in R = swing twist, in (-pi, pi] radians; the swing's axis is across ``axis``.

    ``R`` [..., 3, 3]; ``axis`` [3] -> [...].
    """
    q = matrix_to_quaternion(R)
    angle = 2 * np.arctan2(q[..., 1:] @ (axis / np.linalg.norm(axis)), q[..., 0])
    return _wrap(angle)


def repair_twists(G: np.ndarray, rest_joints: np.ndarray, pronation: float) -> np.ndarray:
    """World rotations with straight limbs' twists repaired and the forearms' pronation shared.

    ``G`` [T, 24, 3, 3]; ``rest_joints`` [24, 3]; ``pronation`` the usual twist of the left hand against the
    forearm, radians -> [T, 24, 3, 3].
    """
    G = G.copy()
    for side in ("left", "right"):
        usual = pronation if side == "left" else -pronation
        for limb in _LIMBS:
            _straight_limb(G, rest_joints, side, limb, usual if limb.end == "wrist" else 0.0)
        _share_pronation(G, rest_joints, side, usual)
    return G


def _joint(side: str, part: str) -> int:
    return SMPL_JOINT_NAMES.index(f"{side}_{part}")


def _bone(rest_joints: np.ndarray, joint: int) -> np.ndarray:
    bone = rest_joints[SMPL_PARENTS.index(joint)] - rest_joints[joint]
    return bone / np.linalg.norm(bone)


def _straight_limb(G: np.ndarray, rest_joints: np.ndarray, side: str, limb: _Limb, usual: float) -> None:
    upper, lower, end = (_joint(side, part) for part in (limb.upper, limb.lower, limb.end))
    upper_bone, lower_bone = _bone(rest_joints, upper), _bone(rest_joints, lower)
    twist = twist_angle(_local(G, upper), upper_bone)
    total = _wrap(twist + twist_angle(_local(G, end), lower_bone) - usual)
    total = np.where(np.abs(total) > limb.end_limit, _wrap(total + np.pi), total)
    doubt = _wrap(limb.share * total - twist)
    cosine = np.einsum("ti,ti->t", G[:, upper] @ upper_bone, G[:, lower] @ lower_bone)
    bend = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    change = doubt * (1 - _fade(bend, _BEND)) * _fade(np.degrees(np.abs(doubt)), _DOUBT)
    for joint, bone in ((upper, upper_bone), (lower, lower_bone)):
        G[:, joint] = G[:, joint] @ axis_angle_to_matrix(change[:, None] * bone)


def _wrap(angle: np.ndarray) -> np.ndarray:
    return np.pi - (np.pi - angle) % (2 * np.pi)


def _fade(value: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    x = np.clip((value - limits[0]) / (limits[1] - limits[0]), 0, 1)
    return x * x * (3 - 2 * x)


def _share_pronation(G: np.ndarray, rest_joints: np.ndarray, side: str, usual: float) -> None:
    elbow, wrist, hand = (_joint(side, part) for part in ("elbow", "wrist", "hand"))
    forearm = _bone(rest_joints, elbow)
    at_wrist = twist_angle(_local(G, wrist), forearm)
    wrong = np.abs(_wrap(at_wrist - usual)) > _HALF_TURN
    half_turn = axis_angle_to_matrix(np.pi * forearm)
    # The hand turns about the forearm as if the elbow's frame had: R_wrist -> turn R_wrist.
    G[wrong, wrist] = G[wrong, elbow] @ half_turn @ _local(G, wrist)[wrong]
    G[:, hand] = G[:, wrist]
    at_wrist = twist_angle(_local(G, wrist), forearm)
    at_elbow = twist_angle(_local(G, elbow), forearm)
    change = (at_wrist - at_elbow) / 2
    G[:, elbow] = G[:, elbow] @ axis_angle_to_matrix(change[:, None] * forearm)


def _local(G: np.ndarray, joint: int) -> np.ndarray:
    return np.swapaxes(G[:, SMPL_PARENTS[joint]], -1, -2) @ G[:, joint]


def plausible_poses(rotations: np.ndarray) -> np.ndarray:
    """Poses whose thighs a hip can turn so; CMU 05 has frames with a bent leg half a turn off.

    ``rotations`` [T, 24, 3, 3] in the parents' frames -> [T] bool.
    """
    hips = [_joint(side, "hip") for side in ("left", "right")]
    turn = twist_angle(rotations[:, hips], np.array([0.0, -1.0, 0.0]))
    return (np.abs(turn) < _HIP_TURN).all(axis=1)
