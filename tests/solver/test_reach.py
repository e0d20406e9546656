"""A dragged joint goes to its pixel, the rest stays about where it is, and the way back leads back."""

import numpy as np
import pytest

from lsr1_solver import FitError, posed_joints, project
from lsr1_solver.body_model import SMPL_JOINT_NAMES, BodyPose, local_rotations
from lsr1_solver.limits import ALLOWED, BONES, FORBIDDEN, JOINTS
from lsr1_solver.pins import Pins
from lsr1_solver.reach import Reach
from tests.solver.test_fitting import BODY, CAMERA, random_poses

HEIGHT = 1500 * 1.7 / 4  # of the person in the picture, pixels
FEET = [SMPL_JOINT_NAMES.index(name) for name in ("left_ankle", "right_ankle")]


def pose() -> BodyPose:
    return random_poses(1, seed=4, spread=0.4)[0]


def pixel(of: BodyPose, joint: str) -> np.ndarray:
    return project(CAMERA, posed_joints(BODY, of))[0, SMPL_JOINT_NAMES.index(joint)]


def drag(reach: Reach, begin: np.ndarray, way: np.ndarray, steps: int = 10) -> BodyPose:
    return [reach.to(begin + way * share) for share in np.linspace(0, 1, steps + 1)][-1]


@pytest.mark.parametrize("joint", ["left_wrist", "right_elbow", "right_ankle", "left_knee", "head", "pelvis"])
def test_the_joint_follows_the_mouse(joint: str) -> None:
    start, way = pose(), np.array([0.03, 0.04]) * HEIGHT
    begin = pixel(start, joint)
    reached = drag(Reach(BODY, CAMERA, start, joint), begin, way)
    assert np.linalg.norm(pixel(reached, joint) - begin - way) < 0.005 * HEIGHT
    moved = np.linalg.norm(posed_joints(BODY, reached) - posed_joints(BODY, start), axis=-1)[0]
    feet = [foot for foot in FEET if joint.split("_")[0] not in SMPL_JOINT_NAMES[foot]]
    assert moved[feet].max() < 0.1
    assert np.array_equal(reached.betas, start.betas)


def test_the_joint_keeps_the_depth_that_it_is_given() -> None:
    start, way = pose(), np.array([0.08, -0.1]) * HEIGHT
    begin = pixel(start, "left_wrist")
    wrist = SMPL_JOINT_NAMES.index("left_wrist")
    found = []
    for change in (-0.15, 0.0, 0.15):
        reach = Reach(BODY, CAMERA, start, "left_wrist")
        depth = reach.depth + change
        reached = [reach.to(begin + way * share, depth) for share in np.linspace(0, 1, 11)][-1]
        assert np.linalg.norm(pixel(reached, "left_wrist") - begin - way) < 0.005 * HEIGHT
        found.append(-posed_joints(BODY, reached)[0, wrist, 2] - depth)
    assert np.abs(found).max() < 0.05
    # A pin of the joint that is dragged says nothing while it is dragged.
    target = np.full((1, 24, 3), np.nan)
    target[0, wrist] = posed_joints(BODY, start)[0, wrist] + 0.3
    pins = Pins(target, np.full((1, 24), 0.005))
    free, pinned = (Reach(BODY, CAMERA, start, "left_wrist", pins=p) for p in (None, pins))
    np.testing.assert_allclose(
        posed_joints(BODY, drag(pinned, begin, way)), posed_joints(BODY, drag(free, begin, way)), atol=1e-6
    )


def test_the_mouse_at_the_joint_changes_nothing_and_the_way_back_leads_back() -> None:
    start = pose()
    begin = pixel(start, "left_wrist")
    reach = Reach(BODY, CAMERA, start, "left_wrist")
    joints = posed_joints(BODY, start)
    assert np.abs(posed_joints(BODY, reach.to(begin)) - joints).max() < 1e-6
    drag(reach, begin, np.array([120.0, -60.0]))
    back = [reach.to(begin) for _ in range(3)][-1]
    assert np.abs(posed_joints(BODY, back) - joints).max() < 1e-4


def test_a_wrist_out_of_reach_stretches_and_no_joint_breaks() -> None:
    start = pose()
    begin = pixel(start, "left_wrist")
    reached = drag(Reach(BODY, CAMERA, start, "left_wrist"), begin, np.array([2.0, -1.0]) * HEIGHT, 30)
    assert np.all(np.isfinite(posed_joints(BODY, reached)))
    rotations = local_rotations(reached)
    lean = np.sum((rotations[:, JOINTS] @ BONES[..., None])[..., 0] * FORBIDDEN, axis=-1)
    assert np.all(lean < ALLOWED + 0.2)


def test_what_is_held_stays_bit_for_bit() -> None:
    start = pose()
    held = ("pelvis", "transl", "left_elbow")
    reach = Reach(BODY, CAMERA, start, "left_wrist", held=held)
    reached = drag(reach, pixel(start, "left_wrist"), np.array([60.0, 0.0]))
    assert np.array_equal(reached.global_orient, start.global_orient)
    assert np.array_equal(reached.transl, start.transl)
    elbow = SMPL_JOINT_NAMES.index("left_elbow") - 1
    assert np.array_equal(reached.body_pose[:, elbow], start.body_pose[:, elbow])
    assert not np.array_equal(reached.body_pose, start.body_pose)


def test_a_pin_draws_another_joint_along() -> None:
    start = pose()
    wrist = SMPL_JOINT_NAMES.index("right_wrist")
    target = np.full((1, 24, 3), np.nan)
    target[0, wrist] = posed_joints(BODY, start)[0, wrist] + [0.0, 0.1, 0.05]
    pins = Pins(target, np.full((1, 24), 0.005))
    reached = drag(
        Reach(BODY, CAMERA, start, "left_wrist", pins=pins), pixel(start, "left_wrist"), np.ones(2)
    )
    assert np.linalg.norm(posed_joints(BODY, reached)[0, wrist] - target[0, wrist]) < 0.01


def test_wrong_requests_are_refused() -> None:
    start = pose()
    for joint, held in (("tail", ()), ("left_wrist", ("tail",)), ("transl", ())):
        with pytest.raises(FitError, match="no joint that can be dragged or held"):
            Reach(BODY, CAMERA, start, joint, held=held)
    with pytest.raises(FitError, match="one frame"):
        Reach(BODY, CAMERA, random_poses(2)[0], "left_wrist")
