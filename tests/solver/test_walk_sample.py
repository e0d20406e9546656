"""The sample walk and its triangulation, which benchmarks take for the truth."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.bench.walk_sample import WALK, CalibratedCamera, WalkSample, load_walk, triangulate

HEAD_TOP, LEFT_HIP, LEFT_ANKLE, RIGHT_ANKLE = 18, 11, 15, 16


@pytest.fixture(scope="module")
def walk() -> WalkSample:
    return load_walk()


def distorted(camera: CalibratedCamera, points: np.ndarray) -> np.ndarray:
    """OpenCV's projection, distortion included. [..., 3] metres -> [..., 2] pixels."""
    cv2 = pytest.importorskip("cv2")
    pixels, _ = cv2.projectPoints(
        points.reshape(-1, 3),
        cv2.Rodrigues(camera.rotation)[0],
        camera.translation,
        camera.intrinsics,
        camera.distortion,
    )
    return pixels.reshape(*points.shape[:-1], 2)


def seen(walk: WalkSample, points: np.ndarray) -> WalkSample:
    """The walk's cameras, here with lenses that distort visibly, looking at made points [T, 25, 3]."""
    lens = np.array([-0.05, 0.14, 0.001, -0.001])
    cameras = tuple(replace(c, distortion=lens) for c in walk.cameras)
    pixels = np.stack([distorted(c, points) for c in cameras])
    return WalkSample(np.concatenate([pixels, np.ones((*pixels.shape[:-1], 1))], axis=-1), cameras, 60.0)


def test_exact_points_are_recovered(walk: WalkSample) -> None:
    points = np.random.default_rng(0).normal([0, 0, 1], 0.4, (5, 25, 3))
    result = triangulate(seen(walk, points))
    np.testing.assert_allclose(result.points, points, atol=1e-6)
    assert np.nanmax(result.residual) < 1e-3


def test_one_wrong_camera_does_not_pull_the_point(walk: WalkSample) -> None:
    points = np.random.default_rng(1).normal([0, 0, 1], 0.4, (5, 25, 3))
    sample = seen(walk, points)
    sample.keypoints[3, ..., :2] += [80, -60]
    assert np.abs(triangulate(sample).points - points).max() < 0.005
    assert np.abs(triangulate(sample, robust_scale=np.inf).points - points).max() > 0.02


def test_missing_views(walk: WalkSample) -> None:
    points = np.random.default_rng(2).normal([0, 0, 1], 0.4, (2, 25, 3))
    sample = seen(walk, points)
    sample.keypoints[:2, :, 0] = 0
    sample.keypoints[:3, :, 1] = 0
    result = triangulate(sample)
    np.testing.assert_allclose(result.points[:, 0], points[:, 0], atol=1e-6)
    assert np.isnan(result.points[:, 1]).all() and np.isnan(result.residual[:, :, 1]).all()
    assert np.isnan(result.residual[0, :, 0]).all()


def test_the_cameras_agree_on_the_walk(walk: WalkSample) -> None:
    assert walk.keypoints.shape == (4, 100, 25, 3) and walk.frame_rate == 60
    result = triangulate(walk)
    plain = triangulate(walk, robust_scale=np.inf)
    assert np.nanmedian(result.residual) < 9
    assert 11 < np.nanmedian(plain.residual) < 15
    points = result.points
    assert np.isfinite(points).mean() > 0.98
    ankles = points[:, [LEFT_ANKLE, RIGHT_ANKLE], 2].min(axis=1)
    assert (points[:, HEAD_TOP, 2] > points[:, LEFT_HIP, 2]).all() and (points[:, LEFT_HIP, 2] > ankles).all()
    assert 0 < np.median(ankles) < 0.4


def test_keypoint_files_hold_the_same_person(walk: WalkSample) -> None:
    files = sorted((WALK / "keypoints").glob("*.json"))
    assert len(files) == 100
    for t, file in enumerate(files):
        people = [np.reshape(p["pose_keypoints_2d"], (25, 3)) for p in json.loads(file.read_text())["people"]]
        assert any(np.allclose(person, walk.keypoints[1, t], atol=1e-3) for person in people)
