"""Skinning and joints: against smplx, the reference implementation, and by what must not change."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lsr1_solver.body_model import BodyModel, BodyPose, posed_joints, rest_joints, skin
from lsr1_solver.model_file import load_body_model
from tests.solver.smpl_files import random_smpl


@pytest.fixture(scope="module")
def smpl_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("body") / "SMPL_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps(random_smpl(200), protocol=2))
    return path


@pytest.fixture(scope="module")
def body(smpl_file: Path) -> BodyModel:
    return load_body_model(smpl_file)


def random_pose(frames: int, seed: int = 0) -> BodyPose:
    rng = np.random.default_rng(seed)
    return BodyPose(
        global_orient=rng.normal(size=(frames, 3)),
        body_pose=rng.normal(scale=0.7, size=(frames, 23, 3)),
        betas=rng.normal(size=(frames, 10)),
        transl=rng.normal(size=(frames, 3)),
    )


def test_agrees_with_smplx(smpl_file: Path, body: BodyModel) -> None:
    """Random data, random poses with large angles, pose correctives included; float64."""
    smplx = pytest.importorskip("smplx")
    torch = pytest.importorskip("torch")
    ids = dict.fromkeys(smplx.vertex_ids.vertex_ids["smplh"], 0)
    peer = smplx.SMPL(str(smpl_file), vertex_ids=ids, dtype=torch.float64, batch_size=16)
    pose = random_pose(16)
    as_tensor = {key: torch.as_tensor(value) for key, value in vars(pose).items()}
    as_tensor["body_pose"] = as_tensor["body_pose"].reshape(16, 69)
    with torch.no_grad():
        theirs = peer(**as_tensor)
    assert body.posedirs is not None
    correctives = skin(body, pose) - skin(replace(body, posedirs=None), pose)
    assert np.abs(correctives).max() > 0.01
    np.testing.assert_allclose(skin(body, pose), theirs.vertices.numpy(), atol=1e-5)
    np.testing.assert_allclose(posed_joints(body, pose), theirs.joints[:, :24].numpy(), atol=1e-5)


def test_torch_runs_the_same_lines(body: BodyModel) -> None:
    torch = pytest.importorskip("torch")
    pose = random_pose(4)
    tensors = BodyPose(**{key: torch.as_tensor(value) for key, value in vars(pose).items()})
    np.testing.assert_allclose(np.asarray(skin(body, tensors)), skin(body, pose), atol=1e-12)
    np.testing.assert_allclose(np.asarray(posed_joints(body, tensors)), posed_joints(body, pose), atol=1e-12)


def test_rest_pose_is_the_template(body: BodyModel) -> None:
    rest = BodyPose(np.zeros((1, 3)), np.zeros((1, 23, 3)), np.zeros((1, 10)), np.zeros((1, 3)))
    np.testing.assert_allclose(skin(body, rest)[0], body.v_template, atol=1e-12)
    np.testing.assert_allclose(posed_joints(body, rest)[0], body.J_regressor @ body.v_template, atol=1e-12)


def test_pelvis_stands_at_its_rest_place_plus_translation(body: BodyModel) -> None:
    pose = random_pose(8, seed=3)
    pelvis = rest_joints(body, pose.betas)[:, 0] + pose.transl
    np.testing.assert_allclose(posed_joints(body, pose)[:, 0], pelvis, atol=1e-12)


def test_frames_do_not_depend_on_each_other(body: BodyModel) -> None:
    pose = random_pose(7, seed=4)
    together = skin(body, pose)
    for i in range(len(pose)):
        np.testing.assert_allclose(skin(body, pose.frames(i))[0], together[i], atol=1e-12)
    assert len(pose.frames(-1)) == 1
    np.testing.assert_array_equal(pose.frames(-1).transl[0], pose.transl[-1])


def test_fewer_betas_mean_zeros(body: BodyModel) -> None:
    pose = random_pose(3, seed=5)
    pose.betas[:, 4:] = 0
    short = BodyPose(pose.global_orient, pose.body_pose, pose.betas[:, :4], pose.transl)
    np.testing.assert_allclose(skin(body, short), skin(body, pose), atol=1e-12)
    np.testing.assert_allclose(rest_joints(body, short.betas), rest_joints(body, pose.betas), atol=1e-12)
