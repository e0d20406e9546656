"""Where a clip's fit is doubtful, frame by frame, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..lsr1_solver import FitState

# What is no longer usual: % of the height (and of the clip's median), confidence, mm a frame, keypoints.
_FAR, _FARTHER, _UNSURE, _SLIDING, _DROPPED = 2.5, 2.5, 0.35, 4.0, 3
# Frames of a gap over which a bridge is as good as lost.
_LONG_GAP = 15


@dataclass(frozen=True, eq=False)
class ClipQuality:
    """Of each of B frames: ``percent`` the reprojection error in % of the height, NaN where nothing was seen;
    ``confidence`` the detector's mean; ``slide`` the way of the fastest standing foot, mm a frame;
    ``score`` how doubtful it is, 0 where it is not, and then the ``reason``, else "".
    """

    percent: np.ndarray
    confidence: np.ndarray
    slide: np.ndarray
    score: np.ndarray
    reason: tuple[str, ...]

    def worst(self) -> list[int]:
        """The rows to look at, the worst first: of doubtful rows in succession the one that is worst."""
        doubtful = self.score > 0
        starts = np.flatnonzero(doubtful & ~np.concatenate([[False], doubtful[:-1]]))
        ends = np.flatnonzero(doubtful & ~np.concatenate([doubtful[1:], [False]])) + 1
        rows = [int(a + self.score[a:b].argmax()) for a, b in zip(starts, ends, strict=True)]
        return sorted(rows, key=lambda row: -self.score[row])


def clip_quality(state: FitState) -> ClipQuality:
    """The quality of the last state of a clip's fit."""
    confidence = state.view.problem.keypoints.confidence
    seen = np.maximum((confidence > 0).sum(axis=1), 1)
    error, count = state.reprojection_error, np.isfinite(state.reprojection_error).sum(axis=1)
    mean = np.nansum(error, axis=1) / np.maximum(count, 1)
    percent = np.where(count > 0, 100 * mean / state.person_height, np.nan)
    sure, slide = confidence.sum(axis=1) / seen, _slide(state)
    score, reason = np.zeros(len(seen)), [""] * len(seen)
    for excess, words in _doubts(state, percent, sure, slide):
        for row in np.flatnonzero(excess > 0):
            reason[row] = f"{reason[row]}; {words(row)}" if reason[row] else words(row)
        score += np.maximum(excess, 0)
    return ClipQuality(percent, sure, slide, score, tuple(reason))


def _doubts(
    state: FitState, percent: np.ndarray, sure: np.ndarray, slide: np.ndarray
) -> Iterator[tuple[np.ndarray, Callable[[int], str]]]:
    """Of each kind of doubt how far it goes beyond what is usual [B], and its words for a row."""
    fitted = state.fitted
    points = (state.view.problem.keypoints.confidence[:, state.view.problem.usable] > 0).sum(axis=1)
    yield (
        np.where(fitted, 0.0, 1 + _run_lengths(~fitted) / _LONG_GAP),
        lambda row: f"only {points[row]} keypoints" if points[row] else "no keypoints",
    )
    usual = max(_FAR, _FARTHER * float(np.nanmedian(percent[fitted])))
    far = np.where(fitted, np.nan_to_num(percent) / usual - 1, 0.0)
    yield far, lambda row: f"the body is {percent[row]:.1f} % of its height off the keypoints"
    dropped = state.dropped.sum(axis=1)
    yield dropped / (_DROPPED - 0.5) - 1, lambda row: f"{dropped[row]} keypoints not believed"
    yield (
        np.where(fitted, 1 - sure / _UNSURE, 0.0),
        lambda row: f"the detector is only {sure[row]:.0%} sure",
    )
    yield slide / _SLIDING - 1, lambda row: f"a standing foot slides {slide[row]:.0f} mm"
    if state.clip is not None:
        yield state.clip.unsure.astype(float), lambda row: "left and right may be exchanged"


def _slide(state: FitState) -> np.ndarray:
    """The way of the fastest foot that stands in this frame and the one before, mm. -> [B]."""
    slide = np.zeros(len(state.fitted))
    if state.clip is None or len(slide) < 2:
        return slide
    standing = state.clip.contacts[1:] & state.clip.contacts[:-1]
    way = 1000 * np.linalg.norm(np.diff(state.clip.feet, axis=0), axis=-1)
    slide[1:] = np.where(standing, np.nan_to_num(way), 0.0).max(axis=1)
    return slide


def _run_lengths(mask: np.ndarray) -> np.ndarray:
    """[B] the number of rows in the run that each set row belongs to, 0 elsewhere."""
    edges = np.flatnonzero(np.diff(mask.astype(int), prepend=0, append=0))
    lengths = np.zeros(len(mask))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        lengths[start:end] = end - start
    return lengths
