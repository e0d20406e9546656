"""A body's motion on other rigs: the same directions, the same steps."""

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon.armature import read_pose
from lsr1_body_fit.addon.rig_mapping import mapping_of
from lsr1_body_fit.addon.rig_tables import guess_bones
from lsr1_body_fit.lsr1_solver.rotation import axis_angle_to_matrix, geodesic_angle
from mathutils import Matrix

from tests.blender.inside.addon.character_rigs import LAYOUTS, Figure, character
from tests.blender.inside.addon.copies import (
    FIGURES,
    MODES,
    axes,
    choose,
    degrees_between,
    frames,
    head,
    mapping,
    moving_body,
    standing_on_one_foot,
    worst_limb,
)


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("prefix", ["", "mixamorig:", "mixamorig4:", "Armature|", "hero_"])
def test_bones_are_guessed_whatever_stands_before_their_names(kind: str, prefix: str) -> None:
    rig = character(kind, Figure(), prefix=prefix)
    label, found = guess_bones(rig.data.bones.keys())
    assert label == kind and len(found) == (20 if kind == "MPFB Default" else 22)
    joint_of = {"hip": "hip", "knee": "knee", "ankle": "ankle", "elbow": "elbow", "wrist": "wrist"}
    places = Figure().places()
    for joint, place in joint_of.items():
        for side, sign in (("left", 1), ("right", -1)):
            at = np.array(rig.data.bones[found[f"{side}_{joint}"]].head_local)
            assert np.allclose(at, places[place] * (sign, 1, 1), atol=1e-5)
    for joint in ("pelvis", "spine1", "spine2", "spine3", "neck", "head"):
        assert np.allclose(rig.data.bones[found[joint]].head_local, places[joint], atol=1e-5)
    # Case and separators are told apart by nobody.
    shouted = [name.upper().replace("_", ".") for name in rig.data.bones.keys()]  # noqa: SIM118 - bpy
    assert guess_bones(shouted)[0] == kind


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("figure", FIGURES)
def test_limbs_point_where_the_bodys_do(kind: str, figure: str) -> None:
    body = moving_body()
    rig = character(kind, FIGURES[figure], seed=5, modes=MODES, centimetres=figure == "a_pose")
    choose(rig)
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    bones = mapping_of(rig)
    for _ in frames():
        assert worst_limb(body, rig, bones) < 0.05
        # The trunk turns as the body's, the hands as the forearms' turn asks.
        for joint in ("pelvis", "spine1", "spine2", "spine3", "neck", "head", "left_collar"):
            assert geodesic_angle(axes(body, joint), axes(rig, bones[joint])) < 1e-3
        for fore, hand in (("left_elbow", "left_wrist"), ("right_elbow", "right_wrist")):
            wanted = axes(body, hand) @ axes(body, fore).T
            assert geodesic_angle(axes(rig, bones[hand]) @ axes(rig, bones[fore]).T, wanted) < 1e-3
    assert [bone.rotation_mode for bone in rig.pose.bones] == [
        MODES[i % len(MODES)] for i in range(len(rig.pose.bones))
    ]


def test_at_rest_a_rig_in_a_pose_stands_in_the_bodys_t_pose() -> None:
    body = bodies.add_body(bpy.context)
    body.location = (3.0, -1.0, 0.0)
    rig = character("Mixamo", FIGURES["bent"], seed=1, prefix="mixamorig:")
    choose(rig, 1)
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    bones = mapping_of(rig)
    assert worst_limb(body, rig, bones) < 0.05
    assert (
        degrees_between(
            head(rig, bones["left_wrist"]) - head(rig, bones["left_shoulder"]), np.array([1, 0, 0])
        )
        < 12
    )
    for side in ("left", "right"):
        ankle = head(rig, bones[f"{side}_ankle"])
        assert abs(ankle[2] - FIGURES["bent"].ankle) < 0.005
        # On the body's place, toes where the body's are.
        assert np.linalg.norm((ankle - head(body, f"{side}_ankle"))[:2]) < 0.1
        heading = [head(o, foot) - head(o, a) for o, foot, a in (
            (rig, bones[f"{side}_foot"], bones[f"{side}_ankle"]), (body, f"{side}_foot", f"{side}_ankle"),
        )]  # fmt: skip
        assert degrees_between(heading[0][:2], heading[1][:2]) < 0.05
        assert abs(axes(rig, bones[f"{side}_ankle"])[2, 2] - 1) < 1e-5


@pytest.mark.parametrize("seed", range(2))
def test_a_copy_of_the_body_with_other_rolls_takes_exactly_its_pose(seed: int) -> None:
    body = moving_body(seed=seed)
    bpy.context.scene.frame_set(1)
    copy = body.copy()
    copy.data = body.data.copy()
    copy.animation_data_clear()
    bpy.context.scene.collection.objects.link(copy)
    rng = np.random.default_rng(seed)
    with bodies.edit_mode(bpy.context, copy):
        for bone in copy.data.edit_bones:
            bone.tail = (
                bone.head
                + 0.1 * (bone.tail - bone.head).normalized()
                + 0.05 * type(bone.head)(rng.normal(size=3))
            )
            bone.roll = rng.uniform(-3, 3)
    copy.location = (1.0, 2.0, 3.0)
    bpy.context.view_layer.objects.active = body
    choose(copy)
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    for _ in frames():
        ours, theirs = read_pose(body), read_pose(copy)
        for a, b in ((ours.global_orient, theirs.global_orient), (ours.body_pose, theirs.body_pose)):
            assert geodesic_angle(axis_angle_to_matrix(a), axis_angle_to_matrix(b)).max() < 1e-4
        assert np.abs(head(copy, "left_ankle") - head(body, "left_ankle")).max() < 1e-4


@pytest.mark.parametrize("figure", FIGURES)
def test_a_foot_that_stands_still_stands_still_on_the_floor(figure: str) -> None:
    body = standing_on_one_foot(7)
    rig = character("CMU", FIGURES[figure], seed=2)
    choose(rig, 7)
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    ankle = mapping_of(rig)["left_ankle"]
    places, hips = zip(*((head(rig, ankle), head(body, "left_hip")) for _ in frames(7)), strict=True)
    assert np.ptp(hips, axis=0).max() > 0.2
    assert np.ptp(places, axis=0).max() < 1e-3
    high = FIGURES[figure].ankle * FIGURES[figure].size
    assert np.abs(np.array(places)[:, 2] - high).max() < 1e-3


def test_a_rig_that_does_not_stand_on_its_origin_stands_on_its_skins_sole() -> None:
    standing_on_one_foot(3)
    rig = character("CMU", Figure(), seed=2)
    bones = mapping(rig)
    hip = rig.data.bones[bones["pelvis"]].head_local.copy()
    rig.data.transform(Matrix.Translation(-hip))
    choose(rig, 3)
    # A skin with the sole 12 cm below the ankle, and a prop far below.
    ankle = rig.data.bones[bones["left_ankle"]].head_local
    for depth, skinned in ((0.12, True), (2.0, False)):
        data = bpy.data.meshes.new("skin")
        data.from_pydata([(0, 0, 0), (0, 0, ankle.z - depth)], [(0, 1)], [])
        mesh = bpy.data.objects.new("skin", data)
        bpy.context.scene.collection.objects.link(mesh)
        mesh.parent = rig
        if skinned:
            mesh.modifiers.new("Armature", "ARMATURE").object = rig
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    for _ in frames(3):
        assert abs(head(rig, bones["left_ankle"])[2] - 0.12) < 1e-3


def test_feet_of_a_body_of_another_size_take_the_same_steps() -> None:
    body = standing_on_one_foot(7)
    copy = body.copy()
    copy.animation_data_clear()
    bpy.context.scene.collection.objects.link(copy)
    copy.scale = (0.6,) * 3
    bpy.context.view_layer.update()
    bpy.context.view_layer.objects.active = body
    choose(copy, 7)
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    for foot in ("left", "right"):
        ours, theirs = [], []
        for _ in frames(7):
            ours.append(head(body, f"{foot}_ankle"))
            theirs.append(head(copy, f"{foot}_ankle"))
        assert np.allclose(np.diff(theirs, axis=0), 0.6 * np.diff(ours, axis=0), atol=1e-4)
        assert np.allclose(np.array(theirs)[:, 2], 0.6 * np.array(ours)[:, 2], atol=1e-4)
