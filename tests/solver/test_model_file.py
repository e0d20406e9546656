"""Body files: what must load, what must be refused, and that a refused file runs nothing."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from lsr1_solver.body_model import SMPL_JOINT_NAMES, BodyModel, Landmark, rest_joints
from lsr1_solver.errors import FitError
from lsr1_solver.model_file import OPEN_BODY, load_body_model
from lsr1_solver.restricted_pickle import load_restricted, to_array
from lsr1_solver.smpl_landmarks import SMPL_LANDMARK_VERTICES, complete_landmarks, mirrored
from tests.shared import SHARED, needs_shared
from tests.solver.smpl_files import (
    Foreign,
    csc_parts,
    foreign_class,
    python2_pickle,
    random_smpl,
    with_csc,
    write_npz,
)

DATA = random_smpl()
Positions = dict[str, np.ndarray]


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def check_same(body: BodyModel, data: dict[str, np.ndarray]) -> None:
    assert body.posedirs is not None
    np.testing.assert_array_equal(body.v_template, data["v_template"])
    np.testing.assert_array_equal(body.shapedirs, data["shapedirs"][..., :10])
    np.testing.assert_array_equal(body.posedirs, data["posedirs"])
    np.testing.assert_allclose(body.J_regressor, data["J_regressor"], atol=1e-15)
    np.testing.assert_array_equal(body.lbs_weights, data["weights"])
    np.testing.assert_array_equal(body.faces, data["f"])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    plain = write(tmp_path / "SMPL_NEUTRAL.pkl", pickle.dumps(DATA, protocol=protocol))
    sparse = write(tmp_path / "smpl_female.PKL", with_csc(DATA, protocol))
    check_same(load_body_model(plain), DATA)
    check_same(load_body_model(sparse), DATA)


def test_python_2_pickle_with_sparse_regressor(tmp_path: Path) -> None:
    regressor = Foreign({"_shape": (24, 60), **csc_parts(DATA["J_regressor"])})
    content = python2_pickle({**DATA, "J_regressor": regressor, "bs_style": "lbs"})
    check_same(load_body_model(write(tmp_path / "m.pkl", content)), DATA)


@pytest.mark.parametrize("module", ["scipy.sparse.csc", "scipy.sparse._csc"])
def test_both_homes_of_scipy_matrices(tmp_path: Path, module: str) -> None:
    content = with_csc(DATA, module=module)
    check_same(load_body_model(write(tmp_path / "m.pkl", content)), DATA)


def test_chumpy_expressions(tmp_path: Path) -> None:
    """The official shapedirs are a Select of a Ch; here over a larger array, in another order."""
    larger = random_smpl(shapes=12)["shapedirs"]
    index = np.arange(larger.size).reshape(larger.shape)[..., 11:1:-1]
    with foreign_class("chumpy.ch", "Ch") as ch:
        template = ch({"x": DATA["v_template"], "_dirty_vars": set(), "_depends_on_deps": {}})
        with foreign_class("chumpy.reordering", "Select") as select:
            node = select({"a": larger, "idxs": index.ravel(), "preferred_shape": index.shape})
            content = pickle.dumps({**DATA, "shapedirs": node}, protocol=2)
        both = pickle.dumps({**DATA, "v_template": template}, protocol=2)
    body = load_body_model(write(tmp_path / "s.pkl", content))
    np.testing.assert_array_equal(body.shapedirs, larger[..., 11:1:-1])
    check_same(load_body_model(write(tmp_path / "c.pkl", both)), DATA)


@needs_shared("smpl")
def test_every_chumpy_node_of_the_synthetic_file() -> None:
    path = SHARED / "smpl" / "synthetic_chumpy_nodes_proto2.pkl"
    values = load_restricted(path.read_bytes(), path.name)
    assert isinstance(values, dict)
    arrays = {key: to_array(value, key) for key, value in values.items()}
    count = np.arange(24.0)
    np.testing.assert_array_equal(arrays["v_template"], count.reshape(2, 3, 4))
    np.testing.assert_array_equal(arrays["shapedirs"], count.reshape(2, 3, 4)[..., :2])
    np.testing.assert_array_equal(arrays["J"], count.reshape(6, 4).T)
    np.testing.assert_array_equal(arrays["sum"], count.reshape(2, 3, 4) + 1)
    np.testing.assert_array_equal(arrays["J_regressor"], np.eye(3))
    with pytest.raises(FitError, match="no kintree_table"):
        load_body_model(path)


def test_npz_dense_and_sparse(tmp_path: Path) -> None:
    write_npz(tmp_path / "dense.npz", DATA)
    check_same(load_body_model(tmp_path / "dense.npz"), DATA)

    parts = {f"J_regressor_{key}": part for key, part in csc_parts(DATA["J_regressor"]).items()}
    rest = {key: value for key, value in DATA.items() if key != "J_regressor"}
    write_npz(tmp_path / "parts.npz", {**rest, **parts})
    check_same(load_body_model(tmp_path / "parts.npz"), DATA)

    with foreign_class("scipy.sparse._csc", "csc_matrix") as csc_matrix:
        boxed = np.empty((), object)
        boxed[()] = csc_matrix({"_shape": (24, 60), **csc_parts(DATA["J_regressor"])})
        write_npz(tmp_path / "object.npz", {**rest, "J_regressor": boxed})
    check_same(load_body_model(tmp_path / "object.npz"), DATA)


def test_shapes_are_cut_to_what_is_asked(tmp_path: Path) -> None:
    data = random_smpl(shapes=300)
    path = write(tmp_path / "smpl.pkl", pickle.dumps(data))
    assert load_body_model(path).shape_count == 10
    assert load_body_model(path, shape_count=300).shape_count == 300
    np.testing.assert_array_equal(load_body_model(path, shape_count=4).shapedirs, data["shapedirs"][..., :4])
    with pytest.raises(FitError, match="at least 1"):
        load_body_model(path, shape_count=0)


def test_big_endian_and_fortran_arrays(tmp_path: Path) -> None:
    swapped = {**DATA, "v_template": DATA["v_template"].astype(">f8")}
    swapped["posedirs"] = np.asfortranarray(DATA["posedirs"])
    check_same(load_body_model(write(tmp_path / "m.pkl", pickle.dumps(swapped, protocol=4))), DATA)


def test_landmarks(tmp_path: Path) -> None:
    """SMPL's own mesh has every point; another mesh has what joints can tell. Weights sum to 1."""
    data = random_smpl(6890)
    data["posedirs"] = np.zeros((6890, 3, 0))
    write_npz(tmp_path / "smpl.npz", data)
    body = load_body_model(tmp_path / "smpl.npz")
    assert body.posedirs is None
    other = load_body_model(write(tmp_path / "other.pkl", pickle.dumps(DATA)))
    assert set(SMPL_JOINT_NAMES) < set(other.landmarks) < set(body.landmarks)
    assert {"nose", "left_heel", "mouth_right", "upper_neck", "right_index_knuckle", "left_eye_outer"} <= set(
        body.landmarks
    )
    assert not any(landmark.vertices for landmark in other.landmarks.values())
    for name, landmark in body.landmarks.items():
        assert sum(landmark.vertex_weights + landmark.joint_weights) == pytest.approx(1), name


def test_vertex_numbers_are_those_of_smplx() -> None:
    ids = pytest.importorskip("smplx.vertex_ids").vertex_ids["smplh"]
    names = {"nose": "nose"}
    for side, letter in (("left", "l"), ("right", "r")):
        names |= {f"{side}_{part}": f"{letter}{part}" for part in ("eye", "ear")}
        names |= {
            f"{side}_{finger}_tip": f"{letter}{finger}"
            for finger in ("thumb", "index", "middle", "ring", "pinky")
        }
        feet = {"big_toe": "BigToe", "small_toe": "SmallToe", "heel": "Heel"}
        names |= {f"{side}_{ours}": letter.upper() + theirs for ours, theirs in feet.items()}
    assert {ours: SMPL_LANDMARK_VERTICES[ours] for ours in names} == {
        ours: ids[theirs] for ours, theirs in names.items()
    }


@pytest.mark.skipif(not OPEN_BODY.exists(), reason=f"needs {OPEN_BODY}")
def test_open_body() -> None:
    body = load_body_model()
    assert body.shape_count == 10 and body.quads is not None and body.uv is not None
    np.testing.assert_allclose(body.lbs_weights.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(body.J_regressor.sum(axis=1), 1, atol=1e-5)
    assert {"nose", "coco_left_hip", "coco_neck", "right_big_toe", *SMPL_JOINT_NAMES} <= set(body.landmarks)
    for name, landmark in body.landmarks.items():
        assert sum(landmark.vertex_weights + landmark.joint_weights) == pytest.approx(1, abs=1e-4), name


def landmark_positions(body: BodyModel, betas: np.ndarray, landmarks: Mapping[str, Landmark]) -> Positions:
    """Where landmarks lie on the shaped body in its rest pose. Each [B, 3], metres."""
    vertices = body.v_template + np.einsum("bs,vcs->bvc", betas, body.shapedirs)
    joints = rest_joints(body, betas)
    return {
        name: np.tensordot(np.array(mark.vertex_weights), vertices[:, list(mark.vertices)], ([0], [1]))
        + np.tensordot(np.array(mark.joint_weights), joints[:, list(mark.joints)], ([0], [1]))
        for name, mark in landmarks.items()
    }


@pytest.mark.skipif(not OPEN_BODY.exists(), reason=f"needs {OPEN_BODY}")
def test_sums_lie_near_the_open_bodys_own_points() -> None:
    """A body that only knows SMPL's points has the others within 3 cm, over the space of shapes."""
    body = load_body_model()
    betas = np.random.default_rng(0).normal(size=(50, 10))
    own = landmark_positions(body, betas, body.landmarks)
    few = {name: body.landmarks[name] for name in SMPL_LANDMARK_VERTICES}
    sums = landmark_positions(body, betas, complete_landmarks(few))
    assert own.keys() == sums.keys()
    for name in own.keys() - few.keys():
        away = np.median(np.linalg.norm(own[name] - sums[name], axis=1))
        # The table widens SMPL's narrow hips; the open body's stand where they are in people.
        assert away < (0.05 if "hip" in name else 0.03), name


@pytest.mark.skipif(not OPEN_BODY.exists(), reason=f"needs {OPEN_BODY}")
def test_points_of_the_face_lie_in_order() -> None:
    body = load_body_model()
    at = {n: p[0] for n, p in landmark_positions(body, np.zeros((1, 10)), body.landmarks).items()}
    across = ["right_ear", "right_eye_outer", "right_eye", "right_eye_inner", "nose"]
    across += [mirrored(name) for name in across[-2::-1]]
    assert (np.diff([at[name][0] for name in across]) > 0).all()
    upwards = ["left_shoulder", "neck", "upper_neck", "mouth_left", "nose", "left_eye", "head_top"]
    assert (np.diff([at[name][1] for name in upwards]) > 0).all()
    assert at["mouth_left"][0] > 0 > at["mouth_right"][0]
    assert at["left_ear"][2] < at["mouth_left"][2] < at["nose"][2]


WRONG = {
    "no shapedirs": ({"shapedirs": None}, "no shapedirs, which an SMPL body needs. It has: J_regressor"),
    "template": ({"v_template": np.zeros((60, 2))}, r"v_template has the shape \(60, 2\).*\(any, 3\)"),
    "weights": ({"weights": np.zeros((59, 24))}, r"weights has the shape \(59, 24\).*\(60, 24\)"),
    "posedirs": ({"posedirs": np.zeros((60, 3, 9))}, r"posedirs has the shape .*\(60, 3, 207\)"),
    "regressor": ({"J_regressor": np.zeros((60, 24))}, r"J_regressor .*\(60, 24\).*\(24, 60\)"),
    "faces": ({"f": np.array([[0, 1, 60]])}, "vertex numbers from 0 to 59"),
    "NaN": ({"weights": np.full((60, 24), np.nan)}, "NaN"),
    "text": ({"weights": "none"}, "weights is no array"),
    "SMPL-H": ({"kintree_table": np.zeros((2, 52), int)}, "52 joints, so it is SMPL-H"),
    "SMPL-X": ({"kintree_table": np.zeros((2, 55), int)}, "55 joints, so it is SMPL-X"),
    "MANO": ({"kintree_table": np.zeros((2, 16), int)}, "16 joints, so it is MANO"),
    "unknown": ({"kintree_table": np.zeros((2, 30), int)}, "30 joints, so it is another model"),
    "parents": ({"kintree_table": np.zeros((2, 24), int)}, r"joint 4 \(left_knee\) the parent 0.*it is 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_values_are_named(tmp_path: Path, case: str) -> None:
    change, message = WRONG[case]
    values = {key: value for key, value in {**DATA, **change}.items() if value is not None}
    path = write(tmp_path / "wrong.pkl", pickle.dumps(values))
    with pytest.raises(FitError, match=f"wrong.pkl.*{message}"):
        load_body_model(path)


def test_damaged_and_foreign_files(tmp_path: Path) -> None:
    whole = pickle.dumps(DATA)
    write_npz(tmp_path / "whole.npz", DATA)
    zipped = (tmp_path / "whole.npz").read_bytes()
    contents = {
        "half.pkl": whole[: len(whole) // 2],
        "empty.pkl": b"",
        "page.pkl": b"<!DOCTYPE html><html><title>Sign in</title></html>",
        "half.npz": zipped[: len(zipped) // 2],
        **{
            f"flipped{i}.npz": zipped[:i] + bytes([zipped[i] ^ 0xFF]) + zipped[i + 1 :]
            for i in range(60, 900, 60)
        },
        "list.pkl": pickle.dumps([1, 2, 3]),
    }
    for i in range(60, 900, 60):
        contents[f"flipped{i}.npz"] = zipped[:i] + bytes([zipped[i] ^ 0xFF]) + zipped[i + 1 :]
    for name, content in contents.items():
        with pytest.raises(FitError, match=name):
            load_body_model(write(tmp_path / name, content))
    with pytest.raises(FitError, match=r"absent.pkl cannot be read"):
        load_body_model(tmp_path / "absent.pkl")
    with pytest.raises(FitError, match="cannot be read"):
        load_body_model(tmp_path)


def test_every_truncation_of_a_pickle_is_refused() -> None:
    content = with_csc(random_smpl(2), 2)
    for length in range(0, len(content) - 1, 101):
        with pytest.raises(FitError, match="not a whole pickle"):
            load_restricted(content[:length], "m.pkl")
