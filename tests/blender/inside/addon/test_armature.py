"""Poses go to the bones and come back: any roll, any rotation mode, any rig."""

import json
from pathlib import Path

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import armature as rigs
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon.rig import Y_UP_TO_Z_UP, is_rig, rig_of
from lsr1_body_fit.addon.rig_names import NAMINGS
from lsr1_body_fit.lsr1_solver import (
    SMPL_JOINT_NAMES,
    SMPL_PARENTS,
    BodyPose,
    FitError,
    load_body_model,
    posed_joints,
    rest_joints,
    skin,
)
from lsr1_body_fit.lsr1_solver.rotation import axis_angle_to_matrix, geodesic_angle, matrix_to_axis_angle

from tests.blender.inside.addon.rigs import armature_of, bone_heads, world_vertices
from tests.shared import SHARED, needs_shared
from tests.solver.smpl_files import random_smpl

MODES = ("QUATERNION", "AXIS_ANGLE", "XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX")
CASE = SHARED / "cases" / "32_bone_roll_roundtrip"
TURN = Y_UP_TO_Z_UP


def random_pose(seed: int, spread: float = 0.5) -> BodyPose:
    rng = np.random.default_rng(seed)
    return BodyPose(
        rng.normal(size=(1, 3)),
        spread * rng.normal(size=(1, 23, 3)),
        rng.normal(size=(1, 10)),
        rng.normal(size=(1, 3)),
    )


def camera_matrix() -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = axis_angle_to_matrix(np.array([1.2, 0.3, -0.4]))
    matrix[:3, 3] = 3.0, -5.0, 1.2
    return matrix


@pytest.mark.parametrize("mode", MODES)
def test_pose_there_and_back(mode: str) -> None:
    armature = bodies.add_body(bpy.context)
    for bone in armature.pose.bones:
        bone.rotation_mode = mode
    pose = random_pose(1)
    bodies.set_shape(bpy.context, armature, pose.betas[0])
    rigs.apply_pose(armature, pose, to_world=camera_matrix())
    back = rigs.read_pose(armature, to_world=camera_matrix())
    for ours, theirs in ((pose.global_orient, back.global_orient), (pose.body_pose, back.body_pose)):
        angle = geodesic_angle(axis_angle_to_matrix(ours), axis_angle_to_matrix(theirs))
        assert angle.max() < 1e-4
    assert np.allclose(back.transl, pose.transl, atol=1e-5)
    assert np.allclose(back.betas, pose.betas, atol=1e-6)
    assert {bone.rotation_mode for bone in armature.pose.bones} == {mode}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("placed", ["as_added", "moved", "scaled"])
def test_joints_and_mesh_are_the_solvers(seed: int, placed: str) -> None:
    body, pose, camera = load_body_model(), random_pose(seed), camera_matrix()
    armature = bodies.add_body(bpy.context)
    scale = 1.0
    if placed != "as_added":
        armature.location, armature.rotation_euler = (1.0, 2.0, 0.5), (0.3, -0.2, 2.0)
    if placed == "scaled":
        scale = 1.3
        armature.scale = (scale,) * 3
    bpy.context.view_layer.update()
    bodies.set_shape(bpy.context, armature, pose.betas[0])
    rigs.apply_pose(armature, pose, to_world=camera)
    # A body grown by its object stands farther away: the same picture.
    joints = scale * posed_joints(body, pose)[0] @ camera[:3, :3].T + camera[:3, 3]
    vertices = scale * skin(body, pose)[0] @ camera[:3, :3].T + camera[:3, 3]
    assert np.abs(bone_heads(armature, SMPL_JOINT_NAMES) - joints).max() < 1e-4
    assert np.abs(world_vertices(bodies.mesh_of(armature)) - vertices).max() < 1e-3


def test_preview_shows_the_shape_without_touching_rest_bones() -> None:
    body, pose, camera = load_body_model(), random_pose(5), camera_matrix()
    armature = bodies.add_body(bpy.context)
    before = [bone.matrix_local.copy() for bone in armature.data.bones]
    bpy.context.scene.lsr1.result.is_preview = True
    bodies.show_betas(armature, pose.betas[0])
    rigs.apply_pose(armature, pose, to_world=camera, preview=True)
    vertices = skin(body, pose)[0] @ camera[:3, :3].T + camera[:3, 3]
    assert np.abs(world_vertices(bodies.mesh_of(armature)) - vertices).max() < 1e-3
    assert before == [bone.matrix_local for bone in armature.data.bones]
    back = rigs.read_pose(armature, betas=bodies.shown_betas(armature), to_world=camera)
    assert np.allclose(back.transl, pose.transl, atol=1e-5) and np.allclose(back.betas, pose.betas, atol=1e-6)


def test_joints_follow_the_shape_and_keep_their_frames() -> None:
    armature = bodies.add_body(bpy.context)
    before = {bone.name: np.array(bone.matrix_local)[:3, :3] for bone in armature.data.bones}
    bodies.mesh_of(armature).data.shape_keys.key_blocks["shape_01 stature"].value = 2.0
    bpy.context.view_layer.update()
    betas = np.zeros((1, 10))
    betas[0, 0] = 2.0
    rest = rest_joints(load_body_model(), betas)[0] @ TURN.T
    offsets = bone_heads(armature, SMPL_JOINT_NAMES) - rest
    assert np.ptp(offsets, axis=0).max() < 1e-5
    vertices = world_vertices(bodies.mesh_of(armature))
    assert np.ptp(vertices[:, 2]) > 1.9 and abs(vertices[:, 2].min()) < 0.01
    for bone in armature.data.bones:
        assert np.allclose(np.array(bone.matrix_local)[:3, :3], before[bone.name], atol=1e-5)
    assert not bodies.joints_to_shape(bpy.context, armature)


def test_body_stands_on_the_floor_facing_the_viewer() -> None:
    armature = bodies.add_body(bpy.context)
    vertices = world_vertices(bodies.mesh_of(armature))
    assert abs(vertices[:, 2].min()) < 1e-5
    heads = dict(zip(SMPL_JOINT_NAMES, bone_heads(armature, SMPL_JOINT_NAMES), strict=True))
    assert heads["head"][2] > heads["pelvis"][2] > heads["left_foot"][2]
    assert heads["left_hand"][0] > 0.5 > heads["right_hand"][0]
    assert heads["left_foot"][1] < heads["left_ankle"][1]


def test_mirror_tools_know_left_and_right() -> None:
    armature = bodies.add_body(bpy.context)
    for bone in armature.data.bones:
        other = armature.data.bones[bpy.utils.flip_name(bone.name)]
        assert ("left" in bone.name) == ("right" in other.name)
        ours, theirs = np.array(bone.matrix_local), np.array(other.matrix_local)
        mirror = np.diag([-1.0, 1.0, 1.0])
        # Blender's mirrored bone has its x axis turned round.
        assert np.allclose(mirror @ ours[:3, :3] @ mirror, theirs[:3, :3], atol=0.02)


def test_mesh_has_what_animators_need() -> None:
    armature = bodies.add_body(bpy.context)
    mesh = bodies.mesh_of(armature)
    assert {len(face.vertices) for face in mesh.data.polygons} == {4}
    assert mesh.data.uv_layers.active and mesh.data.materials[0]
    keys = mesh.data.shape_keys.key_blocks
    assert len(keys) == 11
    assert all((key.slider_min, key.slider_max) == (-5, 5) for key in keys[1:])
    assert keys[1].name == "shape_01 stature"
    assert [group.name for group in mesh.vertex_groups] == list(SMPL_JOINT_NAMES)


@needs_shared("cases")
@pytest.mark.parametrize("tails", ["up", "child"])
@pytest.mark.parametrize("rolled", [False, True])
@pytest.mark.parametrize("naming", [0, 1, 2])
def test_case_32_any_tails_and_rolls(tails: str, rolled: bool, naming: int) -> None:
    rig = json.loads((CASE / "rig.json").read_text())
    expected = json.loads((CASE / "expected.json").read_text())["joint_heads_yup"]
    rest = np.array(rig["rest_head_yup"]) @ TURN.T
    rolls = rig["roll"] if rolled else [0.0] * 24
    names = list(NAMINGS[naming])
    armature = armature_of(names, rig["parent"], rest, rolls, tails=tails)
    local = axis_angle_to_matrix(np.array(rig["pose_axis_angle_model_frame"]))
    known = rig_of(armature)
    assert np.allclose(known.axes, TURN) and known.unit == 1
    # The rig's own axes: where the rest pelvis is the solver's pelvis.
    root = np.array(rig["root"]) + known.axes.T @ (-known.origin)
    rigs.apply_rotations(armature, known, local, root)
    heads = bone_heads(armature, names)
    wanted = np.array([expected[name] for name in rig["joints"]]) @ TURN.T
    assert np.abs(heads - wanted).max() < 1e-4
    back, pelvis = rigs.read_rotations(armature, known)
    omega = matrix_to_axis_angle(back)
    assert np.abs(omega - np.array(rig["pose_axis_angle_model_frame"])).max() < 1e-4
    assert np.allclose(pelvis, root, atol=1e-5)


@pytest.mark.parametrize("unit", [1.0, 100.0])
@pytest.mark.parametrize("extra", [None, "root"])
def test_rigs_of_other_add_ons(unit: float, extra: str | None) -> None:
    """y-up data, centimetres, a bone above the pelvis, no hands: rotations and place still right."""
    body = load_body_model()
    pose = random_pose(2)
    pose = BodyPose(pose.global_orient, pose.body_pose, 0 * pose.betas, pose.transl)
    names: list[str | None] = [*NAMINGS[0][:22], None, None]
    joints = rest_joints(body, pose.betas)[0]
    armature = armature_of(names, list(SMPL_PARENTS), unit * joints, [0.3] * 24, extra_root=extra)
    armature.scale = (1 / unit,) * 3
    armature.rotation_euler = (np.pi / 2, 0, 0)
    bpy.context.view_layer.update()
    rigs.apply_pose(armature, pose, to_world=camera_matrix())
    camera = camera_matrix()
    wanted = posed_joints(body, pose)[0] @ camera[:3, :3].T + camera[:3, 3]
    assert np.abs(bone_heads(armature, list(SMPL_JOINT_NAMES[:22])) - wanted[:22]).max() < 1e-4


def test_what_is_no_rig_says_so() -> None:
    armature = bpy.data.objects.new("a", bpy.data.armatures.new("a"))
    bpy.context.scene.collection.objects.link(armature)
    assert not is_rig(armature)
    with pytest.raises(FitError, match="no bone for pelvis"):
        rig_of(armature)
    body = bodies.add_body(bpy.context)
    body.scale = (1, 2, 1)
    bpy.context.view_layer.update()
    with pytest.raises(FitError, match="scale"):
        rig_of(body)


def test_adding_leaves_mode_and_other_objects() -> None:
    other = bpy.data.objects.new("other", bpy.data.meshes.new("other"))
    bpy.context.scene.collection.objects.link(other)
    armature = bodies.add_body(bpy.context)
    bpy.context.view_layer.objects.active = other
    bodies.set_shape(bpy.context, armature, np.ones(10))
    assert bpy.context.view_layer.objects.active == other
    assert armature.mode == other.mode == "OBJECT"


def test_a_users_smpl_file_with_correctives(tmp_path: Path) -> None:
    """A random body in SMPL's format: joints and mesh are the solver's, correctives follow the fit."""
    numbers = random_smpl(vertex_count=200, seed=4)
    path = tmp_path / "SMPL_NEUTRAL.npz"
    np.savez(path, **numbers)
    body, pose, camera = load_body_model(path), random_pose(7), camera_matrix()
    assert body.posedirs is not None
    armature = bodies.add_body(bpy.context, str(path))
    mesh = bodies.mesh_of(armature)
    assert mesh.data.shape_keys.key_blocks[1].name == "shape_01"
    bodies.set_shape(bpy.context, armature, pose.betas[0])
    bodies.show_pose(armature, pose, to_world=camera)
    joints = posed_joints(body, pose)[0] @ camera[:3, :3].T + camera[:3, 3]
    vertices = skin(body, pose)[0] @ camera[:3, :3].T + camera[:3, 3]
    assert np.abs(bone_heads(armature, SMPL_JOINT_NAMES) - joints).max() < 1e-4
    assert np.abs(world_vertices(mesh) - vertices).max() < 1e-3
