"""A body's motion on Rigify's rigs, as Blender's own Rigify makes them."""

from collections.abc import Iterator
from pathlib import Path

import addon_utils
import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon.keyframes import ensure_curves
from lsr1_body_fit.addon.rig_mapping import mapping_of
from lsr1_body_fit.lsr1_solver.rotation import geodesic_angle

from tests.blender.inside.addon.copies import (
    axes,
    choose,
    frames,
    head,
    moving_body,
    poses,
    standing_on_one_foot,
    worst_limb,
)

# What the skin of a generated rig follows, joint by joint; its spine's first bone belongs to the pelvis.
_SIDED = {
    "hip": "thigh", "knee": "shin", "ankle": "foot", "foot": "toe", "collar": "shoulder",
    "shoulder": "upper_arm", "elbow": "forearm", "wrist": "hand",
}  # fmt: skip
_CENTRE = {
    "pelvis": "spine",
    "spine2": "spine.002",
    "spine3": "spine.003",
    "neck": "spine.004",
    "head": "spine.006",
}
FOLLOWED = {joint: f"ORG-{bone}" for joint, bone in _CENTRE.items()} | {
    f"{side}_{joint}": f"ORG-{bone}.{side[0].upper()}"
    for side in ("left", "right")
    for joint, bone in _SIDED.items()
}


@pytest.fixture(scope="module")
def rigify_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file with Rigify's human meta-rig and the rig that it generates: a few seconds once."""
    path = tmp_path_factory.mktemp("rigify") / "rigify.blend"
    bpy.ops.wm.read_factory_settings(use_empty=True)
    addon_utils.enable("rigify", default_set=True)
    bpy.ops.object.armature_human_metarig_add()
    bpy.context.object.name = "metarig"
    bpy.ops.pose.rigify_generate()
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    addon_utils.disable("rigify", default_set=True)
    yield path


def rig_from(path: Path, name: str) -> bpy.types.Object:
    with bpy.data.libraries.load(str(path)) as (_, wanted):
        wanted.objects = [name]
    rig = wanted.objects[0]
    bpy.context.scene.collection.objects.link(rig)
    bpy.context.view_layer.update()
    return rig


def test_meta_rig(rigify_file: Path) -> None:
    body = moving_body()
    rig = rig_from(rigify_file, "metarig")
    choose(rig)
    assert rig.lsr1_copy.kind == "Rigify Meta-Rig"
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    bones = mapping_of(rig)
    assert len(bones) == 22
    for _ in frames():
        assert worst_limb(body, rig, bones) < 0.05
        for joint in ("pelvis", "spine1", "spine2", "spine3", "neck", "head"):
            assert geodesic_angle(axes(body, joint), axes(rig, bones[joint])) < 1e-3


def test_generated_rig_shows_the_copied_pose_whatever_its_switches_were(rigify_file: Path) -> None:
    body = moving_body()
    rig = rig_from(rigify_file, "rig")
    bones = rig.pose.bones
    # Left in the middle of work: legs on IK, controls moved, the whole rig walked away and turned.
    for name in ("thigh_parent.L", "upper_arm_parent.R"):
        bones[name]["IK_FK"] = 0.0
    bones["upper_arm_parent.L"]["FK_limb_follow"] = 1.0
    bones["chest"].rotation_quaternion = (0.96, 0.28, 0.0, 0.0)
    bones["hips"].location = (0.1, 0.1, 0.0)
    bones["root"].location, bones["root"].rotation_quaternion = (1.0, 0.5, 0.0), (0.7, 0.0, 0.714, 0.0)
    choose(rig)
    assert rig.lsr1_copy.kind == "Rigify"
    modes = [bone.rotation_mode for bone in bones]
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    assert [bone.rotation_mode for bone in bones] == modes
    for _ in frames():
        # Not the controls: what the skin follows.
        assert worst_limb(body, rig, FOLLOWED) < 0.1
        # Between hips and chest Rigify's spine takes half the turn of each.
        for joint in ("pelvis", "spine3", "neck", "head", "left_collar", "right_collar"):
            assert geodesic_angle(axes(body, joint), axes(rig, FOLLOWED[joint])) < 2e-3, joint
    curves = ensure_curves(rig, rig.name)
    for bone in ("thigh_parent.L", "thigh_parent.R", "upper_arm_parent.L", "upper_arm_parent.R"):
        assert curves.find(f'pose.bones["{bone}"]["IK_FK"]').evaluate(1) == 1.0


def test_generated_rig_keeps_a_standing_foot_still(rigify_file: Path) -> None:
    standing_on_one_foot(7)
    rig = rig_from(rigify_file, "rig")
    rest = rig.data.bones["ORG-foot.L"].head_local.z
    choose(rig, 7)
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    places = np.array([head(rig, "ORG-foot.L") for _ in frames(7)])
    assert np.ptp(places, axis=0).max() < 1e-3
    assert np.abs(places[:, 2] - rest).max() < 1e-3


def test_generated_rig_live_is_baked_and_gets_its_switches_back(rigify_file: Path) -> None:
    moving_body()
    rig = rig_from(rigify_file, "rig")
    choose(rig)
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    baked = [poses(rig) for _ in frames()]
    bpy.data.objects.remove(rig)
    rig = rig_from(rigify_file, "rig")
    before = switches(rig), constraints(rig)
    rig.pose.bones["chest"].location = (0.0, 0.05, 0.0)
    choose(rig)
    assert bpy.ops.lsr1.follow_live() == {"FINISHED"}
    for _, wanted in zip(frames(), baked, strict=True):
        assert np.abs(poses(rig) - wanted).max() < 1e-3
    assert bpy.ops.lsr1.stop_live() == {"FINISHED"}
    assert (switches(rig), constraints(rig)) == before
    assert np.allclose(rig.pose.bones["chest"].location, (0.0, 0.05, 0.0))


def switches(rig: bpy.types.Object) -> dict[str, float]:
    names = ("IK_FK", "FK_limb_follow", "neck_follow", "head_follow")
    return {f"{bone.name} {name}": bone[name] for bone in rig.pose.bones for name in names if name in bone}


def constraints(rig: bpy.types.Object) -> list[tuple[str, str]]:
    return [(bone.name, constraint.name) for bone in rig.pose.bones for constraint in bone.constraints]
