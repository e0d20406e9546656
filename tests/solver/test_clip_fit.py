"""A clip fitted as one problem: what it must do whatever the keypoints lack."""

from dataclasses import replace

import numpy as np
import pytest

from lsr1_solver import FitProblem, FitState, FitStatus, Pins, Weights, fit, fit_pose, posed_joints
from lsr1_solver import clip as clip_module
from lsr1_solver.body_model import SMPL_JOINT_NAMES
from lsr1_solver.clip import pieces
from lsr1_solver.clip_motion import FEET, read_clip
from lsr1_solver.contacts import foot_slide
from lsr1_solver.minimizer import LevenbergMarquardt
from lsr1_solver.problem import PARTS
from lsr1_solver.view import person_view
from tests.solver.moving_bodies import BODY, CAMERA, CHAIN, clip, motion, pixels

FRAMES = 60


def joints(state: FitState) -> np.ndarray:
    return posed_joints(BODY, state.pose)


def tremor(path: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(path, 2, axis=0), axis=-1).mean())


def noisy(frames: int = FRAMES, confidence: np.ndarray | None = None) -> tuple[np.ndarray, FitProblem]:
    """A motion's true joints, and the problem of its noisy keypoints."""
    pose, points = motion(frames)
    return posed_joints(BODY, pose), clip(points, noise=4.0, confidence=confidence)


def test_time_takes_the_tremor_and_part_of_the_error() -> None:
    truth, problem = noisy()
    each, tied = joints(fit_pose(replace(problem, frame_rate=None))), joints(fit_pose(problem))
    assert tremor(tied - truth) < tremor(each - truth) / 5

    def error(path: np.ndarray) -> float:
        return float(np.linalg.norm((path - path[:, :1]) - (truth - truth[:, :1]), axis=-1).mean())

    assert error(tied) < error(each)


def test_3d_keypoints_tell_depth_wherever_their_origin_is() -> None:
    pose, points = motion(FRAMES)
    truth, asked = posed_joints(BODY, pose), clip(points, noise=4.0)
    shaken = points + 0.01 * np.random.default_rng(1).normal(size=points.shape)
    where = np.random.default_rng(2).normal(size=(FRAMES, 1, 3))
    shaken[:, 3] = np.nan

    def error(problem: FitProblem) -> float:
        path = joints(fit_pose(problem))
        return float(np.linalg.norm((path - path[:, :1]) - (truth - truth[:, :1]), axis=-1).mean())

    told = error(replace(asked, keypoints_3d=shaken + where))
    assert told < 0.4 * error(asked)
    assert told < 0.02


def test_a_clip_has_one_shape_and_says_when_it_is_done() -> None:
    _, problem = noisy()
    state = fit_pose(problem)
    assert np.ptp(state.pose.betas, axis=0).max() < 1e-9
    assert state.status is FitStatus.CONVERGED
    assert state.clip is not None and state.clip.contacts.shape == (FRAMES, len(FEET))
    assert state.reprojection_percent < 1.5


def test_without_smoothing_frames_are_on_their_own() -> None:
    _, problem = noisy(12)
    alone = fit_pose(replace(problem, weights=Weights(temporal=0.0)))
    assert alone.clip is None
    assert np.ptp(alone.pose.betas, axis=0).max() < 1e-9


def test_gaps_are_bridged_and_marked() -> None:
    confidence = np.ones((FRAMES, 25))
    confidence[20:28] = 0
    truth, problem = noisy(confidence=confidence)
    state = fit_pose(problem)
    assert state.fitted.tolist() == [not 20 <= t < 28 for t in range(FRAMES)]
    path = joints(state)
    # Within the gap the body goes on where it was going: no jump at the edges, near the truth inside.
    steps = np.linalg.norm(np.diff(path, axis=0), axis=-1).max(axis=1)
    assert steps[19:28].max() < 2 * np.linalg.norm(np.diff(truth, axis=0), axis=-1).max()
    across = path[20:28, 0, :2] - truth[20:28, 0, :2]
    assert np.linalg.norm(across, axis=-1).max() < 0.1


@pytest.mark.parametrize("rate", [60.0, 120.0])
def test_the_same_motion_at_30_frames_a_second_and_more(rate: float) -> None:
    every = round(rate / 30)
    points = motion(every * FRAMES, rate=rate)[1]
    random = np.random.default_rng(4)
    confidence = (random.uniform(size=points.shape[:2]) > 0.2).astype(float)
    quick = clip(points, rate=rate, noise=4.0, confidence=confidence)
    slow = replace(quick.frames(slice(None, None, every)), frame_rate=30.0)
    fast, slower = fit_pose(quick), fit_pose(slow)
    path, other = joints(fast)[::every], joints(slower)
    apart = (path - path[:, :1]) - (other - other[:, :1])
    # Not nothing: of two noises only one is common to both.
    assert np.linalg.norm(apart, axis=-1).mean() < 0.007
    assert fast.clip is not None and slower.clip is not None
    assert np.array_equal(fast.clip.contacts[::every], slower.clip.contacts)
    # No corners where a frame was fitted before its neighbours.
    assert tremor(joints(fast)) < tremor(joints(slower)) / every**2


@pytest.mark.parametrize("pace", [1.0, 1000 / 1001])
def test_a_motion_is_read_at_the_same_moments_whatever_the_rate(pace: float) -> None:
    points = motion(2 * FRAMES, rate=60.0)[1]
    random = np.random.default_rng(4)
    confidence = (random.uniform(size=points.shape[:2]) > 0.2).astype(float)
    fast = person_view(clip(points, rate=60.0 * pace, noise=4.0, confidence=confidence))
    every_other = fast.frames(slice(0, None, 2))
    slow = replace(every_other, problem=replace(every_other.problem, frame_rate=30.0 * pace))
    np.testing.assert_allclose(read_clip(slow).rotations, read_clip(fast).rotations[::2], atol=1e-9)


def test_keypoints_in_odd_frames_alone_are_read_as_a_slower_clip() -> None:
    points = motion(2 * FRAMES, rate=60.0)[1]
    confidence = np.ones(points.shape[:2])
    confidence[::2] = 0
    fast = person_view(clip(points, rate=60.0, noise=4.0, confidence=confidence))
    odd = fast.frames(slice(1, None, 2))
    slow = replace(odd, problem=replace(odd.problem, frame_rate=30.0))
    np.testing.assert_allclose(read_clip(fast).rotations[1::2], read_clip(slow).rotations, atol=1e-9)


def test_gauss_newton_and_the_default_find_the_same_motion() -> None:
    _, problem = noisy(30)
    default = joints(fit_pose(problem))
    reference = joints(fit_pose(problem, LevenbergMarquardt(), max_iterations=20))
    apart = (default - default[:, :1]) - (reference - reference[:, :1])
    assert np.linalg.norm(apart, axis=-1).mean() < 0.03


def test_pieces_cover_a_clip_once_and_agree_where_they_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, problem = noisy(120)
    whole = joints(fit_pose(problem))
    monkeypatch.setattr(clip_module, "PIECE", 50)
    cut = np.zeros(120, dtype=bool)
    parts = pieces(cut, 30.0)
    assert [part.begin for part in parts[1:]] == [part.last for part in parts[:-1]]
    assert all(part.begin - part.first == 30 for part in parts[1:])
    state = fit_pose(problem)
    assert np.ptp(state.pose.betas, axis=0).max() < 1e-9
    path = joints(state)
    assert tremor(path - truth) < 1.5 * tremor(whole - truth)


def test_nothing_is_blended_across_a_cut() -> None:
    one, other = motion(40)[1], motion(40, seed=5)[1]
    points = np.concatenate([one, other + np.array([1.2, 0, -1.5])])
    state = fit_pose(clip(points, noise=2.0))
    assert state.clip is not None and np.flatnonzero(state.clip.cuts).tolist() == [40]
    assert tremor(joints(state)[:40]) < 0.02
    assert tremor(joints(state)[40:]) < 0.02
    # The step over the cut is that of the people, not smeared over its neighbours.
    hips = joints(state)[:, 0]
    assert np.linalg.norm(hips[40] - hips[39]) > 1.0
    assert np.linalg.norm(np.diff(hips[30:40], axis=0), axis=-1).max() < 0.1


def test_exchanged_sides_are_put_right() -> None:
    truth, problem = noisy()
    names = list(problem.keypoints.format.joints)
    mirrored = [
        names.index(n.replace("left", "R").replace("right", "left").replace("R", "right")) if n else i
        for i, n in enumerate(names)
    ]
    keypoints = problem.keypoints
    xy = keypoints.xy.copy()
    xy[20:30] = xy[20:30][:, mirrored]
    state = fit_pose(replace(problem, keypoints=replace(keypoints, xy=xy)))
    assert state.clip is not None
    assert (state.swapped.any(axis=1) | state.clip.unsure)[22:28].all()
    path = joints(state)
    apart = (path - path[:, :1]) - (truth - truth[:, :1])
    assert np.linalg.norm(apart[20:30], axis=-1).mean() < 0.12


def test_what_is_held_stays_and_its_neighbours_come_along() -> None:
    _, problem = noisy()
    before = fit_pose(problem).pose
    elbow = SMPL_JOINT_NAMES.index("left_elbow") - 1
    edited = replace(before, body_pose=before.body_pose.copy())
    edited.body_pose[30, elbow] += [0.0, 0.6, 0.0]
    held = np.full((FRAMES, len(PARTS)), np.inf)
    held[30, PARTS.index("left_elbow")] = 0.0
    after = fit_pose(replace(problem, held=held), initial=edited).pose
    assert np.array_equal(after.body_pose[30, elbow], edited.body_pose[30, elbow])
    changed = np.linalg.norm(after.body_pose[:, elbow] - before.body_pose[:, elbow], axis=-1)
    assert changed[29] > 0.1 and changed[31] > 0.1
    assert changed[[0, -1]].max() < 0.3 * changed[30]


def test_a_pinned_hand_comes_to_its_place() -> None:
    _, problem = noisy(30)
    free = joints(fit_pose(problem))
    hand = SMPL_JOINT_NAMES.index("left_wrist")
    target, sigma = np.full((30, 24, 3), np.nan), np.full((30, 24), 0.003)
    target[12:18, hand] = free[15, hand] + [0.0, 0.05, 0.0]
    pinned = joints(fit_pose(replace(problem, pins=Pins(target, sigma))))
    reached = np.linalg.norm(pinned[12:18, hand] - target[12:18, hand], axis=-1)
    assert reached.mean() < 0.02


def test_given_contacts_stand_still() -> None:
    _, problem = noisy()
    contacts = np.zeros((FRAMES, len(FEET)), dtype=bool)
    contacts[15:40, :2] = True
    state = fit_pose(replace(problem, contacts=contacts, weights=Weights()))
    assert state.clip is not None and np.array_equal(state.clip.contacts, contacts)
    sliding = fit_pose(replace(problem, contacts=contacts))
    assert sliding.clip is not None
    assert foot_slide(state.clip.feet, contacts) < 0.5 * foot_slide(sliding.clip.feet, contacts)


def test_a_moving_camera_leaves_the_person_in_the_world() -> None:
    pose, points = motion(FRAMES)
    truth = posed_joints(BODY, pose)
    to_world = np.tile(np.eye(4), (FRAMES, 1, 1))
    to_world[:, 0, 3] = np.linspace(0, 0.8, FRAMES)  # the camera travels to the right
    seen = points - to_world[:, None, :3, 3]
    problem = replace(clip(seen, noise=2.0), camera_to_world=to_world)
    in_world = joints(fit_pose(problem)) + to_world[:, None, :3, 3]
    # How far off somebody of unknown size is, no picture tells; where across the view, every one does.
    assert np.abs(in_world[:, 0, :2] - truth[:, 0, :2]).max() < 0.08
    assert tremor(in_world - truth) < 0.01


def test_a_fit_may_be_left_at_any_time_and_changes_nothing_of_the_callers() -> None:
    _, problem = noisy(20)
    kept = problem.keypoints.xy.copy()
    states = fit(problem)
    first = next(states)
    states.close()
    assert first.status is FitStatus.RUNNING and len(first.pose) == 20
    assert np.array_equal(problem.keypoints.xy, kept)


@pytest.mark.parametrize("frames", [2, 3, 5])
def test_the_shortest_clips(frames: int) -> None:
    _, points = motion(frames)
    state = fit_pose(clip(points))
    assert state.reprojection_percent < 2
    assert CHAIN.landmarks and pixels(points, CAMERA).shape == (frames, 25, 2)
