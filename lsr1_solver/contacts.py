"""When a foot stands: contacts read off a motion, and how far feet slide while they stand.

A standing point is slow, and lies as low as it has been just before or will be just after. The floor need not
be known nor level: on stairs each step is the lowest place for its while, in a jump the apex never is.
"""

from __future__ import annotations

import numpy as np

# Metres a second below which a contact begins to be believed, and above which it ends. Across the line of
# sight a standing point of a fitted clip has 0.13 (median) to 0.3 (nine in ten), along it twice as much; a
# point that swings has 1 to 4.
STILL, MOVING = 0.22, 0.38
# How much the speed along the line of sight counts. It is nearly all error, but who walks towards the camera
# moves nearly all along it.
DEPTH = 0.2
# Metres above the lowest place nearby where a contact begins to be believed, and where it ends.
LOW, HIGH = 0.05, 0.1
# Metres above what carries the person at most, all feet taken together. A step of stairs is lower.
CARRIED = 0.35
# Seconds: within which places are nearby, within which something carries, and over which points are smoothed.
NEARBY, CARRYING, SMOOTHING = 0.5, 0.3, 0.03
# Seconds: shorter contacts are none, and shorter lapses are no end.
SHORTEST, LAPSE = 0.1, 0.05
# The share of a clip in which a point lies at its usual height above the lowest one or lower.
USUAL_HEIGHT = 0.1


def find_contacts(
    points: np.ndarray,
    up: np.ndarray,
    frame_rate: float,
    cuts: np.ndarray | None = None,
    eye: np.ndarray | None = None,
) -> np.ndarray:
    """Which points stand. -> [T, P] bool.

    ``points`` [T, P, 3] of the feet (heels, toes, ankles), metres in axes that stand still; ``up`` [3] away
    from the ground; ``frame_rate`` hertz; ``cuts`` [T] frames that begin a new shot, in another place.
    ``eye`` [3] or [T, 3] is where the camera is that the motion was read from: what it cannot see well, the
    way along its line of sight, counts less.
    """
    contacts = np.zeros(points.shape[:2], dtype=bool)
    rays = np.zeros_like(points)
    if eye is not None:
        rays = points - np.broadcast_to(eye, (len(points), 3))[:, None]
        rays = rays / np.maximum(np.linalg.norm(rays, axis=-1, keepdims=True), 1e-9)
    first = [] if cuts is None else np.flatnonzero(cuts).tolist()
    for begin, end in zip([0, *first], [*first, len(points)], strict=True):
        if end - begin > 1:
            shot = slice(begin, end)
            contacts[shot] = _in_shot(points[shot], rays[shot], up / np.linalg.norm(up), frame_rate)
    return contacts


def point_slides(points: np.ndarray, contacts: np.ndarray) -> np.ndarray:
    """How far standing points move, from the frame before, in mm. -> [T, P], NaN where they don't stand.

    ``points`` [T, P, 3] metres; ``contacts`` [T, P]. A slide counts where the point stands in both frames.
    """
    slides = np.full(contacts.shape, np.nan)
    slides[1:] = 1000 * np.linalg.norm(np.diff(points, axis=0), axis=-1)
    stands = np.zeros_like(contacts)
    stands[1:] = contacts[1:] & contacts[:-1]
    return np.where(stands, slides, np.nan)


def foot_slide(points: np.ndarray, contacts: np.ndarray) -> float:
    """The mean of `point_slides`: mm a frame in contact; 0 where nothing stands."""
    slides = point_slides(points, contacts)
    return float(np.nanmean(slides)) if np.isfinite(slides).any() else 0.0


def _in_shot(points: np.ndarray, rays: np.ndarray, up: np.ndarray, frame_rate: float) -> np.ndarray:
    smooth = _smoothed(points, SMOOTHING * frame_rate)
    velocity = np.gradient(smooth, axis=0) * frame_rate
    along = np.sum(velocity * rays, axis=-1, keepdims=True)
    speed = np.linalg.norm(velocity - (1 - DEPTH) * along * rays, axis=-1)
    height = smooth @ up
    nearby = max(1, round(NEARBY * frame_rate))
    before, after = _least_before(height, nearby), _least_before(height[::-1], nearby)[::-1]
    above = height - np.maximum(before, after)
    # An ankle is never as low as a toe: heights are compared beyond what is usual for the point.
    usual = np.quantile(height - height.min(axis=1, keepdims=True), USUAL_HEIGHT, axis=0)
    lowest = (height - usual).min(axis=1, keepdims=True)
    near = max(1, round(CARRYING * frame_rate))
    ground = np.minimum(_least_before(lowest, near), _least_before(lowest[::-1], near)[::-1])
    carried = height - usual - ground < CARRIED
    surely = (speed < STILL) & (above < LOW) & carried
    perhaps = (speed < MOVING) & (above < HIGH) & carried
    contacts = _runs_with(perhaps, surely)
    contacts = ~_without_short(~contacts, LAPSE * frame_rate)
    return _without_short(contacts, SHORTEST * frame_rate)


def _smoothed(points: np.ndarray, sigma: float) -> np.ndarray:
    """The points [T, P, 3] in a Gaussian mean over ``sigma`` frames; the ends are held."""
    reach = max(1, int(np.ceil(3 * sigma)))
    weight = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-3)) ** 2)
    weight /= weight.sum()
    padded = np.pad(points, ((reach, reach), (0, 0), (0, 0)), mode="edge")
    return np.sum([w * padded[i : i + len(points)] for i, w in enumerate(weight)], axis=0)


def _least_before(height: np.ndarray, reach: int) -> np.ndarray:
    """The least of the ``reach`` frames before each and of its own. [T, P] -> [T, P]."""
    least, width = height.copy(), 1
    # Doubling windows: the least of twice as many frames is that of two windows.
    while width < reach + 1:
        step = min(width, reach + 1 - width)
        least[step:] = np.minimum(least[step:], least[:-step].copy())
        width += step
    return least


def _runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The runs of equal values down each column [T, P]: which run every element is in, and their lengths."""
    columns = mask.T
    new = np.ones(columns.shape, dtype=bool)
    new[:, 1:] = columns[:, 1:] != columns[:, :-1]
    number = np.cumsum(new).reshape(columns.shape).T - 1
    return number, np.bincount(number.ravel())


def _runs_with(mask: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Those runs of ``mask`` that hold a seed."""
    number, lengths = _runs(mask)
    seeded = np.bincount(number[seeds & mask], minlength=len(lengths)) > 0
    return mask & seeded[number]


def _without_short(mask: np.ndarray, frames: float) -> np.ndarray:
    """The runs of ``mask`` that last ``frames`` or longer; shorter ones at an end may go on beyond it."""
    number, lengths = _runs(mask)
    long = lengths >= frames - 1e-6
    long[np.r_[number[0], number[-1]]] = True
    return mask & long[number]
