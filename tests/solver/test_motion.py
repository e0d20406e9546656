"""Motion files: what is written is read back, turned to z up, and nothing half-written stays behind."""

import json
from pathlib import Path

import numpy as np
import pytest

from lsr1_solver.body_model import BodyPose, posed_joints, rest_joints
from lsr1_solver.errors import FitError
from lsr1_solver.motion import read_amass, write_amass
from lsr1_solver.rotation import axis_angle_to_matrix
from tests.shared import SHARED, needs_shared
from tests.solver.bodies import random_body
from tests.solver.smpl_files import write_npz

BODY = random_body()
N = 12


def random_motion(seed: int = 0) -> BodyPose:
    """One shape for the clip, hands at rest: what the format can hold."""
    rng = np.random.default_rng(seed)
    body_pose = rng.normal(scale=0.5, size=(N, 23, 3))
    body_pose[:, 21:] = 0
    return BodyPose(
        global_orient=rng.normal(size=(N, 3)),
        body_pose=body_pose,
        betas=np.tile(rng.normal(size=10), (N, 1)),
        transl=rng.normal(size=(N, 3)) - [0, 0, 4],
    )


def to_z_up(points: np.ndarray) -> np.ndarray:
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack([x, -z, y], axis=-1)


def as_it_stands(path: Path) -> BodyPose:
    """The file's numbers put straight into SMPL, as another program would, without any turning."""
    with np.load(path) as data:
        frames = len(data["trans"])
        body_pose = np.zeros((frames, 23, 3))
        body_pose[:, :21] = data["poses"][:, 3:66].reshape(frames, 21, 3)
        betas = np.tile(data["betas"][:10], (frames, 1))
        return BodyPose(data["poses"][:, :3], body_pose, betas, data["trans"])


def test_round_trip(tmp_path: Path) -> None:
    pose = random_motion()
    write_amass(tmp_path / "walk.npz", pose, frame_rate=59.94, body=BODY)
    read, rate = read_amass(tmp_path / "walk.npz", body=BODY)
    assert rate == 59.94
    for rotation in ("global_orient", "body_pose"):
        expected, actual = (axis_angle_to_matrix(getattr(p, rotation)) for p in (pose, read))
        np.testing.assert_allclose(actual, expected, atol=1e-6)
    np.testing.assert_allclose(read.betas, pose.betas, atol=1e-12)
    np.testing.assert_allclose(read.transl, pose.transl, atol=1e-6)
    np.testing.assert_allclose(posed_joints(BODY, read), posed_joints(BODY, pose), atol=1e-6)


def test_another_program_sees_the_joints_turned_to_z_up(tmp_path: Path) -> None:
    pose = random_motion(1)
    write_amass(tmp_path / "walk.npz", pose, frame_rate=30, body=BODY)
    joints = posed_joints(BODY, as_it_stands(tmp_path / "walk.npz"))
    np.testing.assert_allclose(joints, to_z_up(posed_joints(BODY, pose)), atol=1e-9)


def test_the_keys_are_those_of_amass(tmp_path: Path) -> None:
    write_amass(tmp_path / "walk.npz", random_motion(), frame_rate=24, gender="female", body=BODY)
    with np.load(tmp_path / "walk.npz") as data:
        shapes = {key: data[key].shape for key in data.files}
        assert str(data["gender"]) == "female"
        assert float(data["mocap_framerate"]) == float(data["mocap_frame_rate"]) == 24
        assert not data["poses"][:, 66:].any() and not data["betas"][10:].any()
    assert shapes == {
        "poses": (N, 156), "betas": (16,), "trans": (N, 3), "gender": (), "mocap_framerate": (),
        "mocap_frame_rate": (),
    }  # fmt: skip


def test_shapes_that_differ_become_their_mean_and_the_pelvis_stays(tmp_path: Path) -> None:
    pose = random_motion(2)
    pose.betas[:] = np.random.default_rng(3).normal(size=(N, 10))
    before = {key: value.copy() for key, value in vars(pose).items()}
    write_amass(tmp_path / "walk.npz", pose, frame_rate=24, body=BODY)
    for key, value in before.items():
        np.testing.assert_array_equal(getattr(pose, key), value)
    read, _ = read_amass(tmp_path / "walk.npz", body=BODY)
    np.testing.assert_allclose(read.betas, np.tile(pose.betas.mean(axis=0), (N, 1)))
    pelvis = [posed_joints(BODY, p)[:, 0] for p in (pose, read)]
    np.testing.assert_allclose(pelvis[1], pelvis[0], atol=1e-9)


def test_a_turning_body_makes_no_jump(tmp_path: Path) -> None:
    """Two full turns about the vertical: neighbouring frames stay neighbours."""
    yaw = np.linspace(0, 4 * np.pi, 200)
    root = np.stack([0 * yaw, yaw, 0 * yaw], axis=1)
    still = np.zeros((200, 23, 3))
    pose = BodyPose(root, still, np.zeros((200, 10)), np.zeros((200, 3)))
    write_amass(tmp_path / "turn.npz", pose, frame_rate=24, body=BODY)
    with np.load(tmp_path / "turn.npz") as data:
        turned = data["poses"][:, :3]
    assert np.linalg.norm(np.diff(turned, axis=0), axis=1).max() < 0.25
    quarter = axis_angle_to_matrix(np.array([np.pi / 2, 0, 0]))
    np.testing.assert_allclose(axis_angle_to_matrix(turned), quarter @ axis_angle_to_matrix(root), atol=1e-9)


def test_torch_poses_are_written_alike(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pose = random_motion()
    tensors = BodyPose(**{key: torch.as_tensor(value) for key, value in vars(pose).items()})
    write_amass(tmp_path / "a.npz", pose, frame_rate=24, body=BODY)
    write_amass(tmp_path / "b.npz", tensors, frame_rate=24, body=BODY)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@needs_shared("cases")
def test_case_up_axis(tmp_path: Path) -> None:
    """The pelvis of a body that stands in y up stands in Blender where the case says."""
    case = SHARED / "cases" / "20_up_axis"
    y_up, z_up, expected = (
        json.loads((case / f"{name}.json").read_text()) for name in ("motion_yup", "motion_zup", "expected")
    )
    rest = rest_joints(BODY, np.zeros((1, 10)))[:, 0]
    frames = len(y_up["trans"])
    pose = BodyPose(
        global_orient=np.array(y_up["pelvis_axis_angle"], float),
        body_pose=np.zeros((frames, 23, 3)),
        betas=np.zeros((frames, 10)),
        transl=np.array(y_up["trans"]) - rest,
    )
    write_amass(tmp_path / "walk.npz", pose, frame_rate=24, body=BODY)
    with np.load(tmp_path / "walk.npz") as data:
        np.testing.assert_allclose(data["poses"][:, :3], z_up["pelvis_axis_angle"], atol=1e-6)
        np.testing.assert_allclose(data["trans"] + rest, expected["blender_pelvis"], atol=1e-9)
    # The case's own z up file is the same walk.
    write_npz(
        tmp_path / "zup.npz",
        {
            "poses": np.pad(np.array(z_up["pelvis_axis_angle"]), ((0, 0), (0, 153))),
            "trans": np.array(z_up["trans"]) - rest,
            "betas": np.zeros(16),
            "gender": b"male",
            "fps": 24,
        },
    )
    read, _ = read_amass(tmp_path / "zup.npz", body=BODY)
    np.testing.assert_allclose(posed_joints(BODY, read), posed_joints(BODY, pose), atol=1e-6)


def amass(**changes: object) -> dict[str, object]:
    values: dict[str, object] = {
        "poses": np.zeros((5, 156)),
        "trans": np.zeros((5, 3)),
        "betas": np.zeros(16),
        "gender": np.array("male"),
        "mocap_framerate": 120.00004577,
    }
    return {key: value for key, value in {**values, **changes}.items() if value is not None}


@pytest.mark.parametrize("key", ["mocap_framerate", "mocap_frame_rate", "fps"])
@pytest.mark.parametrize("gender", [np.array("male"), np.array(b"female"), np.array("neutral", object)])
def test_variants_of_the_keys(tmp_path: Path, key: str, gender: np.ndarray) -> None:
    values = amass(mocap_framerate=None, gender=gender)
    pose, rate = read_amass(write_npz(tmp_path / "m.npz", {**values, key: 120.00004577}), body=BODY)
    assert rate == 120.00004577 and len(pose) == 5


def test_smpl_and_smplx_widths(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for width in (66, 72, 156, 165):
        poses = rng.normal(scale=0.3, size=(5, width))
        read, _ = read_amass(write_npz(tmp_path / f"{width}.npz", amass(poses=poses)), body=BODY)
        np.testing.assert_array_equal(read.body_pose[:, :21].reshape(5, 63), poses[:, 3:66])
        hands = poses[:, 66:72] if width == 72 else np.zeros((5, 6))
        np.testing.assert_array_equal(read.body_pose[:, 21:].reshape(5, 6), hands)


def test_shape_is_cut_and_padded_to_the_body(tmp_path: Path) -> None:
    betas = np.arange(1.0, 17)
    wide, _ = read_amass(write_npz(tmp_path / "wide.npz", amass(betas=betas)), body=BODY)
    np.testing.assert_array_equal(wide.betas, np.tile(betas[:10], (5, 1)))
    short, _ = read_amass(write_npz(tmp_path / "short.npz", amass(betas=betas[:3])), body=BODY)
    np.testing.assert_array_equal(short.betas[0], [1, 2, 3, 0, 0, 0, 0, 0, 0, 0])


WRONG = {
    "no poses, so it is no AMASS motion. It has: betas": {"poses": None},
    "no frame rate; one of mocap_framerate": {"mocap_framerate": None},
    "mocap_framerate is 0": {"mocap_framerate": 0},
    r"trans has the shape \(5, 2\)": {"trans": np.zeros((5, 2))},
    r"poses has the shape \(4, 156\)": {"poses": np.zeros((4, 156))},
    r"poses has the shape \(5, 63\).*at least 66": {"poses": np.zeros((5, 63))},
    "poses should hold finite numbers": {"poses": np.full((5, 156), np.nan)},
    "betas should hold finite numbers": {"betas": np.array("thin")},
    "poses should hold finite": {"poses": np.empty(2, object)},
}


@pytest.mark.parametrize("message", WRONG)
def test_foreign_files_are_named(tmp_path: Path, message: str) -> None:
    path = write_npz(tmp_path / "foreign.npz", amass(**WRONG[message]))
    with pytest.raises(FitError, match=f"foreign.npz.*{message}"):
        read_amass(path, body=BODY)


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "text.npz").write_text("poses")
    (tmp_path / "empty.npz").write_bytes(b"")
    whole = write_npz(tmp_path / "whole.npz", amass()).read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    for name in ("array.npy", "text.npz", "empty.npz", "half.npz", "absent.npz"):
        with pytest.raises(FitError, match=name):
            read_amass(tmp_path / name, body=BODY)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "walk.npz"
    path.write_bytes(b"before")
    broken = random_motion()
    broken.transl[3] = np.nan
    with pytest.raises(FitError, match="NaN"):
        write_amass(path, broken, frame_rate=24, body=BODY)
    for rate in (0.0, -24.0, np.inf, np.nan):
        with pytest.raises(FitError, match="frame_rate"):
            write_amass(path, random_motion(), frame_rate=rate, body=BODY)
    with pytest.raises(FitError, match="one of neutral"):
        write_amass(path, random_motion(), frame_rate=24, gender="robot", body=BODY)
    with pytest.raises(FitError, match="cannot be written"):
        write_amass(tmp_path / "nowhere" / "walk.npz", random_motion(), frame_rate=24, body=BODY)
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["walk.npz"]
