"""Synthetic problems: what a camera would see, with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from lsr1_solver.camera import Camera, project
from lsr1_solver.errors import FitError
from lsr1_solver.keypoint_formats import COCO_17
from lsr1_solver.model_file import load_body_model
from lsr1_solver.pose_prior import load_pose_prior
from lsr1_solver.rotation import axis_angle_to_matrix
from lsr1_solver.training.pose_prior import sample_poses
from lsr1_solver.training.problems import SyntheticProblems, camera_views, sample_problems
from lsr1_solver.training.retarget import Motion

LANDMARKS = tuple(joint for joint in COCO_17.joints if joint)


def _motions() -> list[Motion]:
    poses = sample_poses(load_pose_prior(), 60, seed=5)
    return [
        Motion("a/1", "test", "A", poses[:20], np.zeros((20, 3)), 10.0),
        Motion("b/1", "test", "B", poses[20:], np.zeros((40, 3)), 10.0),
    ]


def _problems(seed: int = 0, noise: float = 0.01, missing: float = 0.2, views: int = 4) -> SyntheticProblems:
    return sample_problems(
        _motions(), load_body_model(), LANDMARKS, seed=seed, views=views, noise=noise, missing=missing
    )


def test_a_seed_gives_the_same_problems_and_another_seed_others() -> None:
    a, b, c = _problems(0), _problems(0), _problems(1)
    np.testing.assert_array_equal(a.xy, b.xy)
    np.testing.assert_array_equal(a.rotations, b.rotations)
    assert np.abs(a.pelvis - c.pelvis).max() > 0.1


def test_cameras_do_not_depend_on_noise_and_gaps() -> None:
    a, b = _problems(), _problems(noise=0.05, missing=0.0)
    np.testing.assert_array_equal(a.pelvis, b.pelvis)
    np.testing.assert_array_equal(a.xy_exact, b.xy_exact)


def test_keypoints_are_the_joints_seen_by_the_camera() -> None:
    body = load_body_model()
    names = tuple(f"{side}_{part}" for side in ("left", "right") for part in ("knee", "elbow", "hip"))
    problems = sample_problems(_motions(), body, names, seed=3, noise=0.0, missing=0.0)
    width, height = problems.image_size
    camera = Camera(problems.focal_length, np.array([width / 2, height / 2]), problems.image_size)
    seen = project(camera, problems.joints)[:, [4, 18, 1, 5, 19, 2]]
    np.testing.assert_allclose(problems.xy, seen, atol=1e-6)
    np.testing.assert_allclose(problems.joints[:, 0], problems.pelvis, atol=1e-12)


def test_everyone_is_in_the_picture_and_seen_from_many_sides() -> None:
    problems = _problems()
    assert (problems.xy_exact > 0).all()
    assert (problems.xy_exact < problems.image_size).all()
    distance = -problems.pelvis[:, 2]
    assert distance.min() < 2.5 and distance.max() > 8
    lens = problems.focal_length * 36 / max(problems.image_size)
    assert lens.min() >= 26 - 1e-9 and lens.max() > 80
    facing = problems.rotations[:, 0, 2, 2]
    assert (facing > 0.5).any() and (facing < -0.5).any()
    up = problems.rotations[:, 0, 1, 1]
    assert up.min() > 0.4  # never upside down: the cameras are level within their limits
    assert np.abs(problems.betas.std() - 1) < 0.1


def test_a_camera_above_sees_the_head_nearer() -> None:
    upright = np.broadcast_to(np.eye(3), (200, 24, 3, 3))
    views = camera_views([Motion("a", "test", "A", upright, np.zeros((200, 3)), 10.0)], seed=0, views=1)
    # y of the body in camera axes: towards the camera (+z) when it looks down, by 60 degrees at most.
    pitch = np.degrees(np.arctan2(views.rotations[:, 0, 2, 1], views.rotations[:, 0, 1, 1]))
    assert -32 < pitch.min() < -20 and 50 < pitch.max() < 62


def test_noise_and_gaps_have_the_size_asked_for() -> None:
    problems = _problems(views=20)
    seen = problems.confidence > 0
    assert abs((1 - seen.mean()) - 0.2) < 0.01
    assert (problems.xy[~seen] == 0).all()
    share = (problems.xy - problems.xy_exact)[seen] / np.broadcast_to(
        problems.person_height[:, None, None], problems.xy.shape
    )[seen]
    assert share.std() == pytest.approx(0.01, rel=0.03)


def test_groups_follow_their_motions_and_broken_poses_are_left_out() -> None:
    problems = _problems(views=2)
    motions = _motions()
    broken = motions[0].rotations.copy()
    broken[3, 1] = axis_angle_to_matrix(np.array([0.0, 3.0, 0.0]))
    motions[0] = Motion("a/1", "test", "A", broken, np.zeros((20, 3)), 10.0)
    fewer = camera_views(motions, seed=0, views=2)
    assert len(problems) - len(fewer.group) == 2
    assert (problems.group == "B").sum() == 80


def test_an_unknown_landmark_and_no_motion_are_refused() -> None:
    with pytest.raises(FitError, match="tail"):
        sample_problems(_motions(), load_body_model(), ("tail",), seed=0)
    with pytest.raises(FitError, match="no motion"):
        camera_views([], seed=0)
