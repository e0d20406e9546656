"""Synthetic clips: one camera that sees the person all the time, faults that last."""

from __future__ import annotations

import numpy as np
import pytest

from lsr1_solver.camera import Camera, project
from lsr1_solver.keypoint_formats import COCO_17
from lsr1_solver.model_file import load_body_model
from lsr1_solver.pose_prior import load_pose_prior
from lsr1_solver.rotation import axis_angle_to_matrix
from lsr1_solver.training.clip_problems import SyntheticClip, sample_clip
from lsr1_solver.training.retarget import Motion, open_body_joints, world_joints

LANDMARKS = tuple(joint for joint in COCO_17.joints if joint)


def _walk(frames: int, rate: float = 30.0) -> Motion:
    time = np.arange(frames) / rate
    mean = np.broadcast_to(load_pose_prior().mean_rotations, (frames, 23, 3, 3))
    root = axis_angle_to_matrix(0.3 * np.sin(time)[:, None] * np.array([0.0, 1.0, 0.0]))
    place = np.stack([np.sin(time), np.ones(frames), np.cos(time)], axis=1)
    return Motion("x/walk", "test", "X", np.concatenate([root[:, None], mean], axis=1), place, rate)


def _clip(seed: int = 0, frames: int = 300, noise: float = 0.01, missing: float = 0.2) -> SyntheticClip:
    return sample_clip(_walk(frames), load_body_model(), LANDMARKS, seed=seed, noise=noise, missing=missing)


@pytest.mark.parametrize("seed", range(4))
def test_the_person_is_in_the_picture_all_the_time(seed: int) -> None:
    clip = _clip(seed)
    assert (clip.xy_exact > 0).all()
    assert (clip.xy_exact < clip.image_size).all()
    middle = np.array(clip.image_size) / 2
    camera = Camera(np.array([clip.focal_length]), middle, clip.image_size)
    assert (project(camera, clip.joints) > 0).all()


def test_the_truth_is_the_motion_seen_from_the_camera() -> None:
    clip, motion = _clip(noise=0.0, missing=0.0), _walk(300)
    _, world = world_joints(motion.rotations, motion.root, open_body_joints())
    # Of another shape, but just as far from frame to frame at the pelvis, and the same way up.
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(clip.joints[:, 0], axis=0), axis=-1),
        np.linalg.norm(np.diff(world[:, 0], axis=0), axis=-1),
        atol=1e-9,
    )
    np.testing.assert_allclose((clip.pelvis - clip.pelvis[0]) @ clip.up, 0, atol=1e-9)
    np.testing.assert_allclose(clip.joints[:, 0], clip.pelvis, atol=1e-12)
    np.testing.assert_array_equal(clip.xy, clip.xy_exact)


def test_noise_lasts_three_frames_and_gaps_five_to_fifteen() -> None:
    clip = _clip(frames=3000)
    shake = (clip.xy - clip.xy_exact) / clip.person_height[:, None, None]
    seen = clip.confidence > 0
    assert shake[seen].std() == pytest.approx(0.01, rel=0.03)
    both = seen[3:] & seen[:-3]
    assert np.mean(shake[3:][both] * shake[:-3][both]) / 0.01**2 == pytest.approx(np.exp(-1), abs=0.05)
    assert 1 - seen.mean() == pytest.approx(0.2, abs=0.02)
    edges = np.diff(np.pad(~seen, ((1, 1), (0, 0))).astype(int), axis=0)
    lengths = np.concatenate([np.flatnonzero(e == -1) - np.flatnonzero(e == 1) for e in edges.T])
    inner = lengths[lengths < 16]  # longer ones are two that met
    assert np.quantile(inner, 0.1) >= 5
    assert len(inner) > 0.6 * len(lengths)


def test_cameras_do_not_depend_on_noise_and_gaps() -> None:
    a, b = _clip(), _clip(noise=0.05, missing=0.0)
    np.testing.assert_array_equal(a.joints, b.joints)
    assert np.abs(a.joints - _clip(1).joints).max() > 0.1


def test_a_slower_camera_sees_the_same() -> None:
    fast = _clip()
    slow = fast.every(2)
    assert (len(slow), slow.frame_rate) == (150, 15.0)
    np.testing.assert_array_equal(slow.joints, fast.joints[::2])
    np.testing.assert_array_equal(slow.up, fast.up)
