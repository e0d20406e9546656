"""A flipped limb has the same pixels and another depth, and bends as limbs do."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lsr1_solver import (
    FitError,
    FitProblem,
    camera_from_focal,
    fit_pose,
    keypoints_2d,
    load_body_model,
    posed_joints,
    project,
    read_keypoints,
)
from lsr1_solver.body_model import SMPL_JOINT_NAMES, BodyPose, local_rotations
from lsr1_solver.depth_flip import FLIPS, _twin, flip_limb, flip_problem, flipped_joints, turned_joints
from lsr1_solver.limits import ALLOWED, BONES, FORBIDDEN, JOINTS
from lsr1_solver.problem import PARTS
from lsr1_solver.refine import LIMBS
from lsr1_solver.rotation import axis_angle_to_matrix, geodesic_angle, matrix_to_axis_angle
from tests.shared import SHARED, needs_shared
from tests.solver import moving_bodies
from tests.solver.test_fitting import BODY, CAMERA, problem, random_poses

TWO_BONES = [limb for limb in LIMBS if limb != "torso"]
CASE = SHARED / "cases" / "10_depth_flip_knee"


def depths(joints: np.ndarray, limb: str) -> np.ndarray:
    """How much farther along its ray each bone's tip is than its base. -> [B, 2], metres."""
    base, middle, tip = flipped_joints(limb, "both")
    found = []
    for a, b in ((base, middle), (middle, tip)):
        ray = joints[:, b] / np.linalg.norm(joints[:, b], axis=-1, keepdims=True)
        found.append(np.sum(ray * (joints[:, b] - joints[:, a]), axis=-1))
    return np.stack(found, axis=1)


@pytest.mark.parametrize("limb", TWO_BONES)
@pytest.mark.parametrize("bones", list(FLIPS))
def test_the_same_pixels_at_the_other_depth(limb: str, bones: str) -> None:
    pose, _ = random_poses(40)
    before = posed_joints(BODY, pose)
    after = posed_joints(BODY, flip_limb(BODY, pose, limb, bones=bones))
    _, middle, tip = flipped_joints(limb, "both")
    old, new = depths(before, limb), depths(after, limb)
    # Where the lower bone lies nearly across the view, the flipped middle may be too far from the tip's ray.
    ray = before[:, tip] / np.linalg.norm(before[:, tip], axis=-1, keepdims=True)
    away = np.linalg.norm(np.cross(ray, after[:, middle]), axis=-1)
    within = away < np.linalg.norm(before[:, tip] - before[:, middle], axis=-1)
    assert within.mean() > 0.7
    moved = np.linalg.norm(project(CAMERA, after) - project(CAMERA, before), axis=-1)[within]
    assert np.all(moved[:, [middle, tip]] < 1e-6)
    wanted = np.where(FLIPS[bones], -1, 1)
    assert np.all(np.sign(new[within]) == wanted * np.sign(old[within]))
    others = [j for j, name in enumerate(SMPL_JOINT_NAMES) if name not in LIMBS[limb][1:]]
    assert np.abs(after - before)[:, others].max() < 1e-12


@pytest.mark.parametrize("limb", TWO_BONES)
def test_all_other_rotations_stay_bit_for_bit(limb: str) -> None:
    pose, _ = random_poses(4)
    flipped = flip_limb(BODY, pose, limb)
    changed = {SMPL_JOINT_NAMES[j + 1] for _, j, _ in np.argwhere(flipped.body_pose != pose.body_pose)}
    assert changed <= set(LIMBS[limb][:2])
    for name in ("global_orient", "betas", "transl"):
        assert np.array_equal(getattr(flipped, name), getattr(pose, name)), name


@pytest.mark.parametrize("limb", TWO_BONES)
def test_no_hinge_bends_backwards(limb: str) -> None:
    pose, _ = random_poses(40)
    rotations = local_rotations(flip_limb(BODY, pose, limb))
    hinge = list(JOINTS).index(flipped_joints(limb, "both")[1])
    lean = np.sum((rotations[:, JOINTS[hinge]] @ BONES[hinge]) * FORBIDDEN[hinge], axis=-1)
    assert np.all(lean < ALLOWED[hinge] + 0.05)


def test_two_flips_of_one_bone_bring_it_back() -> None:
    pose, _ = random_poses(30)
    before = posed_joints(BODY, pose)
    within = np.all(np.abs(depths(before, "left_arm")) > 0.05, axis=1)
    twice = flip_limb(BODY, flip_limb(BODY, pose, "left_arm"), "left_arm")
    moved = np.linalg.norm(posed_joints(BODY, twice) - before, axis=-1)[within]
    assert moved[:, SMPL_JOINT_NAMES.index("left_elbow")].max() < 1e-9
    wrist = moved[:, SMPL_JOINT_NAMES.index("left_wrist")]
    assert np.mean(wrist < 1e-6) > 0.7  # where its ray was within reach at the twin, too


def test_the_torso_leans_the_other_way_and_the_limbs_keep_their_directions() -> None:
    pose, _ = random_poses(20)
    before = posed_joints(BODY, pose)
    after = posed_joints(BODY, flip_limb(BODY, pose, "torso"))
    pelvis, neck = 0, SMPL_JOINT_NAMES.index("neck")
    assert np.abs(project(CAMERA, after) - project(CAMERA, before))[:, [pelvis, neck]].max() < 1e-6
    ray = before[:, neck] / np.linalg.norm(before[:, neck], axis=-1, keepdims=True)
    old, new = (np.sum(ray * (joints[:, neck] - joints[:, pelvis]), axis=-1) for joints in (before, after))
    assert np.all(np.sign(new) == -np.sign(old))
    for a, b in (("left_shoulder", "left_elbow"), ("right_hip", "right_knee"), ("left_knee", "left_ankle")):
        i, j = SMPL_JOINT_NAMES.index(a), SMPL_JOINT_NAMES.index(b)
        assert np.allclose(after[:, j] - after[:, i], before[:, j] - before[:, i], atol=1e-9)


def test_a_refit_after_a_flip_stays_on_its_side() -> None:
    pose, points = random_poses(12)
    asked = problem(points)
    flipped, start = flip_problem(asked, pose, "right_arm")
    state = fit_pose(flipped, initial=start)
    old = depths(posed_joints(BODY, start), "right_arm")
    new = depths(posed_joints(BODY, state.pose), "right_arm")
    clear = np.abs(old) > 0.1
    assert np.all(np.sign(new[clear]) == np.sign(old[clear]))
    assert state.reprojection_percent < 1.5


def test_a_flipped_torso_stays_on_its_side() -> None:
    pose, _ = random_poses(12)
    bowed = axis_angle_to_matrix(pose.global_orient) @ axis_angle_to_matrix(np.tile([0.5, 0, 0], (12, 1)))
    joints = posed_joints(BODY, replace(pose, global_orient=matrix_to_axis_angle(bowed)))
    asked = FitProblem(BODY, CAMERA, keypoints_2d(project(CAMERA, joints), None, "SMPL_24"))
    before = fit_pose(asked).pose
    flipped, start = flip_problem(asked, before, "torso")
    after = fit_pose(flipped, initial=start).pose

    def lean(of: BodyPose) -> np.ndarray:
        pelvis, neck = np.moveaxis(posed_joints(BODY, of)[:, [0, SMPL_JOINT_NAMES.index("neck")]], 1, 0)
        return np.sum(neck * (neck - pelvis), axis=-1) / np.linalg.norm(neck, axis=-1)

    assert np.all(np.abs(lean(before)) > 0.05)
    assert np.all(np.sign(lean(after)) == -np.sign(lean(before)))


def test_some_frames_alone_are_flipped() -> None:
    pose, points = random_poses(4)
    rows = np.array([False, True, True, False])
    asked, start = flip_problem(problem(points), pose, "left_leg", frames=rows)
    whole = flip_limb(BODY, pose, "left_leg")
    assert np.array_equal(start.body_pose[~rows], pose.body_pose[~rows])
    assert np.array_equal(start.body_pose[rows], whole.body_pose[rows])
    held = np.isfinite(asked.firmness)
    assert not held[~rows].any()
    assert {int(j) for j in np.flatnonzero(held.any(axis=0))} == set(turned_joints("left_leg"))


def test_one_frame_of_a_clip_stays_flipped_among_its_neighbours() -> None:
    pose, points = random_poses(30)
    clear = int(np.abs(depths(posed_joints(BODY, pose), "left_arm")).min(axis=1).argmax())
    rows = np.full(15, clear)
    held = np.tile(np.where(np.isin(PARTS, LIMBS["left_arm"]), np.inf, 0.0), (15, 1))
    clip = replace(problem(points).frames(rows), frame_rate=30.0, held=held)
    asked, start = flip_problem(clip, pose.frames(rows), "left_arm", frames=np.arange(15) == 7)
    after = fit_pose(asked, initial=start).pose
    old, wanted, new = (
        depths(posed_joints(BODY, of), "left_arm")[7] for of in (pose.frames(rows), start, after)
    )
    assert np.abs(old).min() > 0.1
    np.testing.assert_allclose(new, wanted, atol=0.01)
    assert np.abs(after.body_pose - start.body_pose)[[6, 8]].max() > 0.01  # its neighbours follow


@pytest.mark.parametrize("rate", [30.0, 60.0])
def test_a_flipped_range_stays_on_its_pixels_to_both_ends_and_moves_smoothly(rate: float) -> None:
    limb, count = "left_arm", int(2 * rate)
    _, points = moving_bodies.motion(count, rate=rate)
    clip = moving_bodies.clip(points, rate=rate, noise=1.5)
    fitted = fit_pose(clip).pose
    inside = np.abs(np.arange(count) - count / 2) < 0.3 * rate
    may_change = inside[:, None] & np.isin(PARTS, LIMBS[limb])
    held = replace(clip, held=np.where(may_change, np.inf, 0.0))
    flipped, start = flip_problem(held, fitted, limb, frames=inside)
    after = fit_pose(flipped, initial=start).pose
    joints = list(flipped_joints(limb, "both"))
    before, then = (
        project(moving_bodies.CAMERA, posed_joints(BODY, of))[inside][:, joints] for of in (fitted, after)
    )
    assert np.linalg.norm(then - before, axis=-1).max() < 2.0
    old, new = (depths(posed_joints(BODY, of), limb)[inside] for of in (fitted, after))
    assert np.all(np.sign(new) == -np.sign(old))
    rotations = local_rotations(after)[inside][:, joints[0]]
    steps = np.degrees(geodesic_angle(rotations[1:], rotations[:-1]))
    # In steps of TWISTS one frame turned by 10 degrees and the next hardly.
    assert np.abs(np.diff(steps)).max() < 2.0


@pytest.mark.parametrize(("limb", "bones"), [("tail", "both"), ("left_arm", "middle"), ("torso", "upper")])
def test_unknown_limbs_are_refused(limb: str, bones: str) -> None:
    pose, _ = random_poses(1)
    with pytest.raises(FitError, match="can't be flipped: limbs are left_arm"):
        flip_limb(BODY, pose, limb, bones=bones)


@needs_shared("cases")
def test_case_10_the_wrong_leg_is_the_right_ones_twin() -> None:
    expected = json.loads((CASE / "expected.json").read_text())

    def seen(leg: str, joint: str) -> np.ndarray:
        return np.array(expected[leg][joint])[None] * [1, -1, -1]  # y down and z ahead in the file

    for right, wrong in (("right", "wrong_twin"), ("wrong_twin", "right")):
        base = seen(right, "left_hip")
        knee = _twin(base, base, seen(right, "left_knee"), True)
        ankle = _twin(seen(right, "left_knee"), knee, seen(right, "left_ankle"), True)
        assert np.abs(knee - seen(wrong, "left_knee")).max() < 1e-4
        assert np.abs(ankle - seen(wrong, "left_ankle")).max() < 1e-4


@needs_shared("cases")
def test_case_10_one_click_leads_from_leg_to_leg() -> None:
    expected = json.loads((CASE / "expected.json").read_text())
    camera = camera_from_focal(expected["camera"]["fx"], (1280, 720))
    asked = FitProblem(load_body_model(), camera, read_keypoints(CASE)[0])
    pose = fit_pose(asked).pose
    leg = [SMPL_JOINT_NAMES.index(name) for name in ("left_hip", "left_knee", "left_ankle")]

    def bones(joints: np.ndarray) -> np.ndarray:
        along = np.diff(joints, axis=0)
        return along / np.linalg.norm(along, axis=1, keepdims=True)

    def angles(of: BodyPose, which: str) -> np.ndarray:
        truth = np.array([expected[which][SMPL_JOINT_NAMES[j]] for j in leg]) * [1, -1, -1]
        cosine = np.sum(bones(posed_joints(asked.body, of)[0, leg]) * bones(truth), axis=1)
        return np.degrees(np.arccos(np.minimum(cosine, 1.0)))

    assert angles(pose, "right").max() < 20 < angles(pose, "wrong_twin").min()
    twin = flip_limb(asked.body, pose, "left_leg")
    assert angles(twin, "wrong_twin").max() < 20 < angles(twin, "right").min()
    assert angles(flip_limb(asked.body, twin, "left_leg"), "right").max() < 20
