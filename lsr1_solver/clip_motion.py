"""A clip's motion in axes that stand still, and the smooth path that it follows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from .body_model import JOINT_COUNT, BodyPose
from .clip_chain import clip_chain
from .clip_initializer import load_clip_initializer
from .cosine_transform import cosine_transform, inverse_cosine_transform
from .initializer_input import arrange_input
from .rotation import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    quaternion_to_axis_angle,
    six_d_to_matrix,
)
from .starts import place_ahead
from .view import PersonView

# The points of the feet that may stand still.
FEET = ("left_heel", "left_big_toe", "right_heel", "right_big_toe")
# The frame rate at which weights count once a frame, hertz.
COMMON_RATE = 30.0
# Frames read a second, at least: the initializer's own neighbours are a tenth of a second apart.
READ_RATE = 10.0
# What is faster than this is no part of the path of root and pelvis, hertz.
PATH_FREQUENCY = 1.5


@dataclass(frozen=True, eq=False)
class ClipMotion:
    """T frames of a person in the clip's axes: the world's where the camera moves, else the camera's.

    ``rotations`` [T, 24, 3, 3], the root's in the clip's axes, the others' in their parents'; ``pelvis``
    [T, 3] metres; ``betas`` [S]; ``loss`` [T] what the keypoints leave unexplained; ``feet`` [T, 4, 3] the
    points FEET; ``contacts`` [T, 4] whether they stand still; ``dropped`` [T, K'] keypoints not believed.
    """

    rotations: np.ndarray
    pelvis: np.ndarray
    betas: np.ndarray
    loss: np.ndarray
    feet: np.ndarray
    contacts: np.ndarray
    dropped: np.ndarray

    def frames(self, index: np.ndarray | slice) -> ClipMotion:
        """Some frames alone."""
        parts = {f.name: getattr(self, f.name)[index] for f in fields(self) if f.name != "betas"}
        return replace(self, **parts)

    def filled(self, known: np.ndarray) -> ClipMotion:
        """This motion, which is that of the frames ``known`` [T] alone, with all others between them.

        What is said of a frame, such as that a foot stands, holds between two of which it is said.
        """
        before, after, _ = _neighbours(known)
        numbers = {name: curved_between(getattr(self, name), known) for name in ("pelvis", "loss", "feet")}
        said = {name: getattr(self, name) for name in ("contacts", "dropped")}
        both = {name: mask[before] & mask[after] for name, mask in said.items()}
        columns = curved_between(_columns(self.rotations), known)
        return replace(self, rotations=six_d_to_matrix(columns), **numbers, **both)

    def with_piece(self, piece: ClipMotion, first: int, begin: int) -> ClipMotion:
        """This motion with a piece in it from ``first`` on, drawn in gradually up to ``begin``."""
        last, fresh = first + len(piece.pelvis), begin - first
        if last - begin == len(self.pelvis):
            return piece
        share = np.ones(last - first)
        share[:fresh] = np.linspace(0, 1, fresh + 2)[1:-1]
        merged = {}
        for f in fields(self):
            own, new = getattr(self, f.name), getattr(piece, f.name)
            if f.name == "betas":
                merged[f.name] = new
                continue
            whole = own.copy()
            if f.name == "rotations":
                whole[first:last] = _blended(own[first:last], new, share)
            elif new.dtype == bool:
                whole[first + fresh : last] = new[fresh:]
            else:
                weight = share.reshape(-1, *([1] * (new.ndim - 1)))
                # Where the motion knows nothing yet (NaN), the piece's word stands.
                old = np.where(np.isfinite(own[first:last]), own[first:last], new)
                whole[first:last] = (1 - weight) * old + weight * new
            merged[f.name] = whole
        return replace(self, **merged)


def _blended(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Rotations [T, 24, 3, 3] between ``a`` and ``b``, close to each other."""
    fading = share < 1
    out, a = b.copy(), a[fading]
    mixed = a + share[fading, None, None, None] * (b[fading] - a)
    out[fading] = six_d_to_matrix(np.concatenate([mixed[..., 0], mixed[..., 1]], axis=-1))
    return out


def clip_axes(view: PersonView) -> tuple[np.ndarray, np.ndarray]:
    """From each frame's virtual camera to the clip's axes: rotations [T, 3, 3], and its places [T, 3]."""
    back = np.swapaxes(view.turn, -1, -2)
    to_world = view.problem.camera_to_world
    if to_world is None:
        return back, np.zeros((len(back), 3))
    return to_world[:, :3, :3] @ back, to_world[:, :3, 3]


def frame_rate_of(view: PersonView) -> float:
    """Frames a second, hertz; the common rate where the problem has none."""
    return view.problem.frame_rate or COMMON_RATE


def read_clip(view: PersonView, cuts: np.ndarray | None = None) -> ClipMotion:
    """A pose for every frame, read with a moment before and after it; what is not read lies in between.

    Some ten frames a second are read: the network's errors for frames nearer to each other are the same.
    ``cuts`` [T] is set where a new take begins: nothing is read across.
    """
    reader, count = load_clip_initializer(), len(view.turn)
    target, confidence = arrange_input(view.chain.landmarks, view.target, view.confidence)
    back, eye = clip_axes(view)
    edges = [0, *(() if cuts is None else np.flatnonzero(cuts[1:]) + 1), count]
    takes = [slice(begin, end) for begin, end in itertools.pairwise(edges)]
    rate = frame_rate_of(view)
    asked = _frames_to_read(view, takes, rate)
    read = [
        reader.predict(target[take], confidence[take], np.swapaxes(back, -1, -2)[take], rate, frames)
        for take in takes
        if len(frames := np.flatnonzero(asked[take]))
    ]
    rotations, betas = (np.concatenate(parts) for parts in zip(*read, strict=True))
    shape = betas[:, : view.chain.shape_count].mean(axis=0)
    chain = clip_chain(view.chain, np.tile(np.eye(3), (JOINT_COUNT, 1, 1)), rotations[:, 0])
    points = chain.keypoints(rotations, np.zeros((len(rotations), 3)), shape)
    places = place_ahead(points, view.target[asked], view.confidence[asked])
    rotations[:, 0] = back[asked] @ rotations[:, 0]
    pelvis = np.einsum("tij,tj->ti", back[asked], places) + eye[asked]
    turned = six_d_to_matrix(between(_columns(rotations), asked))
    return _motion(view, turned, between(pelvis, asked), shape)


def _frames_to_read(view: PersonView, takes: Sequence[slice], rate: float) -> np.ndarray:
    """Of every tenth of a second the frame that shows most, and the first and last of each take. -> [T].

    Those that a camera of COMMON_RATE would have taken come first, however little they show: a motion filmed
    at twice the rate is then read at the same moments.
    """
    known = view.problem.fitted_frames & np.any(view.confidence > 0, axis=1)
    step = frames_apart(rate, READ_RATE)
    shown = view.confidence.sum(axis=1)
    first = np.arange(len(known)) % frames_apart(rate, COMMON_RATE) == 0
    shown = np.where(known, shown + first * (1 + shown.max()), -1)
    rows = np.pad(shown, (0, -len(shown) % step), constant_values=-1).reshape(-1, step)
    asked = np.zeros(len(known), dtype=bool)
    asked[step * np.arange(len(rows)) + rows.argmax(axis=1)] = True
    for take in takes:
        best = known[take] & first[take]
        ends = np.flatnonzero(best if best.any() else known[take])
        asked[take][ends[:1]] = asked[take][ends[-1:]] = True
    return asked & known


def frames_apart(rate: float, slower: float) -> int:
    """Every how many-th frame of a clip at ``rate`` a camera at the ``slower`` rate would have taken."""
    # Video's 29.97 and 59.94 frames a second are 30 and 60 here.
    return max(1, int(rate / slower + 0.01))


def rough_height(xy: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """The longer side of the box about each frame's keypoints, pixels [T]; NaN where none are seen.

    ``xy`` [T, K, 2] pixels; ``confidence`` [T, K].
    """
    seen = (confidence > 0)[..., None]
    size = np.where(seen, xy, -np.inf).max(axis=1) - np.where(seen, xy, np.inf).min(axis=1)
    return np.where(seen.any(axis=(1, 2)), size.max(axis=1), np.nan)


def motion_of(view: PersonView, pose: BodyPose) -> ClipMotion:
    """A pose of all frames in camera axes, its shape the mean of the frames'."""
    rotations, pelvis, betas = view.turned(pose)
    back, eye = clip_axes(view)
    rotations = np.concatenate([back[:, None] @ rotations[:, :1], rotations[:, 1:]], axis=1)
    return _motion(view, rotations, np.einsum("tij,tj->ti", back, pelvis) + eye, betas.mean(axis=0))


def _motion(view: PersonView, rotations: np.ndarray, pelvis: np.ndarray, betas: np.ndarray) -> ClipMotion:
    """A motion that was not fitted yet."""
    frames = len(pelvis)
    return ClipMotion(
        rotations,
        pelvis,
        betas,
        np.full(frames, np.nan),
        np.full((frames, len(FEET), 3), np.nan),
        np.zeros((frames, len(FEET)), dtype=bool),
        np.zeros(view.confidence.shape, dtype=bool),
    )


def between(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values of the known frames, [F, ...], for all frames [T, ...]: on straight lines between them.

    ``known`` [T] has F frames set; before the first and after the last their values stay.
    """
    if known.all():
        return values
    before, after, share = _neighbours(known)
    share = share.astype(values.dtype).reshape(-1, *([1] * (values.ndim - 1)))
    return values[before] * (1 - share) + values[after] * share


def curved_between(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """As `between`, on curves that have no corners where the known frames are evenly spread.

    Catmull and Rom, *A class of local interpolating splines*, 1974.
    """
    before, after, s = _neighbours(known)
    frames = (np.maximum(before - 1, 0), before, after, np.minimum(after + 1, len(values) - 1))
    weights = (-s * (1 - s) ** 2, 2 - 5 * s**2 + 3 * s**3, s + 4 * s**2 - 3 * s**3, -(s**2) * (1 - s))
    shape = (-1, *([1] * (values.ndim - 1)))
    parts = (0.5 * w.reshape(shape) * values[frame] for w, frame in zip(weights, frames, strict=True))
    return np.sum(list(parts), axis=0).astype(values.dtype)


def _columns(rotations: np.ndarray) -> np.ndarray:
    """The first two columns of rotations [..., 3, 3], one after the other. -> [..., 6]."""
    return np.concatenate([rotations[..., 0], rotations[..., 1]], axis=-1)


def _neighbours(known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every frame [T] the known ones before and after it, by their number among the known, and how far it
    has come from one to the other. Beyond the ends both are the same.
    """
    frames, at = np.arange(len(known)), np.flatnonzero(known)
    after = np.clip(np.searchsorted(at, frames), 0, len(at) - 1)
    before = np.maximum(after - (at[after] > frames), 0)
    return before, after, np.clip((frames - at[before]) / np.maximum(at[after] - at[before], 1), 0, 1)


def low_pass(values: np.ndarray, frame_rate: float) -> np.ndarray:
    """``values`` [..., T] without what is faster than a path may be; its ends are free."""
    count = values.shape[-1]
    frequency = np.arange(count) * frame_rate / (2 * count)
    return inverse_cosine_transform(cosine_transform(values) / (1 + (frequency / PATH_FREQUENCY) ** 4))


def smooth_rotations(rotations: np.ndarray, frame_rate: float) -> np.ndarray:
    """The path that rotations [T, 3, 3] follow, without their tremor."""
    q = matrix_to_quaternion(rotations)
    signs = np.where(np.sum(q[1:] * q[:-1], axis=1) < 0, -1.0, 1.0)
    q[1:] *= np.cumprod(signs)[:, None]
    q = low_pass(q.T, frame_rate).T
    return axis_angle_to_matrix(quaternion_to_axis_angle(q / np.linalg.norm(q, axis=1, keepdims=True)))


def bridge_gaps(pose: BodyPose, known: np.ndarray) -> BodyPose:
    """Poses for the frames that have none: turned and moved evenly between the nearest known frames.

    ``known`` [B] with at least one frame set; before the first and after the last the pose is held.
    """
    before, after, share = _neighbours(known)

    def turned(omega: np.ndarray) -> np.ndarray:
        R = axis_angle_to_matrix(omega[known])
        way = matrix_to_axis_angle(R[after] @ np.swapaxes(R[before], -1, -2))
        w = share.reshape(-1, *([1] * (omega.ndim - 1)))
        moved = matrix_to_axis_angle(axis_angle_to_matrix(w * way) @ R[before])
        return np.where(known.reshape(w.shape), omega, moved)

    return BodyPose(
        turned(pose.global_orient),
        turned(pose.body_pose),
        between(pose.betas[known], known),
        between(pose.transl[known], known),
    )
