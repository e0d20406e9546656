"""SMPL rigs of other add-ons: Meshcapade's, the SMPL-X add-on's, SMPL's FBX files.

Their bones as those add-ons' sources and the models' papers describe them: the SMPL-X add-on (Tesch, 2021)
sets every bone at its joint, 0.1 m straight up, below one called root, so that SMPL's rotation vectors are
the bones' own rotations; Meshcapade's does so y up in centimetres. SMPL-X has 55 joints, SMPL-H 52, SUPR
SMPL-X's and the toes'; none has SMPL's two hand joints. SMPL's first FBX files begin every name with the
body's.
"""

from dataclasses import dataclass

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import armature as rigs
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon import fits, keypoint_store, pictures
from lsr1_body_fit.addon.operators.common import target
from lsr1_body_fit.addon.reprojection import body_points
from lsr1_body_fit.addon.rig import Y_UP_TO_Z_UP, body_of, is_rig, rig_of
from lsr1_body_fit.addon.rig_names import NAMINGS
from lsr1_body_fit.lsr1_solver import SMPL_JOINT_NAMES, SMPL_PARENTS, BodyPose, load_body_model, rest_joints
from lsr1_body_fit.lsr1_solver.rotation import axis_angle_to_matrix, geodesic_angle, matrix_to_axis_angle
from mathutils import Matrix, Quaternion

from tests.blender.inside.addon.copies import choose, frames, moving_body
from tests.shared import REPOSITORY

_FINGERS = ("index", "middle", "pinky", "ring", "thumb")
_TOES = ("bigtoe", "indextoe", "middletoe", "ringtoe", "pinkytoe")
WALK = REPOSITORY / "assets" / "samples" / "walk"


@dataclass(frozen=True)
class Kind:
    """How an add-on's rig is made."""

    names: tuple[str, ...]
    extras: tuple[tuple[str, str], ...]
    centimetres: bool = False
    root: str = "root"


def _chains(parent: str, parts: tuple[str, ...], count: int) -> tuple[tuple[str, str], ...]:
    """(bone, parent) of fingers or toes on both sides."""
    return tuple(
        (f"{side}_{part}{i}", f"{side}_{parent}" if i == 1 else f"{side}_{part}{i - 1}")
        for side in ("left", "right")
        for part in parts
        for i in range(1, count + 1)
    )


_HANDS = _chains("wrist", _FINGERS, 3)
_FACE = (("jaw", "head"), ("left_eye_smplhf", "head"), ("right_eye_smplhf", "head"))
_EYES = (("jaw", "head"), ("left_eye", "head"), ("right_eye", "head"))
_22 = SMPL_JOINT_NAMES[:22]
KINDS = {
    "SMPL-X add-on": Kind(_22, (*_FACE, *_HANDS)),
    "Meshcapade SMPL-X": Kind(_22, (*_EYES, *_HANDS), centimetres=True),
    "Meshcapade SMPL-H": Kind(_22, _HANDS),
    "Meshcapade SUPR": Kind(_22, (*_EYES, *_HANDS, *_chains("foot", _TOES, 2)), centimetres=True),
    "SMPL FBX, male": Kind(NAMINGS[2], (), centimetres=True, root="m_avg_root"),
    "SMPL FBX, female": Kind(NAMINGS[3], (), centimetres=True, root="f_avg_root"),
}


def smpl_rig(kind: Kind) -> bpy.types.Object:
    """The rig with a skin, on the open body's joints; SMPL's origin is in the chest, not on the floor."""
    joints = rest_joints(load_body_model(), np.zeros((1, 10)))[0]
    into = 100 * np.eye(3) if kind.centimetres else Y_UP_TO_Z_UP
    up = into @ np.array([0.0, 0.1, 0.0])
    armature = bpy.data.objects.new("theirs", bpy.data.armatures.new("theirs"))
    bpy.context.scene.collection.objects.link(armature)
    with bodies.edit_mode(bpy.context, armature):
        bones = armature.data.edit_bones
        bones.new(kind.root).tail = up
        for j, name in enumerate(kind.names):
            bone = bones.new(name)
            bone.head, bone.tail = into @ joints[j], into @ joints[j] + up
            bone.parent = bones[kind.names[SMPL_PARENTS[j]]] if j else bones[kind.root]
        for i, (name, parent) in enumerate(kind.extras):
            bone = bones.new(name)
            bone.head = bones[parent].head + type(bone.head)(into @ (0.01 * (i % 5), 0.0, 0.02))
            bone.tail = np.array(bone.head) + up
            bone.parent = bones[parent]
    if kind.centimetres:
        armature.matrix_world = Matrix.Rotation(np.pi / 2, 4, "X") @ Matrix.Scale(0.01, 4)
    data = bpy.data.meshes.new("skin")
    data.from_pydata([(0.0, 0.0, 0.0)], [], [])
    mesh = bpy.data.objects.new("skin", data)
    bpy.context.scene.collection.objects.link(mesh)
    mesh.parent = armature
    mesh.modifiers.new("Armature", "ARMATURE").object = armature
    bpy.context.view_layer.update()
    return armature


@pytest.mark.parametrize("name", KINDS)
def test_they_are_bodies(name: str) -> None:
    armature = smpl_rig(KINDS[name])
    assert is_rig(armature) and body_of(armature.children[0]) == armature
    assert target(bpy.context) == armature
    rig = rig_of(armature)
    assert rig.unit == (100 if KINDS[name].centimetres else 1)
    assert np.allclose(rig.axes, np.eye(3) if KINDS[name].centimetres else Y_UP_TO_Z_UP)
    assert (rig.bones[22] is None) == (len(KINDS[name].names) == 22)


@pytest.mark.parametrize("name", KINDS)
def test_smpls_rotation_vectors_are_the_bones_own_rotations(name: str) -> None:
    """So do the add-ons themselves load a pose."""
    armature = smpl_rig(KINDS[name])
    rng = np.random.default_rng(4)
    pose = BodyPose(
        rng.normal(scale=0.5, size=(1, 3)),
        rng.normal(scale=0.4, size=(1, 23, 3)),
        np.zeros((1, 10)),
        rng.normal(size=(1, 3)),
    )
    rigs.apply_pose(armature, pose)
    vectors = np.concatenate([pose.global_orient[:, None], pose.body_pose], axis=1)[0]
    for j, bone in enumerate(rig_of(armature).bones):
        if bone is None:
            continue
        own = armature.pose.bones[bone].rotation_quaternion
        angle = float(np.linalg.norm(vectors[j]))
        wanted = Quaternion(vectors[j] / angle, angle)
        assert own.rotation_difference(wanted).angle < 1e-3, bone
    back = rigs.read_pose(armature)
    assert np.abs(back.global_orient - pose.global_orient).max() < 1e-4
    assert np.allclose(back.transl, pose.transl, atol=1e-4)
    # What SMPL has not is left alone.
    for extra, _ in KINDS[name].extras:
        assert armature.pose.bones[extra].matrix_basis == Matrix.Identity(4)


@pytest.mark.parametrize("name", ["SMPL-X add-on", "Meshcapade SMPL-X", "SMPL FBX, male"])
def test_fit_pose_moves_them(name: str) -> None:
    scene = bpy.context.scene
    camera = pictures.add_camera(bpy.context)
    pictures.set_render_size(scene, (1080, 1920))
    camera.data.lens = 36 * 1674 / 1920
    assert bpy.ops.lsr1.import_keypoints(filepath=str(WALK / "keypoints") + "/") == {"FINISHED"}
    armature = smpl_rig(KINDS[name])
    root = armature.pose.bones[KINDS[name].root]
    # As the add-ons load AMASS: the root turned, the body below it.
    root.rotation_mode = "QUATERNION"
    root.rotation_quaternion = Quaternion((1.0, 0.0, 0.0), -np.pi / 2)
    scene.frame_set(30)
    scene.lsr1.settings.insert_key = True
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    assert scene.lsr1.result.percent < 1.5
    # Keyed, and still there after the frame was read again.
    scene.frame_set(31)
    scene.frame_set(30)
    view = fits.picture_view(bpy.context)
    points = body_points(armature, view, keypoint_store.layout(scene))
    xy, confidence = keypoint_store.points_at(scene, 30)
    seen = np.linalg.norm(points - xy, axis=1)[confidence > 0]
    assert np.abs(np.nanmean(seen) - scene.lsr1.result.pixels) < 0.05


@pytest.mark.parametrize("name", KINDS)
def test_a_motion_is_copied_to_them_and_from_them(name: str) -> None:
    body = moving_body()
    armature = smpl_rig(KINDS[name])
    bpy.context.view_layer.objects.active = body
    choose(armature)
    assert armature.lsr1_copy.kind == "SMPL"
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    count = len(KINDS[name].names)
    for _ in frames():
        ours, theirs = rigs.read_pose(body), rigs.read_pose(armature)
        a = axis_angle_to_matrix(ours.body_pose[0, : count - 1])
        b = axis_angle_to_matrix(theirs.body_pose[0, : count - 1])
        assert geodesic_angle(a, b).max() < 1e-4
    back = bodies.add_body(bpy.context)
    bpy.context.view_layer.objects.active = armature
    choose(back)
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    for _ in frames():
        ours, theirs = rigs.read_pose(body), rigs.read_pose(back)
        turn = axis_angle_to_matrix(ours.global_orient[0]).T @ axis_angle_to_matrix(theirs.global_orient[0])
        assert np.abs(matrix_to_axis_angle(turn)).max() < 1e-4
        assert np.abs(ours.transl - theirs.transl).max() < 2e-3
