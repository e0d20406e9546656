"""Where nothing tells a knee's depth it is ahead, and stays there; every other fit is as it was."""

from dataclasses import replace

import numpy as np
import pytest

from lsr1_solver import FitProblem, camera_from_focal, fit_pose, posed_joints, read_keypoints
from lsr1_solver.body_model import SMPL_JOINT_NAMES, local_rotations
from lsr1_solver.depth_flip import flip_limb
from lsr1_solver.fit_state import FitState
from lsr1_solver.initializer import load_initializer
from lsr1_solver.knees import DECIDED, LEGS, OPEN, about_decided, thighs
from lsr1_solver.starts import initializer_start
from lsr1_solver.view import person_view
from tests.shared import SHARED, needs_shared
from tests.solver.test_fitting import BODY, problem, random_poses

CASE = SHARED / "cases" / "10_depth_flip_knee"
HIPS, KNEES = (
    [SMPL_JOINT_NAMES.index(f"{side}_{joint}") for side in ("left", "right")] for joint in ("hip", "knee")
)


def test_thighs_are_those_of_the_posed_body() -> None:
    pose, _ = random_poses(20)
    rotations, joints = local_rotations(pose), posed_joints(BODY, pose)
    found = thighs(BODY, rotations, joints[:, 0])
    bones = joints[:, KNEES] - joints[:, HIPS]
    bones /= np.linalg.norm(bones, axis=-1, keepdims=True)
    rays = joints[:, HIPS] / np.linalg.norm(joints[:, HIPS], axis=-1, keepdims=True)
    # The mean body stands for everyone's: shapes turn bones a little.
    assert np.allclose(found.ahead, (bones @ rotations[:, 0])[..., 2], atol=0.05)
    assert np.allclose(found.depth, np.sum(bones * rays, axis=-1), atol=0.05)
    mirrored = bones - 2 * np.sum(bones * rays, axis=-1, keepdims=True) * rays
    assert np.allclose(found.twin, (mirrored @ rotations[:, 0])[..., 2], atol=0.1)


def test_only_a_leg_that_the_reading_leaves_open_is_centred_where_a_pose_has_it() -> None:
    pose, points = random_poses(300)
    view = person_view(problem(points))
    reading = initializer_start(view, load_initializer(), np.arange(300))
    read = thighs(BODY, reading.centre, reading.pelvis)
    free, held = np.zeros((300, 24), dtype=bool), np.ones((300, 24), dtype=bool)
    for leg, limb in enumerate(LEGS):
        rotations, pelvis, _ = view.turned(flip_limb(BODY, pose, limb, bones="upper"))
        away = np.abs(thighs(BODY, rotations, pelvis).depth - read.depth) > DECIDED
        decided = (np.abs(read.depth) < OPEN) & away
        assert 0 < decided[:, leg].sum() < 300
        centre = about_decided(BODY, reading, rotations, pelvis, free).centre
        for side in (0, 1):
            own = [HIPS[side], KNEES[side]]
            taken = decided[:, side]
            assert np.array_equal(centre[taken][:, own], rotations[taken][:, own])
            assert np.array_equal(centre[~taken][:, own], reading.centre[~taken][:, own])
        rest = np.setdiff1d(np.arange(24), [*HIPS, *KNEES])
        assert np.array_equal(centre[:, rest], reading.centre[:, rest])
        assert about_decided(BODY, reading, rotations, pelvis, held) is reading


def knee_ahead(state: FitState) -> float:
    """Metres from the left hip to the left knee, towards the camera."""
    joints = posed_joints(BODY, state.pose)[0]
    return float(joints[KNEES[0], 2] - joints[HIPS[0], 2])


@needs_shared("cases")
def test_the_knee_of_case_10_is_ahead_and_stays_there() -> None:
    asked = FitProblem(BODY, camera_from_focal(1536, (1280, 720)), read_keypoints(CASE)[0])
    state = fit_pose(asked)
    assert knee_ahead(state) > 0.1
    again = fit_pose(asked, initial=state.pose)
    assert knee_ahead(again) > 0.1


@needs_shared("cases")
@pytest.mark.parametrize("place", [0, 2])
def test_a_knee_is_put_ahead_in_its_own_frame_alone(place: int) -> None:
    camera = camera_from_focal(1536, (1280, 720))
    (keypoints,) = read_keypoints(CASE)
    alone = fit_pose(FitProblem(BODY, camera, keypoints))
    three = keypoints.frames(np.zeros(3, dtype=int))
    moved = three.xy.copy()
    others = [frame for frame in range(3) if frame != place]
    # The others' left knee is lifted to where only a knee ahead can be: nothing is to be decided there.
    moved[others, keypoints.format.joints.index("coco_left_knee")] -= [0, 90]
    asked = FitProblem(BODY, camera, replace(three, xy=moved))
    together = fit_pose(asked)
    assert np.allclose(together.pose.body_pose[place], alone.pose.body_pose[0], atol=1e-6)
    other = fit_pose(asked.frames(np.array(others[:1])))
    assert np.allclose(together.pose.body_pose[others[0]], other.pose.body_pose[0], atol=1e-6)
