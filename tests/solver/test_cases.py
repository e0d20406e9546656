"""Fits with known answers: the shared cases that concern the solver."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TypedDict, cast

import numpy as np
import pytest

from lsr1_solver import (
    Camera,
    FitProblem,
    FitState,
    Initializer,
    Keypoints2D,
    camera_from_focal,
    fit_pose,
    load_body_model,
    load_initializer,
    posed_joints,
    read_keypoints,
)
from lsr1_solver.body_model import SMPL_JOINT_NAMES, BodyPose, bone_offsets, forward_kinematics
from lsr1_solver.rotation import axis_angle_to_matrix
from tests.shared import SHARED, needs_shared

pytestmark = needs_shared("cases")
CASES = SHARED / "cases"
BODY = load_body_model()


class CaseCamera(TypedDict):
    width: int
    height: int
    fx: float
    position: list[float]


def expected(case: str) -> dict[str, object]:
    return json.loads((CASES / case / "expected.json").read_text())


def camera(case: str) -> tuple[Camera, np.ndarray]:
    """The case's camera, and where it stands in the case's world (both y up, looking along -z)."""
    given = cast(CaseCamera, expected(case)["camera"])
    return camera_from_focal(given["fx"], (given["width"], given["height"])), np.array(given["position"])


def fitted(path: Path, seen_by: Camera) -> FitState:
    return fit_pose(FitProblem(BODY, seen_by, read_keypoints(path)[0]))


def joint(pose: BodyPose, name: str) -> np.ndarray:
    return posed_joints(BODY, pose)[:, SMPL_JOINT_NAMES.index(name)]


def test_not_a_number_is_missing_and_everything_stays_finite() -> None:
    case = "01_nan_null_inf"
    state = fitted(CASES / case, camera(case)[0])
    assert set(state.view.problem.keypoints.missing(0)) >= set(cast(list[str], expected(case)["missing"]))
    for value in (
        state.loss,
        state.pose.body_pose,
        state.pose.global_orient,
        state.pose.transl,
        state.pose.betas,
    ):
        assert np.all(np.isfinite(value))


def test_zeros_are_missing_and_pull_nothing_to_the_corner() -> None:
    case = "05_zero_means_missing"
    seen_by, _ = camera(case)
    (keypoints,) = read_keypoints(CASES / case)
    unseen = [
        keypoints.format.names.index(n) for n in ("right_elbow", "right_wrist", "right_knee", "right_ankle")
    ]
    assert np.all(keypoints.confidence[0, unseen] == 0)
    state = fit_pose(FitProblem(BODY, seen_by, keypoints))
    width, height = seen_by.image_size
    reprojected = state.reprojected[0, unseen]
    assert np.all(np.abs(reprojected - [width / 2, height / 2]) < [width / 4, height / 2])
    deleted = keypoints.xy[:, :, 0] == 0
    assert deleted.sum() == len(cast(list[str], expected(case)["missing"]))
    anywhere = replace(keypoints, xy=np.where(deleted[..., None], [700.0, 300.0], keypoints.xy))
    without = fit_pose(FitProblem(BODY, seen_by, anywhere))
    assert np.abs(posed_joints(BODY, without.pose) - posed_joints(BODY, state.pose)).max() < 1e-4
    # The unseen arm and leg stay near the prior's mean: within two standard deviations and a bit.
    assert np.abs(state.z).max() < 4


def test_the_raised_arm_is_the_right_one_and_up_is_up() -> None:
    case = "24_mirror_and_yflip"
    state = fitted(CASES / case, camera(case)[0])
    assert joint(state.pose, "right_wrist")[0, 1] > joint(state.pose, "head")[0, 1]
    assert joint(state.pose, "left_wrist")[0, 1] < joint(state.pose, "left_shoulder")[0, 1]
    wrist = state.view.problem.keypoints.format.names.index("right_wrist")
    assert (
        np.linalg.norm(state.reprojected[0, wrist] - cast(list[float], expected(case)["right_wrist_px"])) < 15
    )
    assert (
        joint(state.pose, "head")[0, 1]
        > joint(state.pose, "pelvis")[0, 1]
        > joint(state.pose, "left_foot")[0, 1]
    )


@pytest.mark.parametrize("initializer", [None, load_initializer()], ids=["yaws", "initializer"])
def test_the_knee_never_bends_backwards(initializer: Initializer | None) -> None:
    case = "10_depth_flip_knee"
    (keypoints,) = read_keypoints(CASES / case)
    state = fit_pose(FitProblem(BODY, camera(case)[0], keypoints, initializer=initializer))
    shin = axis_angle_to_matrix(state.pose.body_pose[0, 3]) @ np.array([0.0, -1.0, 0.0])
    assert shin[2] < np.sin(np.radians(10))
    # The person faces the camera: of two legs with the same pixels, the one whose knee is in front.
    assert joint(state.pose, "left_knee")[0, 2] > joint(state.pose, "left_hip")[0, 2]


def trunk_lean(pose: BodyPose) -> float:
    """How far the line from the pelvis to the neck leans forward, degrees."""
    trunk = (joint(pose, "neck") - joint(pose, "pelvis"))[0]
    return float(np.degrees(np.arctan2(trunk[2], trunk[1])))


def at_rest(pose: BodyPose) -> BodyPose:
    """The same body upright: its neck is a little ahead of its pelvis."""
    return replace(pose, global_orient=0 * pose.global_orient, body_pose=0 * pose.body_pose)


def test_the_right_lens_gives_an_upright_body_at_the_right_distance() -> None:
    case = "14_focal_length"
    for name, given in cast(dict[str, CaseCamera], expected(case)["cameras"]).items():
        seen_by = camera_from_focal(given["fx"], (given["width"], given["height"]))
        (path,) = (CASES / case).glob(f"{name}_*.json")
        state = fitted(path, seen_by)
        assert abs(trunk_lean(state.pose) - trunk_lean(at_rest(state.pose))) < 4, name
        depth = -joint(state.pose, "pelvis")[0, 2]
        assert depth == pytest.approx(given["position"][2], rel=0.10), name


def test_the_same_file_gives_the_same_answer_whatever_came_between() -> None:
    case = "30_same_input_same_answer"
    other = CASES / "24_mirror_and_yflip"
    seen_by = camera_from_focal(1536, (1280, 720))
    path = CASES / case
    people = read_keypoints(path)
    before = [(p.xy.copy(), p.confidence.copy()) for p in people]
    first = [fit_pose(FitProblem(BODY, seen_by, p)) for p in people]
    fitted(other, seen_by)
    again = [fit_pose(FitProblem(BODY, seen_by, p)) for p in people]
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a.z, b.z)
    for person, (xy, confidence) in zip(people, before, strict=True):
        assert np.array_equal(person.xy, xy) and np.array_equal(person.confidence, confidence)


def test_twelve_frames_stay_twelve() -> None:
    case = "02_gap_frames"
    people: list[Keypoints2D] = read_keypoints(CASES / case / "op")
    state = fit_pose(FitProblem(BODY, camera(case)[0], people[0]), one_shape=True)
    empty = [*cast(list[int], expected(case)["empty"]), *cast(list[int], expected(case)["absent"])]
    assert np.flatnonzero(~state.fitted).tolist() == empty
    assert len(state.pose) == expected(case)["frames"]


def test_forward_kinematics_agrees_with_the_stick_body() -> None:
    case = "32_bone_roll_roundtrip"
    rig = json.loads((CASES / case / "rig.json").read_text())
    heads = cast(dict[str, list[float]], expected(case)["joint_heads_yup"])
    bones = bone_offsets(np.array([rig["rest_head_yup"]]))
    bones[:, 0] = heads["pelvis"]
    rotations = axis_angle_to_matrix(np.array([rig["pose_axis_angle_model_frame"]]))
    positions = forward_kinematics(rotations, bones)[0, :, :3, 3]
    assert np.abs(positions - np.array([heads[name] for name in rig["joints"]])).max() < 1e-4
