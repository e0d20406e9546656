"""How good each frame of a fitted clip is, and in words what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from .clip_motion import COMMON_RATE

# Mean error in % of the person's height. Of test poses with 1 % noise 99 in 100 stay below; those above are
# twice as far from the truth. A worse detector's usual error is allowed for: so many times the clip's median.
DISAGREES, USUAL_ERROR = 1.5, 2.0
# Fewer keypoints than this share of what the clip usually shows leave most of the body to the prior.
FEW = 0.5
# Detectors call what they guess at by such confidences, whatever their scale.
GUESSED = 0.25
# Metres a second by which feet in contact slide before it is seen; the recordings themselves have 0.1.
SLIDES, SLIDE_TIME = 0.25, 0.1
# Metres a second, and metres per second squared over JUMP_TIME: one frame in 10,000 of motion capture is
# faster, one in 1,000 jumps more, and most of these are the recording's mistakes.
FASTEST, JUMPS, JUMP_TIME = 15.0, 300.0, 1 / 30
# How bad a frame is beside one whose measure is at its limit, which is 1: without keypoints, and for each
# second to the nearest frame that has them; with exchanged sides; a cut is a mere remark.
BRIDGED, BRIDGED_SECOND, EXCHANGED, CUT = 1.5, 2.0, 1.2, 0.1
# Nothing is so bad that it hides how bad the rest is.
WORST = 5.0


@dataclass(frozen=True, eq=False)
class FittedClip:
    """What there is to judge by: T frames, K keypoints, J joints, P points of the feet.

    ``error`` [T, K] pixels from each used keypoint to its reprojection, NaN elsewhere; ``confidence``
    [T, K], 0 where missing; ``person_height`` [T] pixels; ``fitted`` [T] frames with keypoints enough for a
    pose; ``numbers`` [T] what the frames are called. Of a motion: ``frame_rate`` hertz; ``joints`` [T, J, 3]
    metres; ``slides`` [T, P] mm moved in contact, NaN where a point doesn't stand; ``cuts`` and ``unsure``
    [T] the frames that begin a shot, and those whose sides may be exchanged. None where frames are stills.
    """

    error: np.ndarray
    confidence: np.ndarray
    person_height: np.ndarray
    fitted: np.ndarray
    numbers: np.ndarray
    frame_rate: float | None = None
    joints: np.ndarray | None = None
    slides: np.ndarray | None = None
    cuts: np.ndarray | None = None
    unsure: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.error)


@dataclass(frozen=True, eq=False)
class ClipQuality:
    """Figures of T frames, NaN where there are none.

    ``reprojection_pixels`` and ``reprojection_percent`` (of the person's height) [T] means over the used
    keypoints, whose mean ``confidence`` [T] is; ``slide_mm`` [T] a frame, of the points in contact;
    ``speed`` [T] of the fastest joint, metres a second. ``reasons`` [T] says in sentences what is wrong,
    ``badness`` [T] how wrong it is: 0 nothing, 1 a measure at its limit.
    """

    reprojection_pixels: np.ndarray
    reprojection_percent: np.ndarray
    confidence: np.ndarray
    slide_mm: np.ndarray
    speed: np.ndarray
    reasons: tuple[tuple[str, ...], ...]
    badness: np.ndarray

    def worst(self) -> np.ndarray:
        """Frames to look at, the worst first: of every run of bad frames its worst. -> [N] indices."""
        bad = self.badness > 0
        run = np.cumsum(bad & ~np.r_[False, bad[:-1]])
        order = np.argsort(-self.badness, kind="stable")
        order = order[bad[order]]
        _, first = np.unique(run[order], return_index=True)
        return order[np.sort(first)]


def clip_quality(clip: FittedClip) -> ClipQuality:
    """Judge every frame of a clip."""
    used = np.isfinite(clip.error)
    pixels = _row_mean(clip.error)
    percent = 100 * pixels / clip.person_height
    confidence = _row_mean(np.where(used, clip.confidence, np.nan))
    slide = np.full(len(clip), np.nan) if clip.slides is None else _row_mean(clip.slides)
    speed, jump = _changes(clip)
    findings = [
        (partial(_bridge, clip, *_neighbours(clip)), _bridged(clip)),
        *_by_keypoints(clip, percent, confidence, used.sum(axis=1)),
        *_by_motion(clip, slide, speed, jump),
        *_by_marks(clip),
    ]
    reasons = tuple(tuple(say(t) for say, bad in findings if bad[t] > 0) for t in range(len(clip)))
    badness = np.sum([np.minimum(bad, WORST) for _, bad in findings], axis=0)
    return ClipQuality(pixels, percent, confidence, slide, speed, reasons, badness)


# A kind of trouble: how to say it of a frame, and how bad it is in each, [T], 0 where it isn't.
Finding = tuple[Callable[[int], str], np.ndarray]


def _by_keypoints(
    clip: FittedClip, percent: np.ndarray, confidence: np.ndarray, count: np.ndarray
) -> list[Finding]:
    fitted = clip.fitted
    limit = max(DISAGREES, USUAL_ERROR * _median(percent[fitted]))
    usual = _median(count[fitted].astype(float))
    fewest = FEW * usual
    return [
        (
            lambda t: f"keypoints disagree with the body: {percent[t]:.1f} % of height",
            np.where(fitted & (percent > limit), percent / limit, 0.0),
        ),
        (
            lambda t: f"only {count[t]} of the usual {usual:.0f} keypoints: the rest is a guess",
            np.where(fitted & (count < fewest), fewest / np.maximum(count, 1), 0.0),
        ),
        (
            lambda t: f"the detector is unsure: mean confidence {confidence[t]:.2f}",
            np.where(fitted & (confidence < GUESSED), GUESSED / np.maximum(confidence, 1e-3), 0.0),
        ),
    ]


def _by_motion(clip: FittedClip, slide: np.ndarray, speed: np.ndarray, jump: np.ndarray) -> list[Finding]:
    if clip.frame_rate is None:
        return []
    steady = _steady(slide, clip.frame_rate)
    sliding = steady * clip.frame_rate / 1000
    return [
        (
            lambda t: f"the feet slide {steady[t]:.0f} mm a frame",
            np.where(sliding > SLIDES, sliding / SLIDES, 0.0),
        ),
        (
            lambda t: f"a joint moves at {speed[t]:.0f} metres a second: faster than people do",
            np.where(speed > FASTEST, speed / FASTEST, 0.0),
        ),
        (lambda _: "the pose jumps", np.where(jump > JUMPS, jump / JUMPS, 0.0)),
    ]


def _by_marks(clip: FittedClip) -> list[Finding]:
    marks = (
        (clip.unsure, "left and right may be exchanged", EXCHANGED),
        (clip.cuts, "cut: nothing is blended across", CUT),
    )
    return [(lambda _, words=words: words, bad * mark) for mark, words, bad in marks if mark is not None]


def _bridged(clip: FittedClip) -> np.ndarray:
    """How bad frames without a pose of their own are: the worse, the farther from one that has it. [T]."""
    before, after = _neighbours(clip)
    frames, never = np.arange(len(clip)), len(clip)
    back, ahead = np.where(before < 0, never, frames - before), np.where(after < 0, never, after - frames)
    seconds = np.minimum(back, ahead) / (clip.frame_rate or COMMON_RATE)
    return np.where(clip.fitted, 0.0, BRIDGED + BRIDGED_SECOND * seconds)


def _bridge(clip: FittedClip, before: np.ndarray, after: np.ndarray, t: int) -> str:
    """What a frame has instead of keypoints enough."""
    count = int((clip.confidence[t] > 0).sum())
    what = f"only {count} keypoints" if count > 1 else "only 1 keypoint" if count else "no keypoints"
    known = [clip.numbers[i] for i in (before[t], after[t]) if i >= 0]
    if len(known) == 2:
        return f"{what}: bridged between frames {known[0]} and {known[1]}"
    return f"{what}: the pose of frame {known[0]} is held" if known else what


def _neighbours(clip: FittedClip) -> tuple[np.ndarray, np.ndarray]:
    """Of each frame the fitted ones of its shot at or before and at or after it, -1 where there is none."""
    frames, shot = np.arange(len(clip)), _shots(clip)
    before = np.maximum.accumulate(np.where(clip.fitted, frames, -1))
    after = np.minimum.accumulate(np.where(clip.fitted, frames, len(clip))[::-1])[::-1]
    at = np.stack([before, after])
    inside = np.clip(at, 0, len(clip) - 1)
    before, after = np.where((at == inside) & (shot[inside] == shot), at, -1)
    return before, after


def _shots(clip: FittedClip) -> np.ndarray:
    """[T] the number of the shot that each frame is in."""
    return np.zeros(len(clip), dtype=int) if clip.cuts is None else np.cumsum(clip.cuts)


def _changes(clip: FittedClip) -> tuple[np.ndarray, np.ndarray]:
    """Speed and acceleration [T] of the fastest joint, metres and seconds; NaN where shots meet."""
    speed, jump = np.full(len(clip), np.nan), np.full(len(clip), np.nan)
    if clip.joints is None or clip.frame_rate is None:
        return speed, jump
    shot = _shots(clip)
    step = np.linalg.norm(np.diff(clip.joints, axis=0), axis=-1).max(axis=1) * clip.frame_rate
    speed[1:] = np.where(shot[1:] == shot[:-1], step, np.nan)
    reach = max(1, round(JUMP_TIME * clip.frame_rate))
    if len(clip) > 2 * reach:
        bend = clip.joints[2 * reach :] - 2 * clip.joints[reach:-reach] + clip.joints[: -2 * reach]
        size = np.linalg.norm(bend, axis=-1).max(axis=1) * (clip.frame_rate / reach) ** 2
        jump[reach:-reach] = np.where(shot[2 * reach :] == shot[: -2 * reach], size, np.nan)
    return speed, jump


def _row_mean(values: np.ndarray) -> np.ndarray:
    """The mean of each row's finite values; NaN where it has none. [T, K] -> [T]."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else 0.0


def _steady(values: np.ndarray, frame_rate: float) -> np.ndarray:
    """The running mean over SLIDE_TIME; NaN stays. [T] -> [T]."""
    half = round(SLIDE_TIME / 2 * frame_rate)
    known = np.isfinite(values)
    window = np.ones(2 * half + 1)
    total = np.convolve(np.where(known, values, 0.0), window)[half : half + len(values)]
    count = np.convolve(known, window)[half : half + len(values)]
    return np.where(known, total / np.maximum(count, 1), np.nan)
