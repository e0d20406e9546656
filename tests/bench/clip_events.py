"""Cuts, exchanged sides and foot contacts: how often they are found, and how often seen where there are none.

``python -m tests.bench.clip_events``. Motion capture before one camera a clip (`training.clip_problems`): 1 %
noise that lasts three frames, 20 % missing in runs, and 2 % of the points moved by up to half a height. No
number is learned here; the thresholds were chosen by looking at such clips of all subjects. CMU is read at
every rate, ACCAD (recorded at 30 Hz) at 30.

1. cuts: false ones per 10,000 frames, of uncut clips as they are and with all sides exchanged now and then;
   the share found where a clip jumps elsewhere (by 0.15 and 0.3 of the height), goes on as another camera
   sees it, and leaves out 0.5 to 1.2 s (those that move the points by 0.1 of the height, in the median).
2. sides: frames falsely exchanged per 10,000 and clips in which any are; of runs of 0.1 to 1.3 s with sides
   exchanged, the share that is put right (over 70 % in common), for sides 0.05 of the height apart or
   farther; and the frames a run that stay wrong without a remark.
3. contacts against those of the true motion: of ankles and feet with a fit's errors (depth 20 to 60 mm,
   slowly; 10 mm a frame squared at 30 Hz), and of heels and toes in fits of the test split at 30 Hz.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from lsr1_solver import BodyModel, Camera, FitProblem, fit_pose, keypoints_2d, load_body_model
from lsr1_solver.body_model import SMPL_JOINT_NAMES
from lsr1_solver.contacts import find_contacts, foot_slide
from lsr1_solver.cuts import jump_cuts, mirror_places
from lsr1_solver.hypotheses import ARMS, LEGS
from lsr1_solver.keypoints import BODY_25
from lsr1_solver.kinematics import BETAS_START, PELVIS, keypoint_chain, pose_chain
from lsr1_solver.side_swaps import SideSwaps, side_swaps
from lsr1_solver.training.clip_problems import SyntheticClip, sample_clip
from lsr1_solver.training.problems import SHAPE_COUNT
from lsr1_solver.training.retarget import Motion, load_motions
from tests.bench.hmr_bench import LANDMARKS
from tests.bench.table import Row, options, show_tables
from tests.shared import SHARED

RATES, ACCAD_RATE = (24.0, 30.0, 60.0, 120.0), 30.0
OUTLIERS = 0.02
NAMES = tuple(LANDMARKS)
MIRROR = mirror_places(NAMES, len(NAMES))
FEET = [SMPL_JOINT_NAMES.index(f"{side}_{part}") for side in ("left", "right") for part in ("ankle", "foot")]
EXCHANGED: Mapping[str, tuple[str, ...]] = {
    "person": ("",), "legs": LEGS, "lower_legs": LEGS[1:], "arms": ARMS, "forearms": ARMS[1:],
}  # fmt: skip
APART, IN_COMMON, MOVED = 0.05, 0.7, 0.1
HEELS_AND_TOES = ("left_heel", "left_big_toe", "right_heel", "right_big_toe")
FITTED = 150  # frames of a fitted clip
# The true and the found points [T, P, 3], and the way up [3].
Feet = tuple[np.ndarray, np.ndarray, np.ndarray]


def filmed(motion: Motion, body: BodyModel, seed: int) -> SyntheticClip:
    """A motion before a camera, with outliers."""
    clip = sample_clip(motion, body, NAMES, seed=seed)
    random = np.random.default_rng([seed, 5])
    hit = (random.uniform(size=clip.confidence.shape) < OUTLIERS) & (clip.confidence > 0)
    shift = random.uniform(-0.5, 0.5, clip.xy.shape) * clip.person_height[:, None, None]
    return replace(clip, xy=clip.xy + hit[..., None] * shift)


def with_exchanged(clip: SyntheticClip, frames: np.ndarray, order: np.ndarray) -> SyntheticClip:
    """Some frames read in another order of the points."""
    xy, confidence = clip.xy.copy(), clip.confidence.copy()
    xy[frames], confidence[frames] = xy[frames][:, order], confidence[frames][:, order]
    return replace(clip, xy=xy, confidence=confidence)


def found_cuts(clip: SyntheticClip) -> np.ndarray:
    return jump_cuts(clip.xy, clip.confidence, clip.person_height, clip.frame_rate, NAMES)


def joined(first: SyntheticClip, then: SyntheticClip) -> SyntheticClip:
    """Two clips as one."""
    names = ("xy", "confidence", "xy_exact", "person_height")
    return replace(first, **{n: np.concatenate([getattr(first, n), getattr(then, n)]) for n in names})


def part(clip: SyntheticClip, frames: slice) -> SyntheticClip:
    """Some of a clip's frames."""
    names = ("xy", "confidence", "xy_exact", "person_height")
    return replace(clip, **{name: getattr(clip, name)[frames] for name in names})


def spliced(
    clip: SyntheticClip, other: SyntheticClip, random: np.random.Generator
) -> dict[str, tuple[SyntheticClip, int]]:
    """The clip with a cut of each kind, and at which frame it is."""
    rate = clip.frame_rate
    at = int(random.uniform(rate, len(clip) - 1.5 * rate))
    later = at + int(rate * random.uniform(0.5, 1.2))
    head, angle = part(clip, slice(0, at)), random.uniform(0, 2 * np.pi)
    tails = {"camera": part(other, slice(at, None)), "later": part(clip, slice(later, None))}
    for share in (0.15, 0.3):
        tail = part(clip, slice(at, None))
        shift = share * clip.person_height[at] * np.array([np.cos(angle), np.sin(angle)])
        tails[f"by_{share:.0%}".replace("%", "_percent")] = replace(
            tail, xy=tail.xy + shift, xy_exact=tail.xy_exact + shift
        )
    return {kind: (joined(head, tail), at) for kind, tail in tails.items()}


def cut_row(clips: Sequence[SyntheticClip], others: Sequence[SyntheticClip], rate: float) -> Row:
    random = np.random.default_rng(0)
    frames = sum(map(len, clips))
    false = [0, 0]
    hits: dict[str, list[bool]] = {"by_15_percent": [], "by_30_percent": [], "camera": [], "later": []}
    for clip, other in zip(clips, others, strict=True):
        now_and_then = np.arange(len(clip)) % round(rate) < 0.3 * rate
        for i, uncut in enumerate((clip, with_exchanged(clip, now_and_then, MIRROR))):
            false[i] += int(found_cuts(uncut).sum())
        if len(clip) > 3 * rate:
            for kind, (cut, at) in spliced(clip, other, random).items():
                way = np.linalg.norm(cut.xy_exact[at] - cut.xy_exact[at - 1], axis=-1)
                if np.median(way) > MOVED * cut.person_height[at - 1 : at + 1].mean():
                    hits[kind].append(bool(found_cuts(cut)[at]))
    per = 1e4 / frames
    row: dict[str, str | int | float] = {"hz": rate, "frames": frames, "false_per_10000": per * false[0]}
    row["false_exchanged_per_10000"] = per * false[1]
    return row | {f"found_{kind}": float(np.mean(hit)) for kind, hit in hits.items()}


def side_row(clips: Sequence[SyntheticClip], rate: float) -> Row:
    random = np.random.default_rng(1)
    false = [sides(clip) for clip in clips]
    per = 1e4 / sum(map(len, clips))
    row: dict[str, str | int | float] = {
        "hz": rate,
        "false_per_10000": per * sum(int(found.swapped.any(axis=1).sum()) for found in false),
        "false_clips": sum(bool(found.swapped.any()) for found in false),
        "unsure_per_10000": per * sum(int(found.unsure.sum()) for found in false),
    }
    silent: list[int] = []
    for kind, parts in EXCHANGED.items():
        named = [any(part in name for part in parts) for name in NAMES]
        moved = np.array(named) & (np.arange(len(NAMES)) != MIRROR)
        runs = [run for clip in clips if (run := exchanged_run(clip, moved, random)) is not None]
        right = 0
        for bad, wanted in runs:
            found = sides(bad)
            right += (found.swapped & wanted).sum() > IN_COMMON * (found.swapped | wanted).sum()
            silent.append(int(((found.swapped != wanted).any(axis=1) & ~found.unsure).sum()))
        row[kind] = right / len(runs)
    return row | {"silent_frames": float(np.mean(silent))}


def sides(clip: SyntheticClip) -> SideSwaps:
    return side_swaps(clip.xy, clip.confidence, NAMES, clip.person_height, clip.frame_rate)


def exchanged_run(
    clip: SyntheticClip, moved: np.ndarray, random: np.random.Generator
) -> tuple[SyntheticClip, np.ndarray] | None:
    """The clip with the ``moved`` [K] points exchanged in a run, and where they are [T, K].

    None where the clip is too short, or the sides too near to each other for it to matter.
    """
    length = round(random.uniform(0.1, 1.3) * clip.frame_rate)
    if len(clip) < length + 20:
        return None
    begin = int(random.integers(8, len(clip) - length - 8))
    frames = (np.arange(len(clip)) >= begin) & (np.arange(len(clip)) < begin + length)
    if _apart(clip, moved, begin, length) < APART:
        return None
    order = np.where(moved, MIRROR, np.arange(len(NAMES)))
    return with_exchanged(clip, frames, order), frames[:, None] & moved


def _apart(clip: SyntheticClip, moved: np.ndarray, begin: int, length: int) -> float:
    """How far apart the exchanged points are where the run begins or ends, in heights: the lesser."""
    apart = np.linalg.norm(clip.xy_exact - clip.xy_exact[:, MIRROR], axis=-1)[:, moved]
    share = np.median(apart, axis=1) / clip.person_height
    return float(min(share[begin], share[begin + length - 1]))


def with_errors(clip: SyntheticClip, seed: int) -> np.ndarray:
    """The feet [T, 4, 3] as a fit has them."""
    random = np.random.default_rng(seed)
    seconds = np.arange(len(clip)) / clip.frame_rate
    feet = clip.joints[:, FEET]

    def waves(hertz: float, count: int) -> np.ndarray:
        """Sums of three waves of about a frequency, unit variance. -> [T, count]."""
        frequency = hertz * random.uniform(0.5, 1.5, (3, count))
        phase = random.uniform(0, 2 * np.pi, (3, count))
        return np.sin(2 * np.pi * frequency * seconds[:, None, None] + phase).sum(axis=1) * np.sqrt(2 / 3)

    ray = feet / np.linalg.norm(feet, axis=-1, keepdims=True)
    depth = random.uniform(0.02, 0.06) * waves(0.3, 1) + 0.015 * waves(0.5, feet.shape[1])
    # A tremor of 4 mm at 30 Hz, whatever the rate.
    tremor = 0.004 * random.standard_normal((int(seconds[-1] * 30) + 2, feet[0].size))
    shaken = [np.interp(30 * seconds, np.arange(len(tremor)), column) for column in tremor.T]
    return feet + depth[..., None] * ray + np.stack(shaken, axis=-1).reshape(feet.shape)


def contact_row(moved: str, rate: float, feet: Sequence[Feet]) -> Row:
    """How well contacts of ``feet`` agree with those of the true ones; slides in mm a frame."""
    both = found_only = true_only = 0
    slides: list[tuple[float, float]] = []
    for true, seen, up in feet:
        wanted, found = find_contacts(true, up, rate), find_contacts(seen, up, rate, eye=np.zeros(3))
        both += int((found & wanted).sum())
        found_only += int((found & ~wanted).sum())
        true_only += int((wanted & ~found).sum())
        slides.append((foot_slide(true, wanted), foot_slide(seen, found)))
    own, fitted = np.mean(slides, axis=0).tolist()
    precision, recall = both / (both + found_only), both / (both + true_only)
    return {
        "moved": moved, "hz": rate, "precision": precision, "recall": recall, "true_slide_mm": own,
        "slide_mm": fitted,
    }  # fmt: skip


def fitted_feet(body: BodyModel, clips: int) -> list[Feet]:
    """Heels and toes of clips of the test split, fitted."""
    motions = load_motions(SHARED / "mocap", rate=ACCAD_RATE, splits=("test",))
    points = [NAMES.index(name) for name in HEELS_AND_TOES]
    chain = keypoint_chain(body, HEELS_AND_TOES, shape_count=SHAPE_COUNT)
    feet: list[Feet] = []
    for i, motion in enumerate(motions[:: len(motions) // clips]):
        motion = replace(motion, rotations=motion.rotations[:FITTED], root=motion.root[:FITTED])
        clip = sample_clip(motion, body, NAMES, seed=i)
        size = clip.image_size
        camera = Camera(np.array([clip.focal_length]), np.array(size) / 2, size)
        keypoints = keypoints_2d(clip.xy, clip.confidence, BODY_25, image_size=size)
        state = fit_pose(FitProblem(body, camera, keypoints, frame_rate=ACCAD_RATE))
        x = np.zeros((len(clip), chain.size))
        x[:, PELVIS], x[:, BETAS_START:] = clip.pelvis, clip.betas
        feet.append((pose_chain(chain, clip.rotations, x).points, state.points[:, points], clip.up))
    return feet


def main() -> None:
    """Three tables, a row a frame rate."""
    asked = options(__doc__)
    body = load_body_model()
    tables: dict[str, list[Row]] = {"cuts": [], "sides": [], "contacts": []}
    for rate in (ACCAD_RATE,) if asked.quick else RATES:
        pattern = "*/[05M]*_[0C]*" if asked.quick else "*" if rate == ACCAD_RATE else "cmu/*"
        motions = load_motions(SHARED / "mocap", rate=rate, pattern=pattern)
        # At higher rates as many frames as at 30 Hz will do.
        motions = motions[:: max(1, round(rate / ACCAD_RATE))]
        clips = [filmed(motion, body, i) for i, motion in enumerate(motions)]
        others = [filmed(motion, body, 10_000 + i) for i, motion in enumerate(motions)]
        tables["cuts"].append(cut_row(clips, others, rate))
        tables["sides"].append(side_row(clips, rate))
        feet = [(clip.joints[:, FEET], with_errors(clip, i), clip.up) for i, clip in enumerate(clips)]
        tables["contacts"].append(contact_row("with errors", rate, feet))
    feet = fitted_feet(body, 6 if asked.quick else 24)
    tables["contacts"].append(contact_row("fitted", ACCAD_RATE, feet))
    show_tables(tables, asked.json)


if __name__ == "__main__":
    main()
