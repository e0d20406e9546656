"""What is said of each frame of a clip, and which frames are shown first."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lsr1_solver import FitProblem, camera_from_focal, fit_pose, load_body_model, read_keypoints
from lsr1_solver.quality import ClipQuality, FittedClip, clip_quality
from lsr1_solver.report import report, summary
from tests.bench.walk_sample import WALK

FRAMES, POINTS, HEIGHT = 60, 20, 400.0


def good_clip(frames: int = FRAMES, rate: float | None = 30.0) -> FittedClip:
    """A person who stands with arms that swing, seen well: 0.8 % of the height off."""
    error = np.full((frames, POINTS), 0.008 * HEIGHT)
    joints = np.zeros((frames, 24, 3))
    joints[:, 20, 2] = 0.3 * np.sin(2 * np.pi * np.arange(frames) / (rate or 30.0))
    return FittedClip(
        error,
        np.full((frames, POINTS), 0.8),
        np.full(frames, HEIGHT),
        np.ones(frames, dtype=bool),
        np.arange(1001, 1001 + frames),
        rate,
        joints,
        np.full((frames, 4), 0.5),
        np.zeros(frames, dtype=bool),
        np.zeros(frames, dtype=bool),
    )


def bad_frames(quality: ClipQuality) -> dict[int, tuple[str, ...]]:
    return {t: reasons for t, reasons in enumerate(quality.reasons) if reasons}


def marked(*frames: int) -> np.ndarray:
    return np.isin(np.arange(FRAMES), frames)


def without(clip: FittedClip, frames: slice) -> FittedClip:
    error, confidence, fitted = clip.error.copy(), clip.confidence.copy(), clip.fitted.copy()
    error[frames], confidence[frames], fitted[frames] = np.nan, 0.0, False
    return replace(clip, error=error, confidence=confidence, fitted=fitted)


def test_a_good_clip_needs_no_word() -> None:
    quality = clip_quality(good_clip())
    assert bad_frames(quality) == {}
    assert not quality.badness.any()
    assert quality.worst().tolist() == []
    assert quality.reprojection_percent == pytest.approx(np.full(FRAMES, 0.8))
    assert quality.reprojection_pixels == pytest.approx(np.full(FRAMES, 3.2))
    assert quality.confidence == pytest.approx(np.full(FRAMES, 0.8))
    assert quality.slide_mm == pytest.approx(np.full(FRAMES, 0.5))
    assert np.nanmax(quality.speed) == pytest.approx(0.3 * 2 * np.pi, rel=0.01)


def test_frames_without_keypoints_name_their_neighbours() -> None:
    quality = clip_quality(without(good_clip(), slice(13, 19)))
    words = ("no keypoints: bridged between frames 1013 and 1020",)
    assert bad_frames(quality) == dict.fromkeys(range(13, 19), words)
    assert quality.worst().tolist() in ([15], [16])
    assert np.isnan(quality.reprojection_pixels[13:19]).all()


def test_frames_before_the_first_and_after_the_last_hold_a_pose() -> None:
    quality = clip_quality(without(without(good_clip(), slice(0, 2)), slice(58, 60)))
    assert quality.reasons[0] == ("no keypoints: the pose of frame 1003 is held",)
    assert quality.reasons[59] == ("no keypoints: the pose of frame 1058 is held",)


def test_nothing_is_bridged_across_a_cut() -> None:
    quality = clip_quality(replace(without(good_clip(), slice(20, 25)), cuts=marked(25)))
    assert quality.reasons[22] == ("no keypoints: the pose of frame 1020 is held",)
    assert quality.reasons[25] == ("cut: nothing is blended across",)
    assert quality.worst().tolist()[0] == 24


def test_too_few_keypoints_are_counted() -> None:
    clip = without(good_clip(), slice(30, 31))
    clip.confidence[30, :4] = 0.9
    assert clip_quality(clip).reasons[30] == ("only 4 keypoints: bridged between frames 1030 and 1032",)
    clip = good_clip()
    clip.error[40, 8:] = np.nan
    words = "only 8 of the usual 20 keypoints: the rest is a guess"
    assert bad_frames(clip_quality(clip)) == {40: (words,)}


def test_disagreement_is_said_in_parts_of_the_height() -> None:
    clip = good_clip()
    clip.error[7] = 0.041 * HEIGHT
    words = "keypoints disagree with the body: 4.1 % of height"
    assert bad_frames(clip_quality(clip)) == {7: (words,)}


def test_a_detector_with_more_noise_is_not_blamed_for_every_frame() -> None:
    clip = good_clip()
    assert not clip_quality(replace(clip, error=2.2 * clip.error)).badness.any()


def test_guessed_keypoints_are_named() -> None:
    clip = good_clip()
    clip.confidence[5] = 0.1
    assert bad_frames(clip_quality(clip)) == {5: ("the detector is unsure: mean confidence 0.10",)}


@pytest.mark.parametrize("rate", [24.0, 60.0])
def test_feet_slide_at_a_speed_whatever_the_rate(rate: float) -> None:
    slides = np.full((FRAMES, 4), np.nan)
    slides[20:40, 1:] = 1000 * 0.3 / rate
    quality = clip_quality(replace(good_clip(rate=rate), slides=slides))
    words = f"the feet slide {300 / rate:.0f} mm a frame"
    assert bad_frames(quality) == dict.fromkeys(range(20, 40), (words,))
    slow = clip_quality(replace(good_clip(rate=rate), slides=slides / 2))
    assert not slow.badness.any()


def test_a_pose_that_jumps_and_a_joint_that_flies() -> None:
    clip = good_clip()
    joints = np.zeros((FRAMES, 24, 3))
    joints[30, 5, 1] = 0.3
    quality = clip_quality(replace(clip, joints=joints))
    assert quality.reasons[30] == ("the pose jumps",)
    joints = np.zeros((FRAMES, 24, 3))
    joints[:, 5, 1] = 20.0 * np.arange(FRAMES) / 30
    quality = clip_quality(replace(clip, joints=joints))
    assert quality.reasons[30] == ("a joint moves at 20 metres a second: faster than people do",)
    joints = np.zeros((FRAMES, 24, 3))
    joints[30:, :, 1] = 3.0
    assert bad_frames(clip_quality(replace(clip, joints=joints, cuts=marked(30)))) == {
        30: ("cut: nothing is blended across",)
    }


def test_the_worst_of_each_run_comes_first() -> None:
    clip = good_clip()
    clip.error[10] = 0.03 * HEIGHT
    clip.error[40:43] = np.array([0.02, 0.05, 0.03])[:, None] * HEIGHT
    quality = clip_quality(replace(clip, unsure=marked(20, 21), cuts=marked(50)))
    assert quality.reasons[20] == ("left and right may be exchanged",)
    assert quality.worst().tolist() == [41, 10, 20, 50]


def test_stills_are_judged_by_their_keypoints_alone() -> None:
    clip = replace(good_clip(rate=None), joints=None, slides=None, cuts=None, unsure=None)
    clip.error[3] = 0.03 * HEIGHT
    quality = clip_quality(clip)
    assert list(bad_frames(quality)) == [3]
    assert np.isnan(quality.speed).all()
    assert np.isnan(quality.slide_mm).all()


@pytest.mark.parametrize("frames", [1, 2])
def test_short_and_empty_clips(frames: int) -> None:
    clip = good_clip(frames)
    assert not clip_quality(clip).badness.any()
    empty = clip_quality(without(clip, slice(None)))
    assert empty.reasons == (("no keypoints",),) * frames


def test_a_fit_of_real_keypoints_says_where_it_is_doubtful() -> None:
    keypoints = read_keypoints(WALK / "keypoints", format="BODY_25B")[0].frames(slice(20, 60))
    confidence, xy = keypoints.confidence.copy(), keypoints.xy.copy()
    confidence[10:16], xy[10:16] = 0.0, 0.0
    problem = FitProblem(
        load_body_model(),
        camera_from_focal(1674, (1080, 1920)),
        replace(keypoints, confidence=confidence, xy=xy),
        frame_rate=60.0,
    )
    figures = report(fit_pose(problem), "lsr1", 1.0)
    words = ["no keypoints: bridged between frames 29 and 36"]
    assert [frame["frame"] for frame in figures["frames"] if words[0] in frame["reasons"]] == [*range(30, 36)]
    assert figures["worst_frames"][0] in range(30, 36)
    fine = [frame for frame in figures["frames"] if not frame["reasons"]]
    assert len(fine) >= 25
    assert all(frame["badness"] == 0 and (frame["metres_per_second"] or 0) < 10 for frame in fine)
    json.dumps(figures, allow_nan=False)
    assert "frame 3" in summary(figures)
