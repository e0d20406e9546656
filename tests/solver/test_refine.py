"""Fit and animator in turns: edits are noticed and kept, and nothing else than asked for changes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from lsr1_solver import FitError, FitProblem, camera_from_focal, fit_pose, posed_joints, read_keypoints
from lsr1_solver.body_model import SMPL_JOINT_NAMES, BodyPose, local_rotations
from lsr1_solver.problem import PARTS, PLACE, SHAPE
from lsr1_solver.refine import LIMBS, edited_parts, refit_problem, with_parts
from lsr1_solver.rotation import axis_angle_to_matrix, geodesic_angle, matrix_to_axis_angle
from tests.shared import SHARED, needs_shared
from tests.solver.moving_bodies import clip, motion
from tests.solver.test_fitting import BODY, nearby, problem, random_poses

CASE = SHARED / "cases" / "27_refit_keeps_edits"
FIELDS = ("global_orient", "body_pose", "betas", "transl")


def column(name: str) -> int:
    return PARTS.index(name)


def with_turned(pose: BodyPose, frame: int, joint: str, omega: list[float]) -> BodyPose:
    """The pose with one joint of one frame turned further."""
    body = pose.body_pose.copy()
    row = SMPL_JOINT_NAMES.index(joint) - 1
    body[frame, row] = matrix_to_axis_angle(
        axis_angle_to_matrix(np.array(omega)) @ axis_angle_to_matrix(body[frame, row])
    )
    return replace(pose, body_pose=body)


def test_edits_are_noticed_bone_by_bone() -> None:
    pose, _ = random_poses(3)
    after = with_turned(pose, 1, "left_elbow", [0.0, 0.3, 0.0])
    after = with_turned(after, 2, "neck", [0.001, 0.0, 0.0])  # a rounding of the armature's, no edit
    after = replace(after, transl=after.transl + np.array([[0.01], [0.0], [0.0]]))
    after = replace(after, betas=after.betas + np.array([[0.0], [0.0], [0.2]]))
    found = {(int(b), PARTS[p]) for b, p in np.argwhere(edited_parts(pose, after))}
    assert found == {(1, "left_elbow"), (0, PLACE), (2, SHAPE)}
    assert not edited_parts(pose, pose).any()


def test_an_angle_beyond_pi_is_no_edit() -> None:
    pose, _ = random_poses(1)
    omega = pose.body_pose.copy()
    length = np.linalg.norm(omega[0, 3])
    omega[0, 3] *= (length - 2 * np.pi) / length
    assert not edited_parts(pose, replace(pose, body_pose=omega)).any()


def test_parts_of_another_pose_are_taken_over_one_by_one() -> None:
    (pose, _), (kept, _) = random_poses(4), random_poses(4, seed=5)
    parts = np.zeros((4, len(PARTS)), dtype=bool)
    for frame, names in enumerate([("left_knee", "pelvis"), (PLACE,), (SHAPE,), (PLACE, SHAPE)]):
        parts[frame, [column(name) for name in names]] = True
    both = with_parts(BODY, pose, kept, parts)
    own = parts[:, :24]
    assert np.array_equal(both.body_pose[~own[:, 1:]], pose.body_pose[~own[:, 1:]])
    assert np.array_equal(both.body_pose[own[:, 1:]], kept.body_pose[own[:, 1:]])
    assert np.array_equal(both.global_orient[0], kept.global_orient[0])
    assert np.array_equal(both.betas[[2, 3]], kept.betas[[2, 3]]) and np.array_equal(
        both.betas[0], pose.betas[0]
    )
    pelvis = [posed_joints(BODY, one)[:, 0] for one in (both, pose, kept)]
    np.testing.assert_allclose(pelvis[0][[0, 2]], pelvis[1][[0, 2]], atol=1e-12)
    np.testing.assert_allclose(pelvis[0][[1, 3]], pelvis[2][[1, 3]], atol=1e-12)


def test_a_place_is_kept_while_one_shape_is_found_for_all_frames() -> None:
    pose, points = random_poses(4)
    held = np.full((4, len(PARTS)), np.inf)
    held[1, column(PLACE)] = 0
    state = fit_pose(replace(problem(points), held=held), initial=nearby(pose, 10), one_shape=True)
    start = nearby(pose, 10)
    before, after = posed_joints(BODY, start)[1, 0], posed_joints(BODY, state.pose)[1, 0]
    assert np.abs(state.pose.betas - start.betas).max() > 0.1
    np.testing.assert_allclose(after, before, atol=1e-9)


def test_only_the_chosen_frames_and_limbs_change() -> None:
    pose, points = random_poses(5)
    before = nearby(pose, 15)
    after = with_turned(with_turned(before, 1, "left_knee", [0.5, 0, 0]), 3, "right_elbow", [0, 0.4, 0])
    legs = (*LIMBS["left_leg"], *LIMBS["right_leg"])
    frames = np.array([False, True, True, True, False])
    asked = refit_problem(problem(points), edited_parts(before, after), free=legs, frames=frames)
    state = fit_pose(asked, initial=after)
    changed = local_rotations(state.pose) != local_rotations(after)
    changed = changed.any(axis=(-1, -2))
    may = np.zeros((5, 24), dtype=bool)
    may[np.ix_([1, 2, 3], [SMPL_JOINT_NAMES.index(name) for name in legs])] = True
    may[1, SMPL_JOINT_NAMES.index("left_knee")] = False
    assert not changed[~may].any()
    assert np.all(changed[1:4].sum(axis=1) >= 5)
    for name in ("global_orient", "betas", "transl"):
        assert np.array_equal(getattr(state.pose, name), getattr(after, name)), name


def test_an_edit_as_a_hint_may_give_way() -> None:
    pose, points = random_poses(2)
    after = with_turned(pose, 0, "left_knee", [0.8, 0, 0])
    edited = edited_parts(pose, after)
    off = []
    for sigma in (0.0, 0.05, 0.5):
        state = fit_pose(refit_problem(problem(points), edited, sigma=sigma), initial=after)
        angle = geodesic_angle(local_rotations(state.pose), local_rotations(after))
        off.append(angle[0, SMPL_JOINT_NAMES.index("left_knee")])
    assert off[0] == 0 and 0 < off[1] < off[2]


def kept_of_a_hint(rate: float, falloff: float) -> float:
    """How much stays of an elbow's edit as a hint in the middle of a clip, if frames within ``falloff``
    seconds may follow.
    """
    count, joint = int(rate) + 1, SMPL_JOINT_NAMES.index("left_elbow")
    _, points = motion(count, rate=rate)
    fitted = fit_pose(clip(points, rate=rate, noise=1.0)).pose
    middle = count // 2
    after = with_turned(fitted, middle, "left_elbow", [0.0, -0.5, 0.0])
    edited = np.zeros((count, len(PARTS)), dtype=bool)
    edited[middle, joint] = True
    near = np.abs(np.arange(count) - middle) <= falloff * rate
    asked = replace(clip(points, rate=rate, noise=1.0), fixed=frozenset({SHAPE}))
    found = fit_pose(refit_problem(asked, edited, frames=near, sigma=0.02), initial=after).pose
    left = geodesic_angle(local_rotations(found), local_rotations(after))[middle, joint]
    return float(1 - left / 0.5)


@pytest.mark.parametrize("falloff", [0.0, 0.05, 0.3])
def test_a_hint_in_one_frame_keeps_most_of_its_edit_at_any_rate(falloff: float) -> None:
    at_30, at_60 = (kept_of_a_hint(rate, falloff) for rate in (30.0, 60.0))
    assert min(at_30, at_60) > 0.7 and abs(at_30 - at_60) < 0.08


def test_what_was_held_goes_on_being_held() -> None:
    _, points = random_poses(2)
    asked = replace(problem(points), fixed=frozenset({SHAPE}))
    again = refit_problem(asked, np.zeros((2, 26), dtype=bool))
    assert again.held is not None and np.all(again.held[:, column(SHAPE)] == 0)
    assert np.isinf(again.held[:, :25]).all()


def test_the_true_rotation_of_an_edited_bone_brings_the_rest_nearer() -> None:
    """The prior is conditioned on the edit: the joints above and below move the right way with it."""
    pose, points = random_poses(16, seed=3)
    asked = problem(points)
    before = fit_pose(asked).pose
    truth = local_rotations(pose)
    worst = np.argmax(geodesic_angle(local_rotations(before), truth)[:, 1:20], axis=1)
    rows = np.arange(16)
    body = before.body_pose.copy()
    body[rows, worst] = pose.body_pose[rows, worst]
    after = replace(before, body_pose=body)
    edited = edited_parts(before, after)
    state = fit_pose(refit_problem(asked, edited), initial=after)

    def error(of: BodyPose) -> float:
        others = geodesic_angle(local_rotations(of), truth)[:, 1:]
        others[rows, worst] = 0
        return float(others[:, :19].mean())

    assert error(state.pose) < 0.97 * error(before)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"free": ("tail",)}, "'tail' is no part of a pose"),
        ({"sigma": -1.0}, "A hint's sigma is -1.0"),
        ({"edited": np.zeros((2, 24), dtype=bool)}, r"right is \(2, 26\)"),
    ],
)
def test_wrong_requests_are_refused(change: dict[str, object], words: str) -> None:
    _, points = random_poses(2)
    asked = {"edited": np.zeros((2, 26), dtype=bool), **change}
    with pytest.raises(FitError, match=words):
        refit_problem(problem(points), **asked)  # pyright: ignore[reportArgumentType]  # wrong on purpose


@needs_shared("cases")
@pytest.mark.parametrize("frame_rate", [None, 30.0], ids=["stills", "clip"])
def test_case_27_a_refit_keeps_edits(frame_rate: float | None) -> None:
    edits = json.loads((CASE / "edits.json").read_text())
    keypoints = read_keypoints(Path(CASE / "op"))[0]
    asked = FitProblem(BODY, camera_from_focal(1536, (1280, 720)), keypoints, frame_rate=frame_rate)
    before = fit_pose(asked, one_shape=True).pose
    body = before.body_pose.copy()
    for edit in edits["edits"]:
        body[edit["frame"], SMPL_JOINT_NAMES.index(edit["joint"]) - 1] = edit["axis_angle"]
    after = replace(before, body_pose=body)
    first, last = cast(list[int], edits["refit_frames"])
    rows = np.arange(len(before))
    legs = (*LIMBS["left_leg"], *LIMBS["right_leg"])
    inside = (rows >= first) & (rows <= last)
    again = refit_problem(asked, edited_parts(before, after), free=legs, frames=inside)
    result = fit_pose(again, initial=after).pose
    for edit in edits["edits"]:
        joint = SMPL_JOINT_NAMES.index(edit["joint"]) - 1
        assert np.array_equal(result.body_pose[edit["frame"], joint], edit["axis_angle"])
    for name in FIELDS:
        assert np.array_equal(getattr(result, name)[~inside], getattr(after, name)[~inside]), name
    others = [j - 1 for j, name in enumerate(SMPL_JOINT_NAMES) if j and name not in legs]
    assert np.array_equal(result.body_pose[:, others], after.body_pose[:, others])
    moved = np.abs(posed_joints(BODY, result) - posed_joints(BODY, after)).max(axis=(1, 2))
    assert moved[7] > 0.01
