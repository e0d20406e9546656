"""Other programs' motions: every joint where the file has it, in the solver's axes."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lsr1_solver import BodyPose, FitError, load_body_model, read_motion, write_amass
from lsr1_solver.body_model import posed_joints
from lsr1_solver.camera import default_camera
from tests.solver import motion_layouts as layouts
from tests.solver.bodies import random_body
from tests.solver.motion_layouts import raw_pose
from tests.solver.test_restricted_pickle import Calls

BODY = random_body()
N = 7


def turned(points: np.ndarray, up: str) -> np.ndarray:
    """From a file's axes to y up, written out."""
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack({"Z": [x, z, -y], "Y": [x, y, z], "-Y": [x, -y, -z]}[up], axis=-1)


def joints_of(pose: BodyPose, up: str) -> np.ndarray:
    return turned(np.asarray(posed_joints(BODY, pose)), up)


def test_amass(tmp_path: Path) -> None:
    raw = raw_pose(N)
    for width in (66, 156, 165):
        path = layouts.write_npz(tmp_path / f"{width}.npz", layouts.amass(raw, width=width))
        (motion,) = read_motion(path, body=BODY, up="Z")
        np.testing.assert_allclose(posed_joints(BODY, motion.pose), joints_of(raw, "Z"), atol=1e-9)
        assert motion.frame_rate == 120.00004577 and not motion.rate_is_assumed
        assert motion.has_shape and not motion.in_camera and len(motion.frames) == N


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_aist(tmp_path: Path, protocol: int) -> None:
    raw = raw_pose(N, hands=True)
    raw.betas[:] = 0  # AIST++ has none
    path = layouts.write_pickle(tmp_path / "dance.pkl", layouts.aist(raw), protocol)
    (motion,) = read_motion(path, body=BODY, up="Y")
    np.testing.assert_allclose(posed_joints(BODY, motion.pose), joints_of(raw, "Y"), atol=1e-5)
    assert motion.frame_rate == 60 and motion.rate_is_assumed
    assert str(motion) == "AIST++, person 1, 7 frames, 60 frames/s (assumed), Y up"


def test_romp_of_a_picture_a_video_and_a_folder(tmp_path: Path) -> None:
    a, b = raw_pose(N, 1, hands=True), raw_pose(N, 2, hands=True)
    frames = {
        f"{n:08d}.jpg": layouts.romp_frame([(7, a.frames(n))] + [(3, b.frames(n))] * (2 <= n < 5))
        for n in range(N)
    }
    video = layouts.write_npz(tmp_path / "video_results.npz", {"results": np.array(frames, dtype=object)})
    folder = tmp_path / "frames"
    folder.mkdir()
    for name, people in frames.items():
        layouts.write_npz(folder / f"{Path(name).stem}.npz", {"results": np.array(people, dtype=object)})
    for path in (video, folder):
        first, second = read_motion(path, body=BODY)
        assert (first.person, second.person) == ("person 7", "person 3")
        np.testing.assert_allclose(posed_joints(BODY, first.pose), joints_of(a, "-Y"), atol=1e-5)
        np.testing.assert_array_equal(second.frames, [2, 3, 4])
        expected = joints_of(b.frames(slice(2, 5)), "-Y")
        np.testing.assert_allclose(posed_joints(BODY, second.pose), expected, atol=1e-5)
        assert first.in_camera and "camera axes" in str(first)
    (picture, *_) = read_motion(folder / "00000000.npz", body=BODY)
    np.testing.assert_allclose(posed_joints(BODY, picture.pose), joints_of(a, "-Y")[:1], atol=1e-5)


def save_torch(path: Path, document: layouts.Values) -> Path:
    torch = pytest.importorskip("torch")

    def tensors(value: object) -> object:
        if isinstance(value, dict):
            return {key: tensors(v) for key, v in value.items()}
        return torch.from_numpy(value)

    torch.save(tensors(document), path)
    return path


def test_gvhmr_by_torch(tmp_path: Path) -> None:
    world, camera = raw_pose(N, 1), raw_pose(N, 2)
    path = save_torch(tmp_path / "hmr4d_results.pt", layouts.gvhmr(world, camera))
    (motion,) = read_motion(path, body=BODY)
    np.testing.assert_allclose(posed_joints(BODY, motion.pose), joints_of(world, "Y"), atol=1e-5)
    assert not motion.in_camera
    (motion,) = read_motion(path, body=BODY, space="camera")
    np.testing.assert_allclose(posed_joints(BODY, motion.pose), joints_of(camera, "-Y"), atol=1e-5)
    assert motion.in_camera


def test_views_types_and_parameters_of_torch(tmp_path: Path) -> None:
    from lsr1_solver.motion_files.torch_file import load_torch

    torch = pytest.importorskip("torch")
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    values = {
        "rows": base[1:3, ::2],
        "turned": base.T,
        "one for all": torch.tensor([1.5, -2.0]).expand(5, 2),
        "bfloat": torch.tensor([1.5, -3.0], dtype=torch.bfloat16),
        "half": torch.tensor([0.25], dtype=torch.float16),
        "whole": torch.tensor([[2**40]]),
        "truth": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(3.0),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "shape": torch.Size([3, 4]),
        "type": torch.float32,
        "numpy": np.arange(3),
    }
    torch.save(values, tmp_path / "v.pt")
    read = load_torch((tmp_path / "v.pt").read_bytes(), "v.pt")
    assert isinstance(read, dict) and read["shape"] == (3, 4)
    for key in values.keys() - {"shape", "type", "numpy"}:
        expected = values[key].detach().to(torch.float32 if key == "bfloat" else values[key].dtype).numpy()
        np.testing.assert_array_equal(read[key], expected, err_msg=key)
    np.testing.assert_array_equal(read["numpy"], [0, 1, 2])


@pytest.mark.parametrize("writer", ["joblib", "joblib, compressed", "own", "pickle"])
def test_wham(tmp_path: Path, writer: str) -> None:
    world, camera = raw_pose(N, 1, hands=True), raw_pose(N, 2, hands=True)
    camera.betas[:] = world.betas
    numbers = np.array([4, 5, 6, 9, 10, 11, 12])
    document = layouts.wham({0: (world, camera, numbers), 1: (camera, world, numbers + 3)})
    path = tmp_path / "wham_output.pkl"
    if writer.startswith("joblib"):
        joblib = pytest.importorskip("joblib")
        joblib.dump(document, path, compress=3 if "compressed" in writer else 0)
    else:
        {"own": layouts.write_joblib, "pickle": layouts.write_pickle}[writer](path, document)
    first, second = read_motion(path, body=BODY)
    np.testing.assert_allclose(posed_joints(BODY, first.pose), joints_of(world, "Y"), atol=1e-5)
    np.testing.assert_array_equal(first.frames, numbers - 4)
    np.testing.assert_array_equal(second.frames, numbers - 1)
    first, _ = read_motion(path, body=BODY, space="camera", frame_rate=25)
    np.testing.assert_allclose(posed_joints(BODY, first.pose), joints_of(camera, "-Y"), atol=1e-5)
    assert first.frame_rate == 25 and not first.rate_is_assumed


def test_phalp(tmp_path: Path) -> None:
    a, b = raw_pose(N, 1, hands=True), raw_pose(N, 2, hands=True)
    for pose in (a, b):
        pose.transl[:, 2] = 60 + np.arange(N)
    path = layouts.write_joblib(tmp_path / "demo.pkl", layouts.phalp({5: a, 9: b}, N))
    first, second = read_motion(path, body=BODY)
    assert (first.person, second.person) == ("person 5", "person 9")
    joints = np.asarray(posed_joints(BODY, first.pose))
    expected = joints_of(a, "-Y")
    for frame in range(N):
        relative = joints[frame] - joints[frame, 0], expected[frame] - expected[frame, 0]
        np.testing.assert_allclose(*relative, atol=1e-5)
    # The pelvis is seen in the same pixel through either lens.
    focal = float(np.ravel(default_camera((256, 256)).focal_length)[0])
    ours, theirs = joints[:, 0], expected[:, 0]
    np.testing.assert_allclose(
        focal * ours[:, :2] / ours[:, 2:], 5000 * theirs[:, :2] / theirs[:, 2:], atol=2.0
    )


def test_guesses_of_a_tracker_are_left_out(tmp_path: Path) -> None:
    document = layouts.phalp({5: raw_pose(N, 1)}, N)
    last = document["videos/frames/000008.jpg"]
    assert isinstance(last, dict)
    last["tracked_time"] = [2]
    (motion,) = read_motion(layouts.write_pickle(tmp_path / "d.pkl", document), body=BODY)
    assert len(motion.frames) == N - 1


def upright(count: int, up: str) -> BodyPose:
    """A body that stands and sways, its back along an axis of the file."""
    pose = raw_pose(count)
    pose.global_orient[:] = {"Z": [np.pi / 2, 0, 0], "Y": [0, 0.4, 0], "-Y": [np.pi, 0, 0]}[up]
    pose.global_orient[:, 0] += 0.2 * np.sin(np.arange(count))
    return pose


@pytest.mark.parametrize("up", ["Z", "Y", "-Y"])
def test_bodies_say_which_way_is_up(tmp_path: Path, up: str) -> None:
    raw = upright(N, up)
    npz = layouts.write_npz(tmp_path / "m.npz", layouts.amass(raw))
    pkl = layouts.write_pickle(tmp_path / "m.pkl", layouts.aist(raw))
    for path in (npz, pkl):
        (motion,) = read_motion(path, body=BODY)
        assert motion.up == up
        joints = np.asarray(posed_joints(BODY, motion.pose))
        assert np.all(joints[:, 12, 1] > joints[:, 0, 1])  # the neck above the pelvis


def test_a_body_that_lies_has_the_way_up_of_its_kind(tmp_path: Path) -> None:
    raw = upright(N, "Z")
    raw.global_orient[:] = [0, np.pi / 2, np.pi / 2]
    raw.global_orient[N // 2 :] = [0, 0, -np.pi / 2]
    path = layouts.write_npz(tmp_path / "m.npz", layouts.amass(raw))
    assert read_motion(path, body=BODY)[0].up == "Z"


def test_a_shape_a_frame_becomes_the_mean_and_the_pelvis_stays(tmp_path: Path) -> None:
    raw = raw_pose(N)
    raw.betas[:] = np.random.default_rng(5).normal(size=(N, 10))
    path = save_torch(tmp_path / "hmr4d_results.pt", layouts.gvhmr(raw, raw))
    (motion,) = read_motion(path, body=BODY)
    np.testing.assert_allclose(motion.pose.betas, np.tile(raw.betas.mean(axis=0), (N, 1)), atol=1e-6)
    pelvis = np.asarray(posed_joints(BODY, motion.pose))[:, 0]
    np.testing.assert_allclose(pelvis, joints_of(raw, "Y")[:, 0], atol=1e-5)


def test_shapes_of_the_open_body_and_of_smpl_are_not_mixed(tmp_path: Path) -> None:
    open_body = load_body_model()
    pose = raw_pose(N)
    write_amass(tmp_path / "open.npz", pose, frame_rate=30, body=open_body)
    (motion,) = read_motion(tmp_path / "open.npz", body=open_body, up="Z")
    np.testing.assert_allclose(motion.pose.betas, pose.betas, atol=1e-12)
    expected = np.asarray(posed_joints(open_body, pose))
    np.testing.assert_allclose(posed_joints(open_body, motion.pose), expected, atol=1e-6)
    with np.load(tmp_path / "open.npz") as data:
        assert not data["betas"].any()
    (motion,) = read_motion(tmp_path / "open.npz", body=BODY, up="Z")
    assert not motion.has_shape and not motion.pose.betas.any()
    write_amass(tmp_path / "smpl.npz", pose, frame_rate=30, body=BODY)
    (motion,) = read_motion(tmp_path / "smpl.npz", body=open_body, up="Z")
    assert not motion.has_shape and not motion.pose.betas.any()


def test_the_layout_of_smplx_reads_the_same(tmp_path: Path) -> None:
    pose = raw_pose(N)
    for layout, width in (("smplh", 156), ("smplx", 165)):
        path = tmp_path / f"{layout}.npz"
        write_amass(path, pose, frame_rate=30, body=BODY, layout=layout)  # pyright: ignore[reportArgumentType]
        with np.load(path) as data:
            assert data["poses"].shape == (N, width)
        (motion,) = read_motion(path, body=BODY, up="Z")
        np.testing.assert_allclose(posed_joints(BODY, motion.pose), posed_joints(BODY, pose), atol=1e-6)


def whole_files(tmp_path: Path) -> dict[str, bytes]:
    raw = raw_pose(N)
    frames = {f"{n}.jpg": layouts.romp_frame([(0, raw.frames(n))]) for n in range(N)}
    made = [
        layouts.write_npz(tmp_path / "amass.npz", layouts.amass(raw)),
        layouts.write_npz(tmp_path / "romp.npz", {"results": np.array(frames, dtype=object)}),
        layouts.write_pickle(tmp_path / "aist.pkl", layouts.aist(raw)),
        layouts.write_joblib(tmp_path / "wham.pkl", layouts.wham({0: (raw, raw, np.arange(N))})),
        layouts.write_joblib(tmp_path / "phalp.pkl", layouts.phalp({0: raw}, N)),
        save_torch(tmp_path / "gvhmr.pt", layouts.gvhmr(raw, raw)),
    ]
    return {path.name: path.read_bytes() for path in made}


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    for name, data in whole_files(tmp_path).items():
        for share in (0.0, 0.01, 0.3, 0.7, 0.99):
            path = tmp_path / f"cut_{name}"
            path.write_bytes(data[: int(share * len(data))])
            with pytest.raises(FitError, match=f"cut_{name}"):
                read_motion(path, body=BODY)


def test_damaged_files_give_a_message_or_a_motion(tmp_path: Path) -> None:
    """A byte changed here and there: never another exception."""
    rng = np.random.default_rng(0)
    for name, data in whole_files(tmp_path).items():
        for at in rng.integers(0, len(data), 60).tolist():
            changed = bytearray(data)
            changed[at] ^= int(rng.integers(1, 256))
            path = tmp_path / f"bad_{name}"
            path.write_bytes(bytes(changed))
            try:
                read_motion(path, body=BODY)
            except FitError as error:
                assert f"bad_{name}" in str(error)


def hostile_zip(member: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(member, content)
    return made.getvalue()


def test_hostile_files_run_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    evil = pickle.dumps({"smpl_poses": Calls(os.system, f"touch '{marker}'")})
    array = np.empty((), object)
    array[()] = Calls(os.system, f"touch '{marker}'")
    npz = io.BytesIO()
    np.savez(npz, results=array)
    files = {
        "evil.pkl": evil,
        "evil.pt": hostile_zip("archive/data.pkl", evil),
        "evil.npz": npz.getvalue(),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(FitError, match=rf"{name}.*asks for \w+.system"):
            read_motion(tmp_path / name, body=BODY)
    assert not marker.exists()


def test_small_files_that_claim_much_are_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    (tmp_path / "many.pt").write_bytes(b"")
    torch.save({"smpl_params_global": torch.zeros(1).expand(10**5, 10**5)}, tmp_path / "many.pt")
    # A list of a list of ... of a list, each named twice: 2 ** 60 lists.
    nested: list[object] = []
    for _ in range(60):
        nested = [nested, nested]
    layouts.write_pickle(tmp_path / "nested.pkl", {"smpl_poses": nested, "smpl_trans": np.zeros((1, 3))})
    header = io.BytesIO()
    huge = {"descr": "<f8", "fortran_order": False, "shape": (10**12, 3)}
    np.lib.format.write_array_header_1_0(header, huge)
    (tmp_path / "huge.npz").write_bytes(hostile_zip("poses.npy", header.getvalue()))
    for name in ("many.pt", "nested.pkl", "huge.npz"):
        with pytest.raises(FitError, match=name):
            read_motion(tmp_path / name, body=BODY)


FOREIGN: dict[str, object] = {
    "a list": [1, 2],
    "a dictionary with a, b": {"a": 1, "b": 2},
    "an empty dictionary": {},
    r"pose has the shape \(5,\)": {0: {"pose": np.zeros(5), "trans": np.zeros((5, 3))}},
    "frame_ids should grow": {
        0: {"pose": np.zeros((2, 72)), "trans": np.zeros((2, 3)), "frame_ids": np.array([3, 3])}
    },
    r"smpl_trans has the shape \(3, 5\)": {"smpl_trans": np.zeros((3, 5)), "smpl_poses": np.zeros((3, 72))},
    "smpl_scaling is 0": {"smpl_trans": np.zeros((3, 3)), "smpl_poses": 0, "smpl_scaling": 0.0},
    "same length": {"1.jpg": {"smpl": [{}], "tid": []}},
    r"smpl\[0\]: global_orient": {"1.jpg": {"smpl": [{}], "tid": [1]}},
    "holds nobody": {"1.jpg": {"smpl": [], "tid": []}},
    "no rotations": {
        "1.jpg": {
            "tid": [1],
            "smpl": [
                {
                    "global_orient": np.eye(3)[None] * 2,
                    "body_pose": np.zeros((23, 3, 3)),
                    "betas": np.zeros(10),
                }
            ],
        }
    },
}


@pytest.mark.parametrize("message", FOREIGN)
def test_foreign_files_are_named(tmp_path: Path, message: str) -> None:
    path = tmp_path / "foreign.pkl"
    path.write_bytes(pickle.dumps(FOREIGN[message]))
    with pytest.raises(FitError, match=f"foreign.pkl.*{message}"):
        read_motion(path, body=BODY)


def test_what_is_no_motion_at_all(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("poses")
    (tmp_path / "nothing").mkdir()
    for name in ("text.txt", "nothing", "absent.npz"):
        with pytest.raises(FitError, match=name):
            read_motion(tmp_path / name, body=BODY)
    path = layouts.write_npz(tmp_path / "m.npz", layouts.amass(raw_pose(2)))
    with pytest.raises(FitError, match="only in the world"):
        read_motion(path, body=BODY, space="camera")
    with pytest.raises(FitError, match="frame rate is -1"):
        read_motion(path, body=BODY, frame_rate=-1)
