"""Fit Clip without a window: the keys, what they leave alone, gaps, people, cameras and what needs a look."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon import clips, fits, keyframes, keypoint_store, pictures, takes, timing, tracks
from lsr1_body_fit.addon.clip_take import TakeInProgress
from lsr1_body_fit.addon.reprojection import body_points
from lsr1_body_fit.addon.rig import target
from lsr1_body_fit.addon.rig_names import NAMINGS
from lsr1_body_fit.lsr1_solver import (
    SMPL_PARENTS,
    BodyPose,
    camera_from_focal,
    keypoints_2d,
    load_body_model,
    posed_joints,
    project,
)

from tests.blender.inside.addon.keyed import insert_keyframes
from tests.blender.inside.addon.rigs import armature_of, bone_heads
from tests.blender.inside.addon.test_operators import camera_of_case, says
from tests.shared import REPOSITORY, SHARED, needs_shared

WALK = REPOSITORY / "assets" / "samples" / "walk"
CASES = SHARED / "cases"


def scene_of_walk(last: int = 40) -> bpy.types.Scene:
    """The sample's camera and keypoints; the first frames are the range."""
    scene = bpy.context.scene
    camera = pictures.add_camera(bpy.context)
    pictures.set_render_size(scene, (1080, 1920))
    camera.data.lens = 36 * 1674 / 1920
    assert bpy.ops.lsr1.import_keypoints(filepath=str(WALK / "keypoints") + "/") == {"FINISHED"}
    scene.lsr1.keypoints.frame_rate = 60
    scene.lsr1.clip.frame_range, scene.lsr1.clip.last = "CUSTOM", last
    return scene


def fit_clip(**options: bool) -> bpy.types.Object:
    assert bpy.ops.lsr1.fit_clip(**options) == {"FINISHED"}
    return target(bpy.context)


def curves_of(armature: bpy.types.Object) -> bpy.types.bpy_prop_collection:
    return keyframes.ensure_curves(armature, armature.name)


def key_frames(armature: bpy.types.Object, path: str = 'pose.bones["pelvis"].location') -> np.ndarray:
    """The scene frames at which a property is keyed."""
    return np.array([point.co.x for point in curves_of(armature).find(path, index=0).keyframe_points])


def off_the_keypoints(armature: bpy.types.Object, frame: float) -> float:
    """How far the body is from the keypoints of a frame, pixels, mean."""
    scene = bpy.context.scene
    scene.frame_set(int(frame // 1), subframe=frame % 1)
    view = fits.picture_view(bpy.context)
    points = body_points(armature, view, keypoint_store.layout(scene))
    xy, confidence = keypoint_store.points_at(scene, scene.frame_current_final)
    return float(np.nanmean(np.linalg.norm(points - xy, axis=1)[confidence > 0]))


def test_the_motion_is_on_the_keypoints_at_every_frame() -> None:
    scene = scene_of_walk()
    armature = fit_clip()
    assert np.array_equal(key_frames(armature), np.arange(1, 41))
    errors = [off_the_keypoints(armature, frame) for frame in (1, 13, 27, 40)]
    assert max(errors) < 0.02 * 800
    take = armature.animation_data.action.lsr1_take
    assert take.track == "walk 1" and len(take["frames"]) == 40
    assert armature.animation_data.action.name == "walk 1"
    # What the panel says of a frame is what is seen there.
    percent, sure, _ = takes.figures_at(armature.animation_data.action, 13)
    assert 0 < percent < 2 and 0 < sure <= 1
    assert scene.frame_current == 40 and scene.lsr1.keypoints.people[0].body == armature


def test_nothing_else_changes_and_earlier_takes_stay() -> None:
    scene = scene_of_walk(12)
    bpy.ops.lsr1.add_body()
    armature = target(bpy.context)
    insert_keyframes(armature, clips_pose(3), [5, 6, 7])
    first = armature.animation_data.action
    before = [(c.data_path, c.array_index, c.evaluate(6)) for c in curves_of(armature)]
    other = bpy.data.objects.new("other", None)
    scene.collection.objects.link(other)
    bpy.context.view_layer.objects.active = other
    scene.frame_set(77)
    scene.render.fps, scene.render.fps_base = 24, 1.001
    assert bpy.ops.lsr1.fit_clip() == {"FINISHED"}
    second = armature.animation_data.action
    assert bpy.ops.lsr1.fit_clip() == {"FINISHED"}
    third = armature.animation_data.action
    assert len({first.name, second.name, third.name}) == 3 and second.name.startswith("walk 1")
    assert first.use_fake_user and second.use_fake_user and not third.use_fake_user
    assert (scene.frame_current, scene.render.fps, round(scene.render.fps_base, 5)) == (77, 24, 1.001)
    assert bpy.context.view_layer.objects.active == other and len(scene.objects) == 4
    armature.animation_data.action = first
    if hasattr(first, "slots"):
        armature.animation_data.action_slot = first.slots[0]
    assert before == [(c.data_path, c.array_index, c.evaluate(6)) for c in curves_of(armature)]


def clips_pose(count: int) -> BodyPose:
    still = np.zeros((count, 3))
    return BodyPose(still, np.zeros((count, 23, 3)), np.zeros((count, 10)), still)


def test_a_take_that_is_given_up_leaves_nothing() -> None:
    scene = scene_of_walk(12)
    bpy.ops.lsr1.add_body()
    armature = target(bpy.context)
    armature.pose.bones["left_elbow"].rotation_quaternion = (0.8, 0.6, 0.0, 0.0)
    insert_keyframes(armature, clips_pose(2), [5, 6])
    before = armature.animation_data.action
    slot = getattr(armature.animation_data, "action_slot", None)
    rest = np.array([np.array(bone.matrix_local) for bone in armature.data.bones])
    pose = np.array([np.array(bone.matrix_basis) for bone in armature.pose.bones])
    shape = bodies.shown_betas(armature)
    for accepted in (False, True):
        take = TakeInProgress(bpy.context, 0, keep_contacts=False)
        *_, state = take.job.states()
        take.show(bpy.context, state)
        assert np.abs(key_frames(armature) - np.arange(1, 13)).max() == 0
        if accepted:
            take.accept(bpy.context, state)
        take.discard(bpy.context)
        assert armature.animation_data.action == before
        assert getattr(armature.animation_data, "action_slot", None) == slot
        assert list(bpy.data.actions) == [before]
        assert np.array_equal(bodies.shown_betas(armature), shape)
        assert np.array_equal([np.array(bone.matrix_basis) for bone in armature.pose.bones], pose)
        off = np.abs(np.array([np.array(bone.matrix_local) for bone in armature.data.bones]) - rest).max()
        assert off == 0 if not accepted else off < 1e-5
    assert not scene.lsr1.result.is_preview


def test_a_body_made_for_a_take_goes_with_it() -> None:
    scene = scene_of_walk(12)
    scene.camera.select_set(True)
    bpy.context.view_layer.objects.active = scene.camera
    counted = len(bpy.data.objects), len(bpy.data.meshes), len(bpy.data.armatures), len(bpy.data.materials)
    take = TakeInProgress(bpy.context, 0, keep_contacts=False)
    assert len(scene.objects) == 3
    take.discard(bpy.context)
    assert bpy.context.selected_objects == [scene.camera]
    assert bpy.context.view_layer.objects.active == scene.camera
    after = len(bpy.data.objects), len(bpy.data.meshes), len(bpy.data.armatures), len(bpy.data.materials)
    assert after == counted and not bpy.data.actions


def test_a_preview_shows_the_body_where_it_will_be() -> None:
    """On the way the rest bones stand for another shape; the mesh is where it is in the end all the same."""
    scene_of_walk(12)
    bpy.ops.lsr1.add_body()
    armature = target(bpy.context)
    take = TakeInProgress(bpy.context, 0, keep_contacts=False)
    *_, state = take.job.states()
    take.show(bpy.context, state)
    assert np.abs(np.asarray(state.pose.betas)).max() > 0.05
    shown = off_the_keypoints(armature, 7)
    take.accept(bpy.context, state)
    assert abs(off_the_keypoints(armature, 7) - shown) < 0.2
    assert all(bone.location.length < 1e-6 for bone in armature.pose.bones if bone.parent)


@needs_shared("cases")
@pytest.mark.parametrize("gaps", ["BRIDGE", "NO_KEYS"])
def test_case_02_gaps_are_bridged_or_left_unkeyed(gaps: str) -> None:
    folder = CASES / "02_gap_frames"
    camera_of_case(folder)
    bpy.ops.lsr1.import_keypoints(filepath=str(folder / "op"))
    scene = bpy.context.scene
    assert keypoint_store.frame_count(scene) == 12
    scene.lsr1.clip.gaps = gaps
    armature = fit_clip()
    expected = json.loads((folder / "expected.json").read_text())
    missing = {frame + 1 for frame in (*expected["empty"], *expected["absent"])}
    keyed = set(key_frames(armature).astype(int).tolist())
    assert keyed == set(range(1, 13)) - (missing if gaps == "NO_KEYS" else set())
    points = curves_of(armature).find('pose.bones["pelvis"].location', index=0).keyframe_points
    marked = {round(point.co.x) for point in points if point.type == "BREAKDOWN"}
    assert marked == (missing if gaps == "BRIDGE" else set())
    # Frame 9's pose is at frame 9 of the clip, which is the scene's 10.
    for frame in (1, 10, 11, 12):
        assert off_the_keypoints(armature, frame) < 20
    # Never in a T-pose, nor far from its neighbours.
    for frame in missing:
        scene.frame_set(frame - 1)
        before = bone_heads(armature, ["pelvis", "left_wrist", "right_ankle"])
        scene.frame_set(frame)
        assert np.abs(bone_heads(armature, ["pelvis", "left_wrist", "right_ankle"]) - before).max() < 0.25
    reasons = [item.name for item in armature.animation_data.action.lsr1_take.bad]
    assert sum("no keypoints" in reason for reason in reasons) == 2


@needs_shared("cases")
def test_next_bad_frame_goes_from_the_worst_on_and_begins_again() -> None:
    folder = CASES / "02_gap_frames"
    camera_of_case(folder)
    bpy.ops.lsr1.import_keypoints(filepath=str(folder / "op"))
    says(bpy.ops.lsr1.next_bad_frame, "poll")
    armature = fit_clip()
    action, scene = armature.animation_data.action, bpy.context.scene
    gone = []
    for _ in range(len(action.lsr1_take.bad) + 1):
        assert bpy.ops.lsr1.next_bad_frame() == {"FINISHED"}
        gone.append(scene.frame_current)
    assert gone[0] == gone[-1] and gone[0] in (5, 6, 7) and 9 in gone
    assert {marker.frame for marker in action.pose_markers} == set(gone)


@needs_shared("cases")
def test_case_03_a_body_a_track() -> None:
    folder = CASES / "03_person_order_swap"
    camera_of_case(folder)
    bpy.ops.lsr1.import_keypoints(filepath=str(folder / "op"))
    scene = bpy.context.scene
    held = scene.lsr1.keypoints
    assert [(person.first, person.last) for person in held.people] == [(0, 15), (0, 15)]
    held.people[1].use = True
    assert bpy.ops.lsr1.fit_clip() == {"FINISHED"}
    armatures = [person.body for person in held.people]
    assert len({body.name for body in armatures}) == 2
    assert len({body.animation_data.action.name for body in armatures}) == 2
    for index, body in enumerate(armatures):
        bpy.ops.lsr1.choose_person(person=index + 1)
        assert max(off_the_keypoints(body, frame) for frame in (1, 4, 10, 16)) < 20
        hips = []
        for frame in range(1, 17):
            scene.frame_set(frame)
            view = fits.picture_view(bpy.context)
            hips.append(body_points(body, view, keypoint_store.layout(scene))[8])
        assert np.linalg.norm(np.diff(hips, axis=0), axis=1).max() < 60
    # Again: the same bodies, new takes.
    assert bpy.ops.lsr1.fit_clip() == {"FINISHED"}
    assert [person.body for person in held.people] == armatures and len(bpy.data.actions) == 4


def test_the_chosen_track_is_the_one_that_is_fitted() -> None:
    scene = scene_of_walk(8)
    assert tracks.used_tracks(scene) == [0]
    bpy.ops.lsr1.choose_person(person=2)
    assert tracks.used_tracks(scene) == [1]
    for person in scene.lsr1.keypoints.people:
        person.use = True
    bpy.ops.lsr1.choose_person(person=1)
    assert tracks.used_tracks(scene) == [0, 1]


@needs_shared("cases")
def test_tracks_are_cut_merged_and_keep_their_edits() -> None:
    folder = CASES / "03_person_order_swap"
    camera_of_case(folder)
    bpy.ops.lsr1.import_keypoints(filepath=str(folder / "op"))
    scene, held = bpy.context.scene, bpy.context.scene.lsr1.keypoints
    keypoint_store.set_point(scene, 3, 4, (12.0, 34.0), 0.5)
    whole = [tracks.track_keypoints(scene, i) for i in range(2)]
    assert bpy.ops.lsr1.choose_person(person=2) == {"FINISHED"}
    assert bpy.ops.lsr1.choose_person(person=1) == {"FINISHED"}
    assert np.array_equal(tracks.track_keypoints(scene, 0).xy, whole[0].xy)
    assert np.allclose(keypoint_store.points_at(scene, 3)[0][4], (12, 34))
    scene.frame_set(6)
    assert bpy.ops.lsr1.cut_track() == {"FINISHED"}
    assert [(person.first, person.last) for person in held.people] == [(0, 4), (0, 15), (5, 15)]
    assert keypoint_store.points_at(scene, 6)[1].sum() == 0
    for person, use in zip(held.people, (True, False, True), strict=True):
        person.use = use
    assert bpy.ops.lsr1.merge_tracks() == {"FINISHED"}
    assert [(person.first, person.last) for person in held.people] == [(0, 15), (0, 15)]
    for index in range(2):
        again = tracks.track_keypoints(scene, index)
        assert np.array_equal(again.xy, whole[index].xy)
        assert np.array_equal(again.confidence, whole[index].confidence)
    held.people[1].use = False
    says(bpy.ops.lsr1.merge_tracks, "Tick the tracks")
    scene.frame_set(1)
    says(bpy.ops.lsr1.cut_track, "nothing to cut off")


def test_a_track_that_is_not_in_the_range_says_where_it_is() -> None:
    scene = scene_of_walk()
    scene.lsr1.clip.first, scene.lsr1.clip.last = 500, 600
    says(bpy.ops.lsr1.fit_clip, "frames 1 to 100")
    assert not bpy.data.actions and len(scene.objects) == 1


@pytest.mark.parametrize("name", ["take2", "WALK_2024", "ünï 作品 07", "7"])
def test_a_take_has_the_whole_name_of_the_movie_or_the_file(tmp_path: Path, name: str) -> None:
    scene = scene_of_walk()
    for number in (1001, 1002):
        image = bpy.data.images.new("frame", 64, 36)
        image.filepath_raw, image.file_format = str(tmp_path / f"{name}_{number}.png"), "PNG"
        image.save()
    movie = shutil.copy(WALK / "walk.mp4", tmp_path / f"{name}.mp4")
    (tmp_path / name).mkdir()
    held = scene.lsr1.keypoints
    for source in (tmp_path / name, tmp_path / f"{name}.csv", tmp_path / f"{name}_keypoints.json"):
        held.source = str(source)
        assert clips.take_name(scene, 0) == f"{name} 1"
    bpy.ops.lsr1.open_picture(filepath=str(tmp_path / f"{name}_1002.png"), sequence=True)
    assert clips.take_name(scene, 1) == f"{name} 2"
    # A second file of that name is called otherwise in Blender.
    bpy.data.movieclips.load(str(WALK / "walk.mp4")).name = f"{name}.mp4"
    bpy.ops.lsr1.open_picture(filepath=str(movie))
    assert scene.camera.data.background_images[0].clip.name == f"{name}.mp4.001"
    assert clips.take_name(scene, 0) == f"{name} 1"


def test_one_frame_is_no_clip() -> None:
    bpy.ops.lsr1.import_keypoints(filepath=str(WALK / "keypoints" / "cam02.0000.json"))
    if keypoint_store.frame_count(bpy.context.scene) == 1:
        says(bpy.ops.lsr1.fit_clip, "poll")


def test_a_scene_that_stretches_time_is_refused() -> None:
    scene = scene_of_walk(8)
    scene.render.frame_map_old, scene.render.frame_map_new = 100, 200
    actions = len(bpy.data.actions)
    says(bpy.ops.lsr1.fit_clip, "under Time Stretching, give Old and New the same number")
    assert len(bpy.data.actions) == actions


def test_real_time_keys_lie_between_frames_and_play_at_the_right_speed() -> None:
    scene = scene_of_walk(8)
    scene.render.fps, scene.render.fps_base = 24, 1.001
    scene.lsr1.keypoints.keys_at = "TIME"
    armature = fit_clip()
    wanted = 1 + np.arange(18) * (24 / 1.001) / 60
    assert np.abs(key_frames(armature) - wanted).max() < 1e-5
    assert (scene.render.fps, round(scene.render.fps_base, 6)) == (24, 1.001)
    # The key of a row is the pose of that row.
    assert np.allclose(timing.row_frames(scene, 100)[:18], wanted)
    bpy.context.scene.frame_set(3)
    assert off_the_keypoints(armature, 3) < 16


def test_the_scenes_rate_is_set_only_when_asked() -> None:
    scene = scene_of_walk(8)
    scene.lsr1.keypoints.frame_rate = 29.97
    fit_clip()
    assert (scene.render.fps, scene.render.fps_base) == (24, 1.0)
    scene.lsr1.clip.set_rate = True
    fit_clip()
    assert scene.render.fps == 30 and abs(scene.render.fps_base - 1.001) < 1e-6
    # With scene frames between the video's, a second is a second all the same.
    scene.lsr1.keypoints.step, scene.lsr1.clip.last = 2, 15
    assert np.array_equal(key_frames(fit_clip()), np.arange(1, 17, 2))
    assert scene.render.fps == 60 and abs(scene.render.fps_base - 1.001) < 1e-6


def test_straight_or_smooth_between_keys() -> None:
    scene = scene_of_walk(8)
    for kind in ("LINEAR", "BEZIER"):
        scene.lsr1.clip.interpolation = kind
        for curve in curves_of(fit_clip()):
            wanted = "CONSTANT" if curve.data_path.startswith("lsr1_body") else kind
            assert {point.interpolation for point in curve.keyframe_points} == {wanted}


def test_quaternions_never_flip() -> None:
    scene_of_walk(100)
    armature = fit_clip()
    curves = curves_of(armature)
    for bone in armature.pose.bones:
        path = f"{bone.path_from_id()}.rotation_quaternion"
        values = np.array([[p.co.y for p in curves.find(path, index=i).keyframe_points] for i in range(4)])
        assert (np.sum(values[:, 1:] * values[:, :-1], axis=0) > 0.5).all()


def panned_clip(count: int) -> tuple[bpy.types.Object, np.ndarray]:
    """A camera that walks round somebody who stands; their keypoints. -> the camera, the joints [24, 3]."""
    scene = bpy.context.scene
    camera = pictures.add_camera(bpy.context)
    pictures.set_render_size(scene, (1280, 720))
    camera.data.lens = 40.0
    pose = clips_pose(1)
    arms = np.zeros((1, 23, 3))
    arms[0, 15, 2], arms[0, 16, 2] = -1.1, 1.1  # beside the body
    pose = replace(pose, body_pose=arms, transl=np.array([[0.0, 0.3, 0.0]]))
    body = load_body_model()
    joints = posed_joints(body, pose)[0] @ np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])  # z up
    xy = []
    for row in range(count):
        angle = 0.5 * row / count
        camera.location = 4 * np.sin(angle), -4 * np.cos(angle), 1.2
        camera.rotation_euler = np.pi / 2, 0.0, angle
        camera.keyframe_insert("location", frame=row + 1)
        camera.keyframe_insert("rotation_euler", frame=row + 1)
        turn = np.array(camera.rotation_euler.to_matrix())
        inside = (joints - np.array(camera.location)) @ turn
        xy.append(project(camera_from_focal(40 / 36 * 1280, (1280, 720)), inside[None])[0])
    keypoints = keypoints_2d(np.array(xy), None, "SMPL_24", image_size=(1280, 720))
    keypoint_store.store(scene, keypoints, (1280, 720))
    tracks.list_people(scene, [keypoints], 0)
    scene.frame_set(1)
    return camera, joints


def test_seen_by_a_moving_camera_who_stands_stands() -> None:
    camera, joints = panned_clip(24)
    scene = bpy.context.scene
    before = camera.matrix_world.copy()
    armature = fit_clip()
    assert scene.frame_current == 1 and camera.matrix_world == before and len(bpy.data.scenes) == 1
    places = []
    for frame in range(1, 25):
        scene.frame_set(frame)
        places.append(bone_heads(armature, ["pelvis", "left_ankle", "right_ankle", "head"]))
        assert off_the_keypoints(armature, frame) < 12
    # The camera went two metres in less than a second.
    spread = np.std(places, axis=0).max(axis=1)
    assert spread.max() < 0.06, f"who stands still moves by {spread} m"
    assert np.linalg.norm(np.mean(places, axis=0)[0] - joints[0]) < 0.4


def test_cameras_that_markers_switch_to_see_their_own_frames() -> None:
    count, scene = 24, bpy.context.scene
    first, joints = panned_clip(count)
    held = scene.lsr1.keypoints
    xy = np.array(held["xy"]).reshape(count, -1)
    xy[:12], xy[12:] = xy[0], xy[-1]
    held["xy"] = xy.ravel()
    scene.frame_set(count)
    second = bpy.data.objects.new("second", first.data)
    second.matrix_world = first.matrix_world
    scene.collection.objects.link(second)
    scene.frame_set(1)
    first.animation_data_clear()
    for camera, frame in ((first, 1), (second, 13)):
        scene.timeline_markers.new(camera.name, frame=frame).camera = camera
    armature = fit_clip()
    assert scene.camera == first and len(bpy.data.scenes) == 1 and len(scene.timeline_markers) == 2
    assert max(off_the_keypoints(armature, frame) for frame in (1, 12, 13, count)) < 12
    assert scene.camera == second
    places = []
    for frame in (1, 12, 13, count):
        scene.frame_set(frame)
        places.append(bone_heads(armature, ["pelvis"])[0])
    assert np.ptp(places, axis=0).max() < 0.1 and np.linalg.norm(places[0] - joints[0]) < 0.4


def test_a_zoom_is_followed() -> None:
    camera, _ = panned_clip(6)
    camera.data.lens = 40
    camera.data.keyframe_insert("lens", frame=1)
    camera.data.lens = 80
    camera.data.keyframe_insert("lens", frame=6)
    job = clips.clip_fit(bpy.context, bodies.add_body(bpy.context), 0)
    focal = np.ravel(job.problem.camera.focal_length)
    assert len(focal) == 6 and np.isclose(focal[0], 40 / 36 * 1280) and np.isclose(focal[-1], 80 / 36 * 1280)
    assert job.problem.camera_to_world.shape == (6, 4, 4)


def test_contacts_are_keys_that_are_edited_and_held() -> None:
    scene = scene_of_walk(20)
    armature = fit_clip()
    frames = np.arange(1.0, 21.0)
    curves = curves_of(armature)
    wanted = np.random.default_rng(0).random((20, 4)) > 0.5
    takes.write_contacts(curves_without_contacts(armature), frames, wanted)
    assert np.array_equal(takes.read_contacts(armature, frames), wanted)
    # The animator's own key: the property is animatable, like any other.
    scene.frame_set(4)
    wanted[3:5, 0] = True
    armature.lsr1_body.left_heel = True
    armature.lsr1_body.keyframe_insert("left_heel", frame=4)
    for curve in curves:
        if curve.data_path == "lsr1_body.left_heel":
            assert curve.evaluate(4) == 1
    job = clips.clip_fit(bpy.context, armature, 0, keep_contacts=True)
    assert job.problem.contacts.shape == (20, 4) and job.problem.contacts[3, 0]
    assert clips.clip_fit(bpy.context, armature, 0).problem.contacts is None
    first = armature.animation_data.action
    assert bpy.ops.lsr1.fit_clip(again=True) == {"FINISHED"}
    assert armature.animation_data.action != first
    assert np.array_equal(takes.read_contacts(armature, frames), job.problem.contacts)


def curves_without_contacts(armature: bpy.types.Object) -> bpy.types.bpy_prop_collection:
    curves = curves_of(armature)
    for curve in [curve for curve in curves if curve.data_path.startswith("lsr1_body")]:
        curves.remove(curve)
    return curves


def test_a_take_is_saved_with_the_file(tmp_path: Path) -> None:
    scene_of_walk(8)
    armature = fit_clip()
    held = [(c.data_path, c.array_index, len(c.keyframe_points)) for c in curves_of(armature)]
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "x.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "x.blend"))
    armature = target(bpy.context)
    assert held == [(c.data_path, c.array_index, len(c.keyframe_points)) for c in curves_of(armature)]
    assert armature.animation_data.action.lsr1_take.track == "walk 1"
    assert bpy.context.scene.lsr1.keypoints.people[0].body == armature


def test_a_shape_that_is_kept_is_kept() -> None:
    scene = scene_of_walk(20)
    bpy.ops.lsr1.add_body()
    armature = target(bpy.context)
    shape = np.linspace(-0.8, 0.8, 10)
    bodies.set_shape(bpy.context, armature, shape)
    scene.lsr1.settings.keep_shape = True
    assert bpy.ops.lsr1.fit_clip() == {"FINISHED"}
    assert np.allclose(bodies.shown_betas(armature), shape, atol=1e-6)
    assert max(off_the_keypoints(armature, frame) for frame in (1, 10, 20)) < 25


def test_a_foreign_rig_is_keyed_too() -> None:
    scene_of_walk(20)
    ours = bodies.add_body(bpy.context)
    names = list(ours.data.bones.keys())
    foreign = armature_of(
        list(NAMINGS[2]),
        list(SMPL_PARENTS),
        np.array([ours.data.bones[name].head_local for name in names]),
        [0.3] * 24,
    )
    bodies.remove_body(bodies.body_parts(ours))
    bpy.context.view_layer.objects.active = foreign
    armature = fit_clip()
    assert armature == foreign and len(key_frames(armature, 'pose.bones["m_avg_Pelvis"].location')) == 20
    assert max(off_the_keypoints(armature, frame) for frame in (1, 10, 20)) < 40
