"""Accuracy in millimetres."""

import numpy as np


def mpjpe_mm(ours: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean distance of points after the roots (the first points) are aligned. [B, J, 3] metres -> [B] mm."""
    difference = (ours - ours[:, :1]) - (truth - truth[:, :1])
    return 1e3 * np.nanmean(np.linalg.norm(difference, axis=-1), axis=1)


def pa_mpjpe_mm(ours: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean distance after the best rotation, scale and move (Procrustes; Umeyama 1991).

    [B, J, 3] metres -> [B] mm. Points of which either is NaN don't count.
    """
    known = np.all(np.isfinite(ours) & np.isfinite(truth), axis=-1, keepdims=True)
    weight = known / known.sum(axis=1, keepdims=True)
    a, b = (np.where(known, p, 0.0) for p in (ours, truth))
    a, b = (p - np.sum(weight * p, axis=1, keepdims=True) for p in (a, b))
    U, S, Vt = np.linalg.svd(np.swapaxes(weight * a, 1, 2) @ b)
    # The last direction is flipped where the best orthogonal matrix would mirror.
    sign = np.stack([np.ones(len(a)), np.ones(len(a)), np.sign(np.linalg.det(U @ Vt))], axis=1)
    scale = np.sum(S * sign, axis=1) / np.sum(weight * a * a, axis=(1, 2))
    aligned = scale[:, None, None] * (a @ (U * sign[:, None]) @ Vt)
    distance = np.linalg.norm(aligned - b, axis=-1)
    return 1e3 * np.sum(weight[..., 0] * distance, axis=1)


def acceleration_error_mm(ours: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance of accelerations relative to the roots (the first points), mm a frame squared.

    [T, J, 3] metres each; as Kanazawa et al., *Learning 3D Human Dynamics from Video*, CVPR 2019.
    """
    difference = (ours - ours[:, :1]) - (truth - truth[:, :1])
    return 1e3 * float(np.nanmean(np.linalg.norm(np.diff(difference, 2, axis=0), axis=-1)))


def slide_mm(points: np.ndarray, standing: np.ndarray) -> float:
    """Mean way from frame to frame of what stands in both, mm; NaN where nothing does.

    ``points`` [T, P, 3] metres; ``standing`` [T, P] bool.
    """
    way = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    both = standing[1:] & standing[:-1]
    return 1e3 * float(way[both].mean()) if both.any() else float("nan")
