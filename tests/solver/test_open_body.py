"""The body that ships with the product: an SMPL-format file whose parts hold together."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lsr1_solver.body_model import (
    SMPL_JOINT_NAMES,
    SMPL_PARENTS,
    BodyModel,
    BodyPose,
    posed_joints,
    rest_joints,
    skin,
)
from lsr1_solver.model_file import load_body_model

FILE = Path(__file__).resolve().parents[2] / "assets" / "open_body.npz"
MIRROR = np.array([-1.0, 1.0, 1.0])
SIDED = (
    "eye", "ear", "eye_inner", "eye_outer", "big_toe", "small_toe", "heel", "thumb_tip", "index_tip",
    "middle_tip", "ring_tip", "pinky_tip", "thumb_knuckle", "index_knuckle", "pinky_knuckle",
)  # fmt: skip
SMPL_KEYS = ("v_template", "shapedirs", "weights", "J_regressor", "kintree_table", "f")
COCO = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
LANDMARKS = {
    *(f"{side}_{name}" for side in ("left", "right") for name in SIDED),
    *(f"coco_{side}_{name}" for side in ("left", "right") for name in COCO),
    *("coco_neck", "coco_mid_hip", "nose", "mouth_left", "mouth_right", "head_top", "upper_neck"),
}


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    with np.load(FILE, allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_body_model(FILE)


@pytest.fixture(scope="module")
def rest(body: BodyModel) -> dict[str, np.ndarray]:
    """Joints and landmarks of the mean body by name, [3] each."""
    points: dict[str, np.ndarray] = {}
    points.update(zip(SMPL_JOINT_NAMES, rest_joints(body, np.zeros((1, 10)))[0], strict=True))
    for name in LANDMARKS:
        landmark = body.landmarks[name]
        points[name] = np.array(landmark.vertex_weights) @ body.v_template[list(landmark.vertices)]
    return points


def shaped(body: BodyModel, component: int, amount: float) -> np.ndarray:
    return body.v_template + amount * body.shapedirs[..., component]


def stature(v: np.ndarray) -> float:
    return float(np.ptp(v[:, 1]))


def volume(v: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (v[faces[:, i]] for i in range(3))
    return float((np.cross(b - a, c - a) * a).sum() / 6)


def one_pose(degrees: dict[str, tuple[float, float, float]]) -> BodyPose:
    rotations = np.zeros((24, 3))
    for name, angles in degrees.items():
        rotations[SMPL_JOINT_NAMES.index(name)] = np.radians(angles)
    return BodyPose(rotations[None, 0], rotations[None, 1:], np.zeros((1, 10)), np.zeros((1, 3)))


def test_file_is_small_and_of_smpls_format(data: dict[str, np.ndarray]) -> None:
    assert FILE.stat().st_size <= 4 * 2**20
    V = len(data["v_template"])
    assert data["v_template"].shape == (V, 3)
    assert data["shapedirs"].shape == (V, 3, 10)
    assert data["weights"].shape == (V, 24)
    assert data["J_regressor"].shape == (24, V)
    assert data["kintree_table"][0].tolist() == list(SMPL_PARENTS)
    assert data["kintree_table"][1].tolist() == list(range(24))
    assert data["f"].dtype == data["quads"].dtype == np.int32
    assert data["uv"].shape == (len(data["quads"]), 4, 2)
    assert data["f"].min() == data["quads"].min() == 0
    assert data["f"].max() == data["quads"].max() == V - 1
    assert all(np.isfinite(data[key]).all() for key in ("v_template", "shapedirs", "uv", "weights"))


def test_triangles_are_the_quads_and_face_outwards(data: dict[str, np.ndarray]) -> None:
    quads, v = data["quads"], data["v_template"].astype(np.float64)
    halves = {tuple(sorted(t)) for t in np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).tolist()}
    assert {tuple(sorted(t)) for t in data["f"].tolist()} == halves
    assert 0.05 < volume(v, data["f"]) < 0.08


def test_texture_coordinates_lie_in_the_square_and_cover_area(data: dict[str, np.ndarray]) -> None:
    uv = data["uv"].astype(np.float64)
    assert uv.min() >= 0
    assert uv.max() <= 1
    edges = np.diff(uv, axis=1)
    assert np.mean(np.linalg.norm(edges, axis=-1) > 0) > 0.99


def test_weights_are_four_a_vertex_and_sum_to_one(data: dict[str, np.ndarray]) -> None:
    weights = data["weights"]
    assert (weights >= 0).all()
    assert (weights > 0).sum(axis=1).max() <= 4
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert (weights.max(axis=0) > 0.4).all(), "every joint carries some vertices"


def test_joint_regressor_is_sparse_and_sums_to_one(data: dict[str, np.ndarray]) -> None:
    regressor = data["J_regressor"]
    np.testing.assert_allclose(regressor.sum(axis=1), 1, atol=1e-5)
    assert (regressor != 0).sum(axis=1).max() <= 400
    # Weights of either sign, but none that would make a joint tremble with the mesh.
    assert np.linalg.norm(regressor, axis=1).max() < 3


def test_metadata_says_what_it_is(data: dict[str, np.ndarray]) -> None:
    metadata = json.loads(str(data["metadata"]))
    assert metadata["license"] == "CC0-1.0"
    assert "no pose correctives" in metadata["posedirs"]
    assert "posedirs" not in data
    assert len(metadata["variance_percent"]) == 10
    assert max(metadata["joint_error_mm"].values()) <= 5


def test_both_sides_are_the_same(body: BodyModel, rest: dict[str, np.ndarray]) -> None:
    for name, point in rest.items():
        twin = name.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right")
        np.testing.assert_allclose(point, rest[twin] * MIRROR, atol=1e-4, err_msg=name)
    v = body.v_template
    nearest = [np.abs(v - p * MIRROR).sum(axis=1).min() for p in v[::97]]
    assert max(nearest) < 1e-5


def test_symmetric_shapes_stay_symmetric(body: BodyModel) -> None:
    betas = np.random.default_rng(0).normal(size=(4, 10))
    joints = rest_joints(body, betas)
    order = [
        SMPL_JOINT_NAMES.index(n.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right"))
        for n in SMPL_JOINT_NAMES
    ]
    np.testing.assert_allclose(joints, joints[:, order] * MIRROR, atol=2e-4)


def test_arms_lie_along_x_and_legs_hang_down(rest: dict[str, np.ndarray]) -> None:
    for side, sign in (("left", 1.0), ("right", -1.0)):
        arm = [rest[f"{side}_{part}"] for part in ("shoulder", "elbow", "wrist", "hand")]
        leg = [rest[f"{side}_{part}"] for part in ("hip", "knee", "ankle")]
        for chain, along, degrees in ((arm, (sign, 0, 0), 2), (leg, (0, -1, 0), 6)):
            for bone in np.diff(chain, axis=0):
                cosine = bone @ np.array(along) / np.linalg.norm(bone)
                assert np.degrees(np.arccos(np.clip(cosine, -1, 1))) < degrees
        toes = rest[f"{side}_big_toe"] - rest[f"{side}_heel"]
        assert abs(np.degrees(np.arctan2(toes[0], toes[2]))) < 15
        # Palms down: the index finger is in front of the little one, at the same height.
        across = rest[f"{side}_index_knuckle"] - rest[f"{side}_pinky_knuckle"]
        assert abs(across[1]) < 0.3 * across[2]
    # Upright: the head is over the pelvis.
    assert abs(rest["head"][2] - rest["pelvis"][2]) < 0.08
    assert np.linalg.norm(rest["pelvis"] - [0, -0.24, 0]) < 0.05


def test_soles_stand_on_one_floor(body: BodyModel) -> None:
    v, weights = body.v_template, body.lbs_weights
    floor = v[:, 1].min()
    for side in ("left", "right"):
        ankle, toes = (SMPL_JOINT_NAMES.index(f"{side}_{part}") for part in ("ankle", "foot"))
        for column in (ankle, toes):
            assert v[weights[:, column] > 0.8, 1].min() < floor + 0.012


def test_landmarks_have_the_agreed_names(data: dict[str, np.ndarray]) -> None:
    names = data["landmark_names"].tolist()
    assert set(names) == LANDMARKS
    assert len(names) == len(LANDMARKS)
    np.testing.assert_allclose(data["landmark_weights"].sum(axis=1), 1, atol=1e-5)
    assert (data["landmark_weights"] >= 0).all()


def _front(p: dict[str, np.ndarray]) -> bool:
    behind = ("left_eye", "left_eye_inner", "left_ear", "head", "mouth_left")
    return all(p["nose"][2] > p[name][2] for name in behind)


PLACES: dict[str, Callable[[dict[str, np.ndarray]], bool]] = {
    "the nose is in front": _front,
    "ears are lateral and behind the eyes": lambda p: (
        p["left_ear"][0] > 0.06 > p["left_eye"][0] and p["left_ear"][2] < p["left_eye"][2] - 0.05
    ),
    "eye corners enclose the eye": lambda p: (
        p["left_eye_inner"][0] < p["left_eye"][0] < p["left_eye_outer"][0]
        and abs(p["left_eye_inner"][1] - p["left_eye"][1]) < 0.01
    ),
    "eyes are over nose over mouth over throat": lambda p: (
        p["left_eye"][1] > p["nose"][1] > p["mouth_left"][1] > p["upper_neck"][1] > p["neck"][1]
    ),
    "the head's top is the highest point": lambda p: p["head_top"][1] > p["left_eye"][1] + 0.08,
    "heels are behind the ankles, near the floor": lambda p: (
        p["left_heel"][2] < p["left_ankle"][2] - 0.02 and p["left_heel"][1] < p["left_ankle"][1] - 0.03
    ),
    "toes are in front, the big one inside": lambda p: (
        p["left_big_toe"][2] > p["left_foot"][2] and p["left_big_toe"][0] < p["left_small_toe"][0] - 0.03
    ),
    "fingertips are beyond their knuckles": lambda p: (
        p["left_index_tip"][0] > p["left_index_knuckle"][0] + 0.04
        and p["left_pinky_tip"][0] > p["left_pinky_knuckle"][0] + 0.03
        and p["left_middle_tip"][0] > p["left_hand"][0] + 0.06
    ),
    "the thumb is in front": lambda p: p["left_thumb_tip"][2] > p["left_index_tip"][2],
    "COCO's hips are apart as annotators put them": lambda p: (
        0.08 < p["coco_left_hip"][0] < 0.12 and p["coco_left_hip"][2] > p["left_hip"][2]
    ),
    "COCO's limbs are near SMPL's": lambda p: all(
        np.linalg.norm(p[f"coco_left_{name}"] - p[f"left_{name}"]) < 0.035
        for name in ("elbow", "wrist", "hip", "knee", "ankle", "shoulder")
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_landmarks_sit_where_they_should(rest: dict[str, np.ndarray], place: str) -> None:
    assert PLACES[place](rest)


def test_first_component_is_stature_second_is_build(body: BodyModel) -> None:
    assert 1.65 < stature(body.v_template) < 1.75
    low, high = (stature(shaped(body, 0, s)) for s in (-1, 1))
    assert 0.12 < high - low < 0.26
    thin, heavy = (shaped(body, 1, s) for s in (-2, 2))
    assert volume(heavy, body.faces) > 1.25 * volume(thin, body.faces)
    assert abs(stature(heavy) - stature(thin)) < 0.02
    for component in range(2, 10):
        change = stature(shaped(body, component, 2)) - stature(shaped(body, component, -2))
        assert abs(change) < 0.02


def test_joints_stay_inside_the_limbs_for_every_shape(body: BodyModel) -> None:
    """A limb's joint keeps to the middle of the skin around it: no shape pushes it out."""
    betas = np.concatenate([2 * np.eye(10), -2 * np.eye(10)])
    joints = rest_joints(body, betas)
    v = body.v_template + np.einsum("vcs,ns->nvc", body.shapedirs, betas)
    for name, axis in (("left_knee", 1), ("left_ankle", 1), ("left_elbow", 0), ("left_wrist", 0)):
        index = SMPL_JOINT_NAMES.index(name)
        for mesh, joint in zip(v, joints[:, index], strict=True):
            own = body.lbs_weights[:, index] + body.lbs_weights[:, SMPL_PARENTS[index]] > 0.5
            ring = mesh[own & (np.abs(mesh[:, axis] - joint[axis]) < 0.02)]
            assert (ring.min(axis=0) < joint).all()
            assert (joint < ring.max(axis=0)).all()


def test_pelvis_stays_where_it_is_when_the_shape_changes(body: BodyModel) -> None:
    betas = np.random.default_rng(1).normal(size=(16, 10))
    assert np.ptp(rest_joints(body, betas)[:, 0], axis=0).max() < 2e-3


BENDS = {
    "seated": {"left_hip": (-90.0, 0.0, 0.0), "right_hip": (-90.0, 0.0, 0.0)},
    "arms down": {"left_shoulder": (0.0, 0.0, -65.0), "right_shoulder": (0.0, 0.0, 65.0)},
    "arms up": {"left_shoulder": (0.0, 0.0, 65.0), "right_shoulder": (0.0, 0.0, -65.0)},
    "knees": {"left_knee": (90.0, 0.0, 0.0), "right_knee": (90.0, 0.0, 0.0)},
    "elbows": {"left_elbow": (0.0, -90.0, 0.0), "right_elbow": (0.0, 90.0, 0.0)},
}


@pytest.mark.parametrize("bend", BENDS)
def test_bends_keep_the_volume(body: BodyModel, bend: str) -> None:
    before = volume(body.v_template, body.faces)
    after = volume(skin(body, one_pose(BENDS[bend]))[0], body.faces)
    assert abs(after / before - 1) < 0.06


def test_smplx_agrees_on_vertices_and_joints(data: dict[str, np.ndarray], body: BodyModel) -> None:
    smplx = pytest.importorskip("smplx")
    torch = pytest.importorskip("torch")
    struct = smplx.utils.Struct(
        **{key: data[key] for key in SMPL_KEYS}, posedirs=np.zeros((len(data["v_template"]), 3, 207))
    )
    peer = smplx.SMPL(model_path="", data_struct=struct, num_betas=10, batch_size=8, dtype=torch.float64)
    rng = np.random.default_rng(3)
    pose = BodyPose(
        global_orient=rng.normal(size=(8, 3)),
        body_pose=0.6 * rng.normal(size=(8, 23, 3)),
        betas=rng.normal(size=(8, 10)),
        transl=rng.normal(size=(8, 3)),
    )
    with torch.no_grad():
        out = peer(
            betas=torch.from_numpy(pose.betas),
            global_orient=torch.from_numpy(pose.global_orient),
            body_pose=torch.from_numpy(pose.body_pose.reshape(8, 69)),
            transl=torch.from_numpy(pose.transl),
        )
    np.testing.assert_allclose(out.vertices.numpy(), skin(body, pose), atol=1e-5)
    np.testing.assert_allclose(out.joints[:, :24].numpy(), posed_joints(body, pose), atol=1e-5)
