"""Other solutions are distinct, sorted, and each explains the keypoints."""

from dataclasses import replace

import numpy as np
import pytest

from lsr1_solver import FitError, FitProblem, fit_pose, posed_joints
from lsr1_solver.body_model import SMPL_JOINT_NAMES, BodyPose
from lsr1_solver.depth_flip import turned_joints
from lsr1_solver.refine import LIMBS
from lsr1_solver.solutions import SAME_DISTANCE, Solution, flips, other_solutions, pose_energy
from tests.solver.test_fitting import BODY, problem, random_poses


def fitted(seed: int = 0) -> tuple[FitProblem, BodyPose]:
    _, points = random_poses(1, seed=seed)
    asked = problem(points)
    return asked, fit_pose(asked).pose


def aligned(pose: BodyPose) -> np.ndarray:
    joints = posed_joints(BODY, pose)[0]
    return joints - joints[0]


def test_they_are_distinct_sorted_and_grow() -> None:
    asked, pose = fitted()
    tuples = list(other_solutions(asked, pose))
    assert len(tuples[0]) == 1 and tuples[0][0].pose is pose
    assert np.all(np.diff([len(found) for found in tuples[:-1]]) >= 0)
    found = tuples[-1]
    assert len(found) >= 4
    assert [s.energy for s in found] == sorted(s.energy for s in found)
    assert sum(s.pose is pose for s in found) == 1
    for i, a in enumerate(found):
        assert len(a.pose) == 1 and np.isfinite(a.energy)
        for b in found[:i]:
            apart = np.linalg.norm(aligned(a.pose) - aligned(b.pose), axis=-1).max()
            assert apart > SAME_DISTANCE


def test_a_click_gives_the_most_probable_flip_and_all_explain_the_keypoints() -> None:
    asked, pose = fitted(1)
    found: list[Solution] = flips(asked, pose, "left_arm")
    assert len(found) == 3 and len({s.source for s in found}) == 3
    assert found[0].energy <= found[1].energy <= found[2].energy
    own = float(pose_energy(asked, pose)[0])
    assert found[0].energy < own + 60
    assert len(flips(asked, pose, "torso")) == 1


def test_energies_compare_whatever_the_initializer_says() -> None:
    asked, pose = fitted(2)
    without = replace(asked, initializer=None)
    assert np.array_equal(pose_energy(asked, pose), pose_energy(without, pose))
    held = np.full((1, 26), np.inf)
    held[:, 5] = 0.0
    assert np.array_equal(pose_energy(replace(asked, held=held), pose), pose_energy(asked, pose))


@pytest.mark.parametrize("name", ["left_elbow", "right_hip"])
def test_what_is_held_stays_in_all_of_them(name: str) -> None:
    asked, pose = fitted(3)
    joint = SMPL_JOINT_NAMES.index(name)
    held = np.full((1, 26), np.inf)
    held[:, joint] = 0.0
    *_, found = other_solutions(replace(asked, held=held), pose)
    assert len(found) > 1
    for solution in found:
        assert np.array_equal(solution.pose.body_pose[:, joint - 1], pose.body_pose[:, joint - 1])
    # Each of them is turned by some limb's flip.
    assert any(joint in turned_joints(limb) for limb in LIMBS)


def test_one_frame_at_a_time() -> None:
    pose, points = random_poses(2)
    with pytest.raises(FitError, match="one frame at a time; the pose has 2"):
        next(other_solutions(problem(points), pose))
