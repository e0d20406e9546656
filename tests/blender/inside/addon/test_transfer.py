"""A body's motion on other rigs: same directions, same steps, nobody's work lost."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon.armature import read_pose
from lsr1_body_fit.addon.keyframes import ensure_curves, insert_keyframes
from lsr1_body_fit.addon.rig_mapping import mapping_of
from lsr1_body_fit.addon.rig_tables import guess_bones
from lsr1_body_fit.lsr1_solver import SMPL_JOINT_NAMES, BodyPose, load_body_model, posed_joints, rest_joints
from lsr1_body_fit.lsr1_solver.rotation import axis_angle_to_matrix, geodesic_angle
from mathutils import Matrix

from tests.blender.inside.addon.character_rigs import LAYOUTS, Figure, character

MODES = ("QUATERNION", "XYZ", "AXIS_ANGLE", "ZYX")
LIMBS = [
    [f"{side}_{joint}" for joint in chain]
    for side in ("left", "right")
    for chain in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist"))
]
FIGURES = {
    "t_pose": Figure(),
    "a_pose": Figure(arm_down=47, size=0.7, toes_out=0),
    "bent": Figure(arm_down=40, elbow=35, legs_out=12, thigh=0.45, shin=0.38, hip_width=0.22),
}


def moving_body(count: int = 3, seed: int = 0) -> bpy.types.Object:
    """A body that turns, walks and swings all its joints."""
    rng = np.random.default_rng(seed)
    body = bodies.add_body(bpy.context)
    pose = BodyPose(
        rng.normal(scale=0.4, size=(count, 3)),
        rng.normal(scale=0.35, size=(count, 23, 3)),
        np.zeros((count, 10)),
        rng.normal(scale=0.5, size=(count, 3)),
    )
    insert_keyframes(body, pose, range(1, count + 1))
    return body


def choose(rig: bpy.types.Object, last: int = 3) -> None:
    bpy.context.scene.lsr1.copy_target = rig
    rig.lsr1_copy.first, rig.lsr1_copy.last = 1, last


def frames(last: int = 3) -> Iterator[int]:
    for frame in range(1, last + 1):
        bpy.context.scene.frame_set(frame)
        yield frame


def head(rig: bpy.types.Object, bone: str) -> np.ndarray:
    return np.array(rig.matrix_world @ rig.pose.bones[bone].head)


def axes(rig: bpy.types.Object, bone: str) -> np.ndarray:
    """How a bone is turned in the world from its rest."""
    rest = rig.matrix_world @ rig.data.bones[bone].matrix_local
    posed = rig.matrix_world @ rig.pose.bones[bone].matrix
    return np.array(posed.to_3x3().normalized()) @ np.array(rest.to_3x3().normalized()).T


def degrees_between(a: np.ndarray, b: np.ndarray) -> float:
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def worst_limb(body: bpy.types.Object, rig: bpy.types.Object, bones: dict[str, str]) -> float:
    """The largest angle between the body's limbs and the rig's, degrees."""
    return max(
        degrees_between(head(body, b) - head(body, a), head(rig, bones[b]) - head(rig, bones[a]))
        for chain in LIMBS
        for a, b in pairwise(chain)
    )


def poses(rig: bpy.types.Object) -> np.ndarray:
    return np.array([np.array(bone.matrix) for bone in rig.pose.bones])


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


def standing_on_one_foot(count: int) -> bpy.types.Object:
    """A body that rolls over its left foot, which stands still: hips turn, thigh and knee swing."""
    body = bodies.add_body(bpy.context)
    t = np.linspace(-1, 1, count)
    root, local = np.zeros((count, 3)), np.zeros((count, 23, 3))
    root[:, 1] = 0.15 * t
    local[:, 0, 0] = 0.4 * t - 0.2
    local[:, 3, 0] = 0.45 - 0.4 * np.cos(2 * t)
    local[:, 1, 0], local[:, 4, 0] = -0.9, 1.4
    pose = BodyPose(root, local, np.zeros((count, 10)), np.zeros((count, 3)))
    ankle = SMPL_JOINT_NAMES.index("left_ankle")
    ankles = posed_joints(load_body_model(), pose)[:, ankle]
    stands = rest_joints(load_body_model(), pose.betas[:1])[:, ankle]
    insert_keyframes(body, replace(pose, transl=stands - ankles), range(1, count + 1))
    return body


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


@pytest.mark.parametrize("kind", LAYOUTS)
def test_live_is_what_is_baked_and_goes_without_a_trace(kind: str) -> None:
    moving_body()
    rig = character(kind, FIGURES["bent"], seed=3, centimetres=kind == "Mixamo", modes=MODES)
    rig.location = (0.5, 0.2, 0.0)
    theirs = rig.pose.bones[mapping(rig)["left_wrist"]].constraints.new("LIMIT_ROTATION")
    theirs.name = "LSR1 Copy"
    choose(rig)
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    baked = [poses(rig) for _ in frames()]
    bpy.context.scene.frame_set(1)
    rig.animation_data_clear()
    for bone in rig.pose.bones:
        bone.matrix_basis.identity()
    before = set(bpy.data.objects), set(bpy.data.armatures)
    assert bpy.ops.lsr1.follow_live() == {"FINISHED"}
    # Again: it does not follow twice.
    assert bpy.ops.lsr1.follow_live() == {"FINISHED"}
    assert len(set(bpy.data.objects) - before[0]) == 1
    unit = 100 if kind == "Mixamo" else 1
    for frame, wanted in zip(frames(), baked, strict=True):
        assert np.abs(poses(rig)[:, :3, :3] - wanted[:, :3, :3]).max() < 1e-4, frame
        assert np.abs(poses(rig)[:, :3, 3] - wanted[:, :3, 3]).max() < 1e-4 * unit
    assert bpy.ops.lsr1.stop_live() == {"FINISHED"}
    assert (set(bpy.data.objects), set(bpy.data.armatures)) == before
    left = [constraint for bone in rig.pose.bones for constraint in bone.constraints]
    assert left == [theirs]


def mapping(rig: bpy.types.Object) -> dict[str, str]:
    return guess_bones(rig.data.bones.keys())[1]


def test_the_earlier_action_stays_and_the_scene_is_as_it_was() -> None:
    moving_body()
    rig = character("Mixamo", Figure())
    curves = ensure_curves(rig, "Theirs")
    curve = curves.new('pose.bones["Hips"].location', index=0)
    curve.keyframe_points.insert(1, 0.5)
    theirs = rig.animation_data.action
    choose(rig)
    scene = bpy.context.scene
    scene.frame_set(17)
    active = bpy.context.view_layer.objects.active
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    assert scene.frame_current == 17 and bpy.context.view_layer.objects.active == active
    first = rig.animation_data.action
    assert first != theirs and theirs.use_fake_user
    assert [tuple(point.co) for point in curve.keyframe_points] == [(1.0, 0.5)]
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    assert rig.animation_data.action not in (first, theirs) and first.use_fake_user


def test_what_is_chosen_by_hand_is_used_and_saved_with_the_file(tmp_path: Path) -> None:
    body = moving_body()
    rig = character("Mixamo", Figure(arm_down=40), seed=4)
    for joint, bone in (("left_shoulder", "LeftArm"), ("left_hip", "LeftUpLeg"), ("pelvis", "Hips")):
        rig.data.bones[bone].name = f"Some {joint}"
    choose(rig)
    assert rig.lsr1_copy.kind == "Mixamo"
    with pytest.raises(RuntimeError, match="no bone for pelvis, left hip: choose"):
        bpy.ops.lsr1.copy_motion()
    for joint in ("left_shoulder", "left_hip", "pelvis"):
        rig.lsr1_copy.joints[joint].bone = f"Some {joint}"
    names = body.name, rig.name
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "file.blend"))
    body, rig = (bpy.data.objects[name] for name in names)
    assert bpy.context.scene.lsr1.copy_target == rig
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    for _ in frames():
        assert worst_limb(body, rig, mapping_of(rig)) < 0.05
    assert bpy.ops.lsr1.guess_bones() == {"FINISHED"}
    assert not rig.lsr1_copy.joints["pelvis"].bone


def test_what_cannot_be_copied_says_why() -> None:
    rig = character("Mixamo", Figure())
    scene = bpy.context.scene
    for operation in (bpy.ops.lsr1.copy_motion, bpy.ops.lsr1.follow_live):
        with pytest.raises(RuntimeError, match="Choose the rig"):
            operation()
    choose(rig)
    with pytest.raises(RuntimeError, match="Select the body"):
        bpy.ops.lsr1.copy_motion()
    moving_body()
    joints = rig.lsr1_copy.joints
    joints["left_wrist"].bone = "RightHand"
    with pytest.raises(RuntimeError, match="RightHand is chosen for left wrist and for right wrist"):
        bpy.ops.lsr1.copy_motion()
    joints["left_wrist"].bone = "Nobody"
    with pytest.raises(RuntimeError, match="has no bone Nobody"):
        bpy.ops.lsr1.copy_motion()
    joints["left_wrist"].bone = ""
    rig.lsr1_copy.last = 0
    with pytest.raises(RuntimeError, match="before the first"):
        bpy.ops.lsr1.copy_motion()
    rig.lsr1_copy.last = 3
    rig.scale = (1, 2, 1)
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match="unevenly"):
        bpy.ops.lsr1.copy_motion()
    rig.scale = (1, 1, 1)
    bone = rig.data.bones["Hips"]
    bone.use_local_location = False
    with pytest.raises(RuntimeError, match="Local Location"):
        bpy.ops.lsr1.follow_live()
    bone.use_local_location = True
    rig.data.bones["LeftLeg"].use_inherit_rotation = False
    with pytest.raises(RuntimeError, match="LeftLeg does not inherit"):
        bpy.ops.lsr1.follow_live()
    with pytest.raises(RuntimeError, match="follows nobody"):
        bpy.ops.lsr1.stop_live()
    scene.lsr1.copy_target = None
    with pytest.raises(RuntimeError, match="Choose the rig"):
        bpy.ops.lsr1.guess_bones()


def test_in_the_rigs_pose_mode_nothing_is_left_or_unselected() -> None:
    moving_body()
    rig = character("Mixamo", Figure(arm_down=45))
    choose(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="POSE")
    chosen = rig.data.bones["LeftArm"]
    rig.data.bones.active = chosen
    for operation in (bpy.ops.lsr1.follow_live, bpy.ops.lsr1.stop_live, bpy.ops.lsr1.copy_motion):
        assert operation() == {"FINISHED"}
        assert rig.mode == "POSE" and bpy.context.view_layer.objects.active == rig
        assert rig.data.bones.active == chosen
    assert not any(len(bone.constraints) for bone in rig.pose.bones)


def test_one_undo_takes_the_copy_back_and_one_the_live_rig() -> None:
    moving_body()
    rig = character("Mixamo", Figure())
    choose(rig)
    name, before = rig.name, len(bpy.data.objects)
    bpy.ops.ed.undo_push(message="before")
    assert bpy.ops.lsr1.copy_motion("EXEC_DEFAULT", True) == {"FINISHED"}
    assert bpy.data.objects[name].animation_data.action
    assert bpy.ops.lsr1.follow_live("EXEC_DEFAULT", True) == {"FINISHED"}
    assert len(bpy.data.objects) == before + 1
    bpy.ops.ed.undo()
    assert len(bpy.data.objects) == before and bpy.data.objects[name].animation_data.action
    assert not any(len(bone.constraints) for bone in bpy.data.objects[name].pose.bones)
    bpy.ops.ed.undo()
    data = bpy.data.objects[name].animation_data
    assert data is None or data.action is None
