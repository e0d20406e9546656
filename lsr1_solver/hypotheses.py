"""What detectors get wrong: points far off the person, and limbs with their sides swapped.

A fit with a robust error survives both, but not unharmed. So a fit is looked at: points that no noise
explains are dropped and the person is read anew; where much is left unexplained, limbs are tried with left
and right exchanged.
"""

from __future__ import annotations

import numpy as np

from .view import PersonView

# A residual beyond this many units of 1 % of the height is no noise; at most so many points are dropped.
OUTLIER, MOST_DROPPED = 6.0, 5
# What leaving a point out costs: the fit of the rest must gain more than this for each.
DROPPED_COST = 8.0
# Energy a seen keypoint above which something may be wrong: nine in ten fits of clean points stay below it.
SUSPICIOUS = 1.0
# A hypothesis must explain this much of the energy away to be believed.
CONVINCING = 0.5
LEGS = ("hip", "knee", "ankle", "foot", "toe", "heel")
ARMS = ("shoulder", "elbow", "wrist", "hand", "thumb", "index", "middle", "ring", "pinky")
# Parts of landmark names; detectors swap whole limbs or their outer parts.
SWAPPED_LIMBS = (LEGS, LEGS[1:], ARMS, ARMS[1:])


def outliers(view: PersonView, residual: np.ndarray) -> np.ndarray:
    """Keypoints too far from the body to be noise, the worst first. -> [B, K'].

    ``residual`` [B, K', 2] in units of 1 % of the person's height. A frame keeps at least six points.
    """
    size = np.linalg.norm(residual, axis=-1) * (view.confidence > 0)
    if not (size > OUTLIER).any():
        return np.zeros(size.shape, dtype=bool)
    rank = np.argsort(np.argsort(-size, axis=1), axis=1)
    already = view.dropped.sum(axis=1)
    spare = np.minimum(MOST_DROPPED - already, np.sum(view.confidence > 0, axis=1) - 6)
    return (size > OUTLIER) & (rank < spare[:, None])


def exchanged(view: PersonView, parts: tuple[str, ...]) -> np.ndarray:
    """The order [K'] of keypoints with left and right exchanged in the landmarks that name these parts."""
    names = view.chain.landmarks
    place = {name: i for i, name in enumerate(names)}
    order = np.arange(len(names))
    for i, name in enumerate(names):
        side = "left" if "left" in name else "right"
        other = name.replace(side, "right" if side == "left" else "left")
        if any(part in name for part in parts) and other in place:
            order[i] = place[other]
    return order
