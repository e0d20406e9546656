"""Flip Limb Depth and Other Solutions without a window: what changes, what may not, what is searched anew."""

from itertools import pairwise

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon import holding, keypoint_store, pictures, tracks
from lsr1_body_fit.addon.bone_motion import read_bones
from lsr1_body_fit.addon.rig import rig_of, target
from lsr1_body_fit.addon.solution_store import stands
from lsr1_body_fit.lsr1_solver import (
    SMPL_JOINT_NAMES,
    BodyPose,
    camera_from_focal,
    keypoints_2d,
    load_body_model,
    posed_joints,
    project,
)
from lsr1_body_fit.lsr1_solver.depth_flip import FLIPS, flipped_joints
from lsr1_body_fit.lsr1_solver.limits import ALLOWED, BONES, FORBIDDEN, JOINTS
from lsr1_body_fit.lsr1_solver.refine import LIMBS

from tests.blender.inside.addon.test_clip import curves_of, fit_clip, scene_of_walk
from tests.blender.inside.addon.test_operators import says
from tests.blender.inside.addon.test_refine_edits import all_keys
from tests.blender.inside.addon.test_smpl_rigs import KINDS, smpl_rig

SIZE = 1280, 720
COUNT = 16
ARM, LEG = set(LIMBS["left_arm"]), set(LIMBS["left_leg"])
# A body of 1.7 m at 4 m is about 600 pixels high.
NEAR = 0.02 * 600


def who_reaches(count: int) -> None:
    """Keypoints of a person who reaches towards the camera with the left hand and lifts the left knee, and
    the camera, somewhere in the scene.
    """
    scene = bpy.context.scene
    camera = pictures.add_camera(bpy.context)
    camera.location, camera.rotation_euler = (3.0, -2.0, 1.5), (1.4, 0.1, 0.8)
    pictures.set_render_size(scene, SIZE)
    camera.data.lens = 40.0
    t = np.linspace(0.0, 0.4, count)
    joints = np.zeros((count, 23, 3))

    def turn(name: str, *omega: np.ndarray | float) -> None:
        joints[:, SMPL_JOINT_NAMES.index(name) - 1] = np.stack(
            [np.broadcast_to(value, count) for value in omega], axis=1
        )

    turn("left_shoulder", 0.2, -0.8 - 0.3 * t, -0.5)
    turn("left_elbow", 0.0, -0.7 + t, 0.0)
    turn("right_shoulder", 0.0, 0.2, 1.0)
    turn("left_hip", -0.9 - t, 0.0, 0.1)
    turn("left_knee", 1.1 - t, 0.0, 0.0)
    root = np.tile([0.4, 0.3, 0.0], (count, 1))
    pose = BodyPose(root, joints, np.zeros((count, 10)), np.tile([0.0, 0.25, -4.0], (count, 1)))
    xy = project(camera_from_focal(40 / 36 * SIZE[0], SIZE), posed_joints(load_body_model(), pose))
    xy = xy + np.random.default_rng(0).normal(scale=1.5, size=xy.shape)
    keypoints = keypoints_2d(xy, None, "SMPL_24", image_size=SIZE)
    keypoint_store.store(scene, keypoints, SIZE)
    tracks.list_people(scene, [keypoints], 0)
    scene.frame_set(1)


def fitted_still() -> bpy.types.Object:
    who_reaches(1)
    bodies.add_body(bpy.context)
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    return target(bpy.context)


def fitted_clip() -> bpy.types.Object:
    who_reaches(COUNT)
    armature = fit_clip()
    bpy.context.scene.frame_set(8)
    return armature


def channels(armature: bpy.types.Object) -> dict[str, bytes]:
    """All that moves the bones, bit for bit."""
    names = ("location", "rotation_quaternion", "rotation_euler", "rotation_axis_angle", "scale")
    return {
        bone.name: b"".join(np.array(getattr(bone, name)).tobytes() for name in names)
        for bone in armature.pose.bones
    }


def matrices(armature: bpy.types.Object) -> np.ndarray:
    return np.array([np.array(bone.matrix_basis) for bone in armature.pose.bones])


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def seen(armature: bpy.types.Object, limb: str) -> tuple[np.ndarray, np.ndarray]:
    """A limb's middle and tip in the picture, pixels [2, 2]; how much farther than its base each of its two
    bones' tips is along the line of sight, metres [2].
    """
    scene = bpy.context.scene
    bpy.context.view_layer.update()
    heads = [
        armature.matrix_world @ armature.pose.bones[SMPL_JOINT_NAMES[joint]].head
        for joint in flipped_joints(limb, "both")
    ]
    pixels = [np.array(world_to_camera_view(scene, scene.camera, head))[:2] * SIZE for head in heads[1:]]
    inside = [np.array(scene.camera.matrix_world.inverted() @ head) for head in heads]
    along = [(b - a) @ (b / np.linalg.norm(b)) for a, b in pairwise(inside)]
    return np.array(pixels), np.array(along)


def leans(armature: bpy.types.Object) -> np.ndarray:
    """How far knees and elbows bend the wrong way beyond what they may, as a sine [4]."""
    bones = [armature.pose.bones[SMPL_JOINT_NAMES[joint]] for joint in JOINTS]
    # Bone-local rotation is R_rest^-1 R R_rest: the rest matrices take it back to the body's axes.
    local = []
    for bone in bones:
        rest = np.array(bone.bone.matrix_local.to_3x3())
        turned = rest @ np.array(bone.matrix_basis.to_3x3()) @ rest.T
        z_up = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
        local.append(z_up.T @ turned @ z_up)
    return np.sum((np.array(local) @ BONES[..., None])[..., 0] * FORBIDDEN, axis=-1) - ALLOWED


def shown(armature: bpy.types.Object) -> str:
    held = armature.lsr1_body.solutions
    return held.found[held.shown].name


def bones_of(words: str) -> str:
    """Which of FLIPS a solution's words mean."""
    return next((name for name in ("upper", "lower") if name in words), "both")


@pytest.mark.parametrize(("limb", "own"), [("left_arm", ARM), ("left_leg", LEG)])
def test_clicks_go_through_a_limbs_twins_and_back(limb: str, own: set[str]) -> None:
    armature = fitted_still()
    before, as_it_was = channels(armature), matrices(armature)
    pixels, along = seen(armature, limb)
    assert np.abs(along).min() > 0.03
    found = set()
    for _ in range(3):
        assert bpy.ops.lsr1.flip_limb(limb=limb) == {"FINISHED"}
        assert changed(before, channels(armature)) <= own
        now, mirrored = seen(armature, limb)
        # The first is the likeliest. The last may be what no limb does: limits come before pixels and sides.
        wanted = np.where(FLIPS[bones_of(shown(armature))], -1, 1)
        if not found:
            assert np.linalg.norm(now - pixels, axis=1).max() < NEAR
            assert np.array_equal(np.sign(mirrored), wanted * np.sign(along))
        assert leans(armature).max() < 0.06
        found.add(shown(armature))
    assert len(found) == 3
    assert bpy.ops.lsr1.flip_limb(limb=limb) == {"FINISHED"}
    assert shown(armature) == "as it was"
    np.testing.assert_allclose(matrices(armature), as_it_was, atol=1e-6)
    assert armature.animation_data is None


def values_at(armature: bpy.types.Object, frames: np.ndarray) -> dict[tuple[str, int], np.ndarray]:
    """What every curve says at scene frames."""
    return {
        (curve.data_path, curve.array_index): np.array([curve.evaluate(f) for f in frames.tolist()])
        for curve in curves_of(armature)
    }


def far_of(armature: bpy.types.Object, limb: str, frame: int) -> np.ndarray:
    bpy.context.scene.frame_set(frame)
    return seen(armature, limb)[1]


def test_in_a_range_only_the_limb_changes_and_the_other_take_stays() -> None:
    armature = fitted_clip()
    other = armature.animation_data.action
    assert bpy.ops.lsr1.fit_clip() == {"FINISHED"}
    theirs = at_one_time(armature, other)
    scene, frames = bpy.context.scene, np.arange(1.0, COUNT + 1)
    refine = scene.lsr1.refine
    refine.span, refine.first, refine.last = "RANGE", 4, 11
    before, keys = values_at(armature, frames), all_keys(armature)
    along = {frame: far_of(armature, "left_arm", frame) for frame in (6, 9)}
    scene.frame_set(8)
    assert bpy.ops.lsr1.flip_limb(limb="left_arm") == {"FINISHED"}
    after = values_at(armature, frames)
    assert all_keys(armature).keys() == keys.keys()
    inside = (frames >= 4) & (frames <= 11)
    for (path, index), values in before.items():
        same = after[path, index] == values
        assert same[~inside].all(), path
        assert same.all() or path.split('"')[1] in ARM, path
    turned = np.stack([after[k] != before[k] for k in before if '"left_shoulder"' in k[0]]).any(axis=0)
    assert turned[inside].all()
    wanted = np.where(FLIPS[bones_of(shown(armature))], -1, 1)
    for frame, old in along.items():
        assert np.array_equal(np.sign(far_of(armature, "left_arm", frame)), wanted * np.sign(old))
    assert theirs == at_one_time(armature, other)


def test_around_a_frame_the_flip_dies_away() -> None:
    armature = fitted_clip()
    scene, frames = bpy.context.scene, np.arange(1.0, COUNT + 1)
    scene.lsr1.refine.span, scene.lsr1.refine.falloff = "AROUND", 4
    before = read_bones(armature, frames)
    pixels, along = seen(armature, "left_arm")
    assert bpy.ops.lsr1.flip_limb(limb="left_arm") == {"FINISHED"}
    now, mirrored = seen(armature, "left_arm")
    # A single frame of a clip is locked where the flip has brought it: the pixels are the very same.
    assert np.abs(now - pixels).max() < 0.1
    np.testing.assert_allclose(mirrored, np.where(FLIPS[bones_of(shown(armature))], -1, 1) * along, atol=0.02)
    after = read_bones(armature, frames)
    moved = np.abs(after.basis - before.basis).max(axis=(2, 3))[:, SMPL_JOINT_NAMES.index("left_shoulder")]
    assert np.all(moved[[0, 1, 2, 12, 13, 14, 15]] == 0)
    assert moved[7] > moved[5] > 0 and moved[7] > moved[9] > 0


def test_locked_frames_are_not_flipped_and_locked_limbs_are_refused() -> None:
    armature = fitted_clip()
    refine = bpy.context.scene.lsr1.refine
    refine.span, refine.first, refine.last = "RANGE", 4, 11
    holding.lock(armature, ["left_elbow"], 6, 7)
    holding.lock(armature, ["left_hand"], 1, COUNT)
    frames = np.arange(1.0, COUNT + 1)
    before = values_at(armature, frames)
    assert bpy.ops.lsr1.flip_limb(limb="left_arm") == {"FINISHED"}
    after = values_at(armature, frames)
    moved = {
        name: np.stack([after[k] != before[k] for k in before if f'"{name}"' in k[0]]).any(axis=0)
        for name in ("left_elbow", "left_hand")
    }
    assert not moved["left_hand"].any() and not moved["left_elbow"][5:7].any()
    assert moved["left_elbow"][[3, 4, 7, 8, 9, 10]].all()
    refine.first, refine.last = 6, 7
    says(bpy.ops.lsr1.flip_limb, "The left elbow can't turn here: unlock", limb="left_arm")
    assert values_at(armature, frames).keys() == after.keys()


def test_the_active_bone_says_which_limb() -> None:
    armature = fitted_still()
    armature.data.bones.active = None
    says(bpy.ops.lsr1.flip_limb, "No bone is active")
    before = channels(armature)
    bpy.ops.object.mode_set(mode="POSE")
    armature.data.bones.active = armature.data.bones["left_foot"]
    assert bpy.ops.lsr1.flip_limb() == {"FINISHED"}
    assert changed(before, channels(armature)) <= LEG and "left leg" in shown(armature)


def test_the_torso_leans_the_other_way() -> None:
    armature = fitted_still()
    before, place = channels(armature), np.array(armature.pose.bones["pelvis"].location)
    pixels, along = seen(armature, "torso")
    assert bpy.ops.lsr1.flip_limb(limb="torso") == {"FINISHED"}
    now, mirrored = seen(armature, "torso")
    assert np.array_equal(np.array(armature.pose.bones["pelvis"].location), place)
    assert np.abs(now - pixels)[1].max() < NEAR and np.sign(mirrored[1]) != np.sign(along[1])
    knees = {f"{side}_{name}" for side in ("left", "right") for name in ("knee", "ankle", "elbow", "wrist")}
    assert not changed(before, channels(armature)) & knees


def test_solutions_are_walked_through_and_the_fit_comes_back() -> None:
    armature = fitted_still()
    before = matrices(armature)
    held, poses = armature.lsr1_body.solutions, []
    assert bpy.ops.lsr1.other_solutions() == {"FINISHED"}
    count = len(held.found)
    energies = [item.energy for item in held.found]
    assert count >= 4 and energies == sorted(energies)
    assert held.shown == (held.first + 1) % count
    for _ in range(count):
        poses.append(matrices(armature))
        assert bpy.ops.lsr1.other_solutions() == {"FINISHED"}
    assert len(held.found) == count and held.shown == (held.first + 1) % count
    for i, one in enumerate(poses):
        for other in poses[:i]:
            assert np.abs(one - other).max() > 0.05
    np.testing.assert_allclose(poses[-1], before, atol=1e-5)
    assert bpy.ops.lsr1.other_solutions(turn_to="PREVIOUS") == {"FINISHED"}
    assert held.shown == held.first
    bpy.ops.lsr1.other_solutions()
    bpy.ops.lsr1.other_solutions()
    assert bpy.ops.lsr1.other_solutions(turn_to="FIT") == {"FINISHED"}
    np.testing.assert_allclose(matrices(armature), before, atol=1e-5)


def test_what_has_changed_since_is_said_and_asked_anew(capfd: pytest.CaptureFixture[str]) -> None:
    armature = fitted_still()
    scene = bpy.context.scene

    def next_says() -> str:
        capfd.readouterr()
        assert bpy.ops.lsr1.other_solutions() == {"FINISHED"}
        return capfd.readouterr().out

    assert "anew" not in next_says() and "anew" not in next_says()
    armature.pose.bones["right_elbow"].rotation_quaternion = (0.9, 0.0, 0.43589, 0.0)
    assert "The pose has changed: searched anew" in next_says()
    # What was turned by hand is kept in all of them.
    for _ in range(3):
        assert "anew" not in next_says()
        now = tuple(armature.pose.bones["right_elbow"].rotation_quaternion)
        np.testing.assert_allclose(now, (0.9, 0.0, 0.43589, 0.0), atol=1e-6)
    keypoint_store.set_point(scene, 1, 20, (700.0, 300.0), 1.0)
    assert "Keypoints, camera or settings have changed" in next_says()
    scene.camera.data.lens = 41
    assert "Keypoints, camera or settings have changed" in next_says()
    holding.lock(armature, ["left_knee"], 1, 1)
    assert "Keypoints, camera or settings have changed" in next_says()
    assert "anew" not in next_says()


def test_a_solution_of_a_clips_frame_is_an_edit_that_a_refit_spreads() -> None:
    armature = fitted_clip()
    scene, frames = bpy.context.scene, np.arange(1.0, COUNT + 1)
    before = read_bones(armature, frames)
    assert bpy.ops.lsr1.other_solutions() == {"FINISHED"}
    chosen = read_bones(armature, frames)
    moved = np.abs(chosen.basis - before.basis).max(axis=(1, 2, 3))
    assert moved[7] > 0.1 and np.all(np.delete(moved, 7) == 0)
    scene.frame_set(9)
    scene.frame_set(8)
    scene.lsr1.refine.span, scene.lsr1.refine.falloff = "AROUND", 3
    assert bpy.ops.lsr1.refit() == {"FINISHED"}
    after = read_bones(armature, frames)
    # A bone that the choice turned by less than half a degree is no edit.
    edited = np.abs(chosen.basis - before.basis)[7].max(axis=(1, 2)) > 0.01
    assert edited.sum() > 15
    np.testing.assert_allclose(after.basis[7, edited], chosen.basis[7, edited], atol=1e-6)
    np.testing.assert_allclose(after.basis[7], chosen.basis[7], atol=0.05)
    spread = np.abs(after.basis - before.basis).max(axis=(1, 2, 3))
    assert spread[6] > 0.02 and spread[8] > 0.02 and np.all(spread[[0, 1, 2, 3, 11, 12]] == 0)
    # At another frame there are others.
    scene.frame_set(3)
    assert bpy.ops.lsr1.other_solutions() == {"FINISHED"}
    assert list(armature.lsr1_body.solutions["at"]) == [3.0]


@pytest.mark.parametrize("kind", ["SMPL-X add-on", "SMPL FBX, male"])
def test_other_rigs_are_flipped_in_their_own_rotation_modes(kind: str) -> None:
    who_reaches(1)
    armature = smpl_rig(KINDS[kind])
    for bone in armature.pose.bones:
        bone.rotation_mode = "YZX" if bone.name.endswith("3") else bone.rotation_mode
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    held, scene, before = armature.lsr1_body.solutions, bpy.context.scene, matrices(armature)
    for press, limb in ((bpy.ops.lsr1.flip_limb, {"limb": "left_arm"}), (bpy.ops.lsr1.other_solutions, {})):
        assert press(**limb) == {"FINISHED"}
        first, then = held.first, held.shown
        assert stands(scene, armature) and then == (first + 1) % len(held.found)
        # The next click goes on, it does not begin anew.
        assert press(**limb) == {"FINISHED"} and held.shown == (then + 1) % len(held.found)
        while held.shown != first:
            assert press(**limb) == {"FINISHED"}
        np.testing.assert_allclose(matrices(armature), before, atol=1e-5)
    armature.pose.bones[-1].location.x += 1.0  # what no fit writes
    assert stands(scene, armature)
    elbow = armature.pose.bones[rig_of(armature).bones[SMPL_JOINT_NAMES.index("left_elbow")]]
    elbow.rotation_mode = "XYZ"
    elbow.rotation_euler.x += 0.1
    assert not stands(scene, armature)


def test_in_real_time_clicks_go_on_between_the_keys() -> None:
    """Of a clip of 60 frames a second in a scene of 24 no key lies at frame 12."""
    scene = scene_of_walk(24)
    scene.lsr1.keypoints.keys_at = "TIME"
    armature, frames = fit_clip(), np.arange(1.0, 24.0)
    scene.frame_set(12)
    before = read_bones(armature, frames)
    held = armature.lsr1_body.solutions
    for click in (1, 2, 3, 0):
        assert bpy.ops.lsr1.flip_limb(limb="left_arm") == {"FINISHED"}
        assert held.shown == click and stands(scene, armature)
        after = read_bones(armature, frames)
        moved = np.abs(after.basis - before.basis).max(axis=(1, 2, 3)) > 1e-6
        assert set(np.flatnonzero(moved)) <= {11} and moved[11] == (click > 0)
    assert bpy.ops.lsr1.other_solutions() == {"FINISHED"}
    then = held.shown
    assert bpy.ops.lsr1.other_solutions() == {"FINISHED"}
    assert held.shown == (then + 1) % len(held.found) and stands(scene, armature)


def test_a_solution_moves_no_keys_beyond_the_frames_beside_it() -> None:
    """The keys of an action of whole frames, where the keypoints' rows lie at others."""
    armature, scene = fitted_clip(), bpy.context.scene
    scene.lsr1.keypoints.keys_at = "TIME"
    scene.lsr1.keypoints.frame_rate, scene.render.fps = 25, 24
    before = all_keys(armature)
    assert bpy.ops.lsr1.other_solutions() == {"FINISHED"}
    moved = set()
    for curve, keys in all_keys(armature).items():
        moved |= {at for at, value in keys.items() if abs(before[curve].get(at, value) - value) > 1e-5}
    assert moved == {8.0}


def test_one_undo_takes_back_a_flip_and_a_whole_walk() -> None:
    name = fitted_still().name
    bpy.ops.ed.undo_push(message="before")
    before = channels(bpy.data.objects[name])
    assert bpy.ops.lsr1.flip_limb("EXEC_DEFAULT", True, limb="left_arm") == {"FINISHED"}
    assert changed(before, channels(bpy.data.objects[name]))
    bpy.ops.ed.undo()
    assert not changed(before, channels(bpy.data.objects[name]))
    assert not bpy.data.objects[name].lsr1_body.solutions.found
    for _ in range(3):
        assert bpy.ops.lsr1.other_solutions("EXEC_DEFAULT", True) == {"FINISHED"}
    assert changed(before, channels(bpy.data.objects[name]))
    bpy.ops.ed.undo()
    assert not changed(before, channels(bpy.data.objects[name]))


def at_one_time(armature: bpy.types.Object, action: bpy.types.Action) -> dict[tuple[str, int], float]:
    """What the armature's curves say in an action that need not be its own."""
    data = armature.animation_data
    own, slot = data.action, getattr(data, "action_slot", None)
    data.action = action
    if slot is not None:
        data.action_slot = action.slots[0]
    found = {(curve.data_path, curve.array_index): curve.evaluate(7.5) for curve in curves_of(armature)}
    data.action = own
    if slot is not None:
        data.action_slot = slot
    return found
