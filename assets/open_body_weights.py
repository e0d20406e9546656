"""Skinning weights of the open body, refined from MakeHuman's for plain linear blend skinning."""

from __future__ import annotations

import numpy as np
from open_body_rig import joint

from lsr1_solver.body_model import SMPL_JOINT_NAMES

# The perineum, from the middle of the hips, metres.
CROTCH = np.array([0.0, -0.085, -0.01])
COLLAR_SHARE = 0.8
# Joints whose step from bone to bone is too steep: radius (metres) and rounds of smoothing.
JOINT_SMOOTHING = (("knee", 0.12, 6), ("elbow", 0.09, 4))


def neighbours(quads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mesh's edges in both directions. ``quads`` [Q, 4] -> two [E]."""
    pairs = np.concatenate([np.stack([quads[:, i], quads[:, (i + 1) % 4]], axis=1) for i in range(4)])
    pairs = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
    return pairs[:, 0], pairs[:, 1]


def smooth(weights: np.ndarray, quads: np.ndarray, rounds: int, amount: np.ndarray) -> np.ndarray:
    """Weights averaged over the mesh's edges, ``amount`` [V] of the way in each round."""
    start, end = neighbours(quads)
    degree = np.bincount(start, minlength=len(weights))[:, None]
    for _ in range(rounds):
        mean = np.zeros_like(weights)
        np.add.at(mean, start, weights[end])
        weights = weights + amount[:, None] * (mean / np.maximum(degree, 1) - weights)
    return weights


def bump(v: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """1 at the centre, 0 from ``radius`` metres on, smooth. ``v`` [V, 3] -> [V]."""
    t = np.clip(1 - np.linalg.norm(v - centre, axis=1) / radius, 0, 1)
    return t * t * (3 - 2 * t)


def refine(weights: np.ndarray, v: np.ndarray, joints: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """The weights to ship, from the folded ones. ``v`` [V, 3] and ``joints`` [24, 3] in the T-pose.

    MakeHuman leaves the skin between the thighs to the pelvis alone: in a squat it would hang out.
    """
    hips = joints[[joint("left_hip"), joint("right_hip")]]
    between = hips.mean(axis=0) + CROTCH
    weights = smooth(weights, quads, 60, 0.5 * np.minimum(1, 1.6 * bump(v, between, 0.15)))
    for side in ("left", "right"):
        for name, radius, rounds in JOINT_SMOOTHING:
            weights = smooth(weights, quads, rounds, 0.5 * bump(v, joints[joint(f"{side}_{name}")], radius))
    for side in ("left", "right"):
        lend_to_collar(weights, side)
    return smooth(weights, quads, 2, np.full(len(v), 0.5))


def lend_to_collar(weights: np.ndarray, side: str) -> None:
    """Give a collar more of the skin it shares with the trunk, in place. ``weights`` [V, 24].

    MakeHuman's collar bones carry half of any vertex at most; SMPL's lift the whole shoulder.
    """
    collar = weights[:, joint(f"{side}_collar")]
    for name in ("spine3", "neck"):
        trunk = weights[:, joint(name)]
        lent = COLLAR_SHARE * collar * trunk / np.maximum(collar + trunk, 1e-9)
        trunk -= lent
        collar += lent


def four_a_vertex(weights: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """The same on both sides, the four largest a vertex, summing to 1. [V, 24] -> [V, 24]."""
    other = {"left": "right", "right": "left"}
    swap = [
        SMPL_JOINT_NAMES.index(f"{other[side]}_{rest}")
        if (side := name.partition("_")[0]) in other and (rest := name.partition("_")[2])
        else index
        for index, name in enumerate(SMPL_JOINT_NAMES)
    ]
    weights = (weights + weights[mirror][:, swap]) / 2
    fifth = np.sort(weights, axis=1)[:, -5]
    weights = np.where(weights > np.maximum(fifth, 1e-3)[:, None], weights, 0.0)
    return weights / weights.sum(axis=1, keepdims=True)
