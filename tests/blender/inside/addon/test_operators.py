"""The buttons, without a window: the whole way, what they leave alone, and what they say."""

import json
from pathlib import Path

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon import fits, footage, keypoint_store, pictures, tracks
from lsr1_body_fit.addon.armature import read_pose
from lsr1_body_fit.addon.live import LiveFit
from lsr1_body_fit.addon.operators.common import target
from lsr1_body_fit.addon.reprojection import body_points
from lsr1_body_fit.lsr1_solver import FORMATS, BodyPose, keypoints_2d, load_body_model

from tests.blender.inside.addon.rigs import bone_heads, world_vertices
from tests.shared import REPOSITORY, SHARED, needs_shared

SMPL_24 = FORMATS["SMPL_24"]
WALK = REPOSITORY / "assets" / "samples" / "walk"
CASES = SHARED / "cases"


def scene_of_walk(frame: int = 30) -> bpy.types.Object:
    """The sample's camera, keypoints and a body, at a frame."""
    scene = bpy.context.scene
    camera = pictures.add_camera(bpy.context)
    pictures.set_render_size(scene, (1080, 1920))
    camera.data.lens = 36 * 1674 / 1920
    assert bpy.ops.lsr1.import_keypoints(filepath=str(WALK / "keypoints") + "/") == {"FINISHED"}
    assert bpy.ops.lsr1.add_body() == {"FINISHED"}
    scene.frame_set(frame)
    return target(bpy.context)


def says(operation: object, text: str, **options: object) -> None:
    """The operator refuses with this text: as an error, or in its poll."""
    with pytest.raises(RuntimeError, match=text):
        operation(**options)


def channels(armature: bpy.types.Object) -> np.ndarray:
    return np.array([np.array(bone.matrix_basis) for bone in armature.pose.bones])


def test_from_nothing_to_a_pose() -> None:
    armature = scene_of_walk()
    scene = bpy.context.scene
    result = scene.lsr1.result
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    assert result.percent < 1.5 and result.iteration > 1
    errors = [joint.pixels for joint in result.joints]
    assert errors == sorted(errors, reverse=True) and len(errors) == 25
    assert "31.4 mm" in result.camera
    # What the panel says is what is seen: the posed bones reproject onto the keypoints.
    view = fits.picture_view(bpy.context)
    points = body_points(armature, view, keypoint_store.layout(scene))
    xy, _ = keypoint_store.points_at(scene, scene.frame_current)
    seen = np.linalg.norm(points - xy, axis=1)
    assert abs(np.mean(seen) - result.pixels) < 0.05
    # The mesh is on the person, and nothing was keyed.
    picture = footage.project_world(view, world_vertices(bodies.mesh_of(armature)))
    low, high = np.min(xy, axis=0), np.max(xy, axis=0)
    assert np.all(np.abs(picture.min(axis=0) - low) < 90) and np.all(np.abs(picture.max(axis=0) - high) < 90)
    assert armature.animation_data is None
    # Joints are at the bones: a preview's offsets are gone.
    assert all(bone.location.length < 1e-6 for bone in armature.pose.bones if bone.parent)


def test_nothing_else_changes() -> None:
    armature = scene_of_walk()
    scene = bpy.context.scene
    other = bpy.data.objects.new("other", None)
    scene.collection.objects.link(other)
    bpy.context.view_layer.objects.active = other
    other.select_set(True)
    armature.select_set(False)
    action = bpy.data.actions.new("someone's")
    scene.render.fps, scene.render.fps_base = 24, 1.001
    before = (
        len(bpy.data.actions),
        scene.frame_current,
        scene.render.fps_base,
        scene.camera.matrix_world.copy(),
    )
    place = armature.matrix_world.copy()
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    after = (
        len(bpy.data.actions),
        scene.frame_current,
        scene.render.fps_base,
        scene.camera.matrix_world.copy(),
    )
    assert before == after and armature.matrix_world == place and action.users == 0
    assert bpy.context.view_layer.objects.active == other and other.select_get() and not armature.select_get()
    assert bpy.context.mode == "OBJECT"


def test_restore_is_number_by_number() -> None:
    armature = scene_of_walk()
    armature.pose.bones["left_elbow"].rotation_mode = "XYZ"
    armature.pose.bones["left_elbow"].rotation_euler = (0.1, 0.2, 0.3)
    before = channels(armature)
    keys = bodies.shown_betas(armature)
    kept = fits.snapshot(bpy.context.scene, armature)
    job = fits.scene_fit(bpy.context, armature)
    for state in job.states():
        fits.show_state(bpy.context, job, state)
    assert np.abs(channels(armature) - before).max() > 0.1
    fits.restore(kept)
    assert np.array_equal(channels(armature), before)
    assert np.array_equal(bodies.shown_betas(armature), keys)


def test_keys_only_when_asked() -> None:
    armature = scene_of_walk()
    bpy.context.scene.lsr1.settings.insert_key = True
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    posed = bone_heads(armature, ["left_wrist", "right_ankle"])
    bpy.context.scene.frame_set(77)
    bpy.context.scene.frame_set(30)
    assert np.abs(bone_heads(armature, ["left_wrist", "right_ankle"]) - posed).max() < 1e-4


def test_keep_shape_and_keep_root() -> None:
    armature = scene_of_walk()
    scene, settings = bpy.context.scene, bpy.context.scene.lsr1.settings
    shape = np.linspace(-1, 1, 10)
    bodies.set_shape(bpy.context, armature, shape)
    settings.keep_shape = True
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    assert np.allclose(bodies.shown_betas(armature), shape, atol=1e-6)
    assert scene.lsr1.result.percent < 3
    settings.keep_root = True
    root = np.array(armature.pose.bones["pelvis"].matrix)
    elbow = np.array(armature.pose.bones["left_elbow"].matrix_basis)
    scene.frame_set(36)
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    bpy.context.view_layer.update()
    assert np.abs(np.array(armature.pose.bones["pelvis"].matrix) - root).max() < 1e-4
    assert np.abs(np.array(armature.pose.bones["left_elbow"].matrix_basis) - elbow).max() > 1e-3


def test_fitting_again_gives_the_same() -> None:
    """Case 30: the caller's numbers are not written to, and the answer doesn't depend on what was before."""
    armature = scene_of_walk()
    scene = bpy.context.scene
    held = [np.array(scene.lsr1.keypoints[name]) for name in ("xy", "confidence")]
    poses: list[BodyPose] = []
    for frame in (30, 60, 30):
        scene.frame_set(frame)
        assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
        poses.append(read_pose(armature, to_world=scene.camera.matrix_world))
    assert np.allclose(poses[0].body_pose, poses[2].body_pose, atol=1e-5)
    assert np.allclose(poses[0].transl, poses[2].transl, atol=1e-5)
    for name, before in zip(("xy", "confidence"), held, strict=True):
        assert np.array_equal(np.array(scene.lsr1.keypoints[name]), before)


def test_live_follows_the_point() -> None:
    armature = scene_of_walk()
    scene = bpy.context.scene
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    before = channels(armature)
    known, frame = keypoint_store.layout(scene), scene.frame_current
    index = known.index("right_wrist")
    xy, _ = keypoint_store.points_at(scene, frame)
    live = LiveFit(bpy.context, armature)
    for step in range(1, 21):
        keypoint_store.set_point(scene, frame, index, (xy[index] + [0, -8 * step]).tolist(), 1.0)
        assert live.update(bpy.context)
    view = fits.picture_view(bpy.context)
    seen = body_points(armature, view, known)[index]
    assert seen[1] < xy[index][1] - 80
    live.cancel(bpy.context)
    assert np.array_equal(channels(armature), before)


def test_keypoints_are_saved_copied_and_edited(tmp_path: Path) -> None:
    scene_of_walk()
    scene = bpy.context.scene
    keypoint_store.set_point(scene, 30, 3, (12.0, 34.0), 0.5)
    copy = scene.copy()
    keypoint_store.set_point(scene, 30, 3, (1.0, 2.0), 0.25)
    assert np.allclose(keypoint_store.points_at(copy, 30)[0][3], (12, 34))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "x.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "x.blend"))
    xy, confidence = keypoint_store.points_at(bpy.context.scene, 30)
    assert np.allclose(xy[3], (1, 2)) and confidence[3] == 0.25
    assert keypoint_store.frame_count(bpy.context.scene) == 100


def test_a_file_saved_while_something_ran_opens_with_nothing_running(tmp_path: Path) -> None:
    scene_of_walk()
    other = bpy.context.scene.copy()
    for scene in (bpy.context.scene, other):
        scene.lsr1.result.is_running = scene.lsr1.result.is_preview = True
        scene.lsr1.detection.progress_text = scene.lsr1.clip.progress_text = "Frame 3 of 40"
    assert not bpy.ops.lsr1.fit_pose.poll() and not bpy.ops.lsr1.refit.poll()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "x.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "x.blend"))
    assert bpy.ops.lsr1.fit_pose.poll() and bpy.ops.lsr1.refit.poll()
    for scene in bpy.data.scenes:
        assert not scene.lsr1.result.is_running and not scene.lsr1.result.is_preview
        assert not scene.lsr1.detection.progress_text and not scene.lsr1.clip.progress_text


def test_people_are_chosen_by_number() -> None:
    scene_of_walk()
    held = bpy.context.scene.lsr1.keypoints
    assert len(held.people) == 2 and "% sure" in held.people[0].summary
    first = np.array(held["xy"])
    assert bpy.ops.lsr1.choose_person(person=2) == {"FINISHED"}
    assert held.person == 2 and not np.array_equal(np.array(held["xy"]), first)
    assert bpy.ops.lsr1.swap_sides() == {"FINISHED"}
    assert bpy.ops.lsr1.clear_keypoints() == {"FINISHED"}
    assert not keypoint_store.has_keypoints(bpy.context.scene)


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    scene = bpy.context.scene
    says(bpy.ops.lsr1.fit_pose, "poll")
    says(bpy.ops.lsr1.import_keypoints, "no file", filepath=str(tmp_path / "absent.json"))
    bpy.ops.lsr1.add_body()
    points = keypoints_2d(np.full((24, 2), 100.0), np.ones((1, 24)), SMPL_24)
    keypoint_store.store(scene, points, (1920, 1080))
    says(bpy.ops.lsr1.fit_pose, "no camera")
    pictures.add_camera(bpy.context)
    scene.render.resolution_x, scene.render.resolution_y = 1080, 1920
    says(bpy.ops.lsr1.fit_pose, "Use Keypoints' Size")
    assert bpy.ops.lsr1.use_keypoints_size() == {"FINISHED"}
    assert footage.render_size(scene) == (1920, 1080)
    few = np.zeros((1, 24))
    few[0, :5] = 1
    keypoint_store.store(scene, keypoints_2d(np.full((24, 2), 100.0), few, SMPL_24), (1920, 1080))
    says(bpy.ops.lsr1.fit_pose, "5 are usable, a fit needs 6")


def test_a_wrong_picture_size_is_noticed_and_scaled() -> None:
    scene = bpy.context.scene
    pictures.add_camera(bpy.context)
    pictures.set_render_size(scene, (540, 960))
    bpy.ops.lsr1.import_keypoints(filepath=str(WALK / "keypoints") + "/")
    from lsr1_body_fit.addon.operators.keypoints import outside

    assert outside(scene)
    before = np.array(scene.lsr1.keypoints["xy"])
    assert bpy.ops.lsr1.scale_keypoints(size=(1080, 1920)) == {"FINISHED"}
    assert np.allclose(np.array(scene.lsr1.keypoints["xy"]), before / 2)
    assert tuple(scene.lsr1.keypoints.size) == (540, 960) and not outside(scene)


def camera_of_case(folder: Path) -> None:
    """The case's own camera, in Blender: y up becomes z up."""
    told = json.loads((folder / "expected.json").read_text())["camera"]
    camera = pictures.add_camera(bpy.context)
    x, y, z = told["position"]
    camera.location, camera.rotation_euler = (x, -z, y), (np.pi / 2, 0, 0)
    camera.data.sensor_width, camera.data.sensor_fit = 36.0, "HORIZONTAL"
    camera.data.lens = 36 * told["fx"] / told["width"]
    pictures.set_render_size(bpy.context.scene, (told["width"], told["height"]))
    bpy.context.view_layer.update()


def fitted(file: Path, folder: Path) -> dict[str, np.ndarray]:
    camera_of_case(folder)
    assert bpy.ops.lsr1.import_keypoints(filepath=str(file)) == {"FINISHED"}
    bpy.ops.lsr1.add_body()
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    names = [
        "pelvis",
        "neck",
        "head",
        "left_ankle",
        "right_ankle",
        "left_wrist",
        "right_wrist",
        "right_shoulder",
    ]
    return dict(zip(names, bone_heads(target(bpy.context), names), strict=True))


@needs_shared("cases")
def test_case_24_nothing_is_mirrored_or_upside_down() -> None:
    folder = CASES / "24_mirror_and_yflip"
    heads = fitted(next(folder.glob("*_keypoints.json")), folder)
    assert heads["right_wrist"][2] > heads["head"][2] > heads["pelvis"][2] > heads["left_ankle"][2]
    assert heads["left_wrist"][2] < heads["neck"][2]
    assert heads["right_shoulder"][0] < heads["pelvis"][0] < heads["left_wrist"][0]
    # Faces the camera, which stands at -Y.
    toes = bone_heads(target(bpy.context), ["left_foot", "left_ankle"])
    assert toes[0][1] < toes[1][1]


@needs_shared("cases")
@pytest.mark.parametrize("lens", ["wide", "normal", "tele"])
def test_case_14_upright_whatever_the_lens(lens: str) -> None:
    folder = CASES / "14_focal_length"
    expected = json.loads((folder / "expected.json").read_text())
    told = expected["cameras"][lens]
    camera = pictures.add_camera(bpy.context)
    x, y, z = told["position"]
    camera.location, camera.rotation_euler = (x, -z, y), (np.pi / 2, 0, 0)
    camera.data.lens = expected["lens_mm_36mm_sensor"][lens]
    pictures.set_render_size(bpy.context.scene, (told["width"], told["height"]))
    bpy.ops.lsr1.import_keypoints(filepath=str(next(folder.glob(f"{lens}_*.json"))))
    bpy.ops.lsr1.add_body()
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    pelvis, neck = bone_heads(target(bpy.context), ["pelvis", "neck"])
    pitch = np.degrees(np.arctan2(neck[1] - pelvis[1], neck[2] - pelvis[2]))
    assert abs(pitch) < 8
    assert abs((pelvis[1] + z) / z - 1) < 0.1
    assert f"{expected['lens_mm_36mm_sensor'][lens]:.1f} mm" in bpy.context.scene.lsr1.result.camera


@needs_shared("cases")
def test_case_18_frames_are_where_they_belong() -> None:
    folder = CASES / "18_frame_numbering"
    expected = json.loads((folder / "expected.json").read_text())
    for name, first in (("vfx_1001", 1001), ("unpadded", 8)):
        pictures.set_render_size(bpy.context.scene, (1280, 720))
        bpy.ops.lsr1.import_keypoints(filepath=str(folder / name))
        held = bpy.context.scene.lsr1.keypoints
        assert held.start_frame == first, name
        hips = [
            keypoint_store.points_at(bpy.context.scene, frame)[0][8]
            for frame in range(first, first + keypoint_store.frame_count(bpy.context.scene))
        ]
        assert np.allclose(hips, expected["mid_hip_px"][: len(hips)], atol=0.02)
    bpy.ops.lsr1.import_keypoints(filepath=str(folder / "zero_based"))
    assert bpy.context.scene.lsr1.keypoints.start_frame == 1


def test_the_bodys_name_says_whose_file_it_is() -> None:
    scene_of_walk()
    assert target(bpy.context).lsr1_body.model_file == ""
    assert load_body_model().name == "open_body"


def test_a_picture_opened_after_the_keypoints_gives_them_their_size(tmp_path: Path) -> None:
    scene = bpy.context.scene
    bpy.ops.lsr1.import_keypoints(filepath=str(WALK / "keypoints") + "/")
    assert tuple(scene.lsr1.keypoints.size) == (1920, 1080)
    image = bpy.data.images.new("portrait", 1080, 1920)
    image.filepath_raw, image.file_format = str(tmp_path / "portrait.png"), "PNG"
    image.save()
    assert bpy.ops.lsr1.open_picture(filepath=str(tmp_path / "portrait.png")) == {"FINISHED"}
    assert tuple(scene.lsr1.keypoints.size) == (1080, 1920)


def test_a_picture_opened_after_fractions_of_it_gives_everybody_their_pixels(tmp_path: Path) -> None:
    """OpenPose's --keypoint_scale 3 says no size, and means the picture's, whatever the render was before."""
    xy = np.random.default_rng(0).uniform(0.2, 0.8, (2, 25, 2))
    people = [
        {"pose_keypoints_2d": np.concatenate([points, np.ones((25, 1))], axis=1).ravel().tolist()}
        for points in xy
    ]
    (tmp_path / "a_0.json").write_text(json.dumps({"people": people}))
    scene, held = bpy.context.scene, bpy.context.scene.lsr1.keypoints
    assert bpy.ops.lsr1.import_keypoints(filepath=str(tmp_path / "a_0.json"), format="BODY_25") == {
        "FINISHED"
    }
    assert tuple(held.size) == (1920, 1080) and keypoint_store.reach(scene)[0] > 960
    image = bpy.data.images.new("portrait", 1080, 1920)
    image.filepath_raw, image.file_format = str(tmp_path / "portrait.png"), "PNG"
    image.save()
    assert bpy.ops.lsr1.choose_person(person=2) == {"FINISHED"}
    assert bpy.ops.lsr1.open_picture(filepath=str(tmp_path / "portrait.png")) == {"FINISHED"}
    assert tuple(held.size) == (1080, 1920)
    found = [tracks.track_arrays(scene, index)[0][0] for index in range(2)]
    assert all(any(np.allclose(own, points * (1080, 1920)) for own in found) for points in xy)
    # Another picture doesn't scale them again.
    image = bpy.data.images.new("small", 108, 192)
    image.filepath_raw, image.file_format = str(tmp_path / "small.png"), "PNG"
    image.save()
    bpy.ops.lsr1.open_picture(filepath=str(tmp_path / "small.png"))
    assert tuple(held.size) == (1080, 1920)


def test_keypoints_with_another_origin_are_noticed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Most points then lie left of the picture, or above it."""
    for name, move, is_said in (("a", (0, 0), False), ("b", (-3000, 0), True), ("c", (0, -1000), True)):
        person = json.loads(next((WALK / "keypoints").glob("*0000.json")).read_text())["people"][0]
        points = np.array(person["pose_keypoints_2d"]).reshape(-1, 3)
        points[points[:, 2] > 0, :2] += move
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps({"people": [{"pose_keypoints_2d": points.ravel().tolist()}]}))
        assert bpy.ops.lsr1.import_keypoints(filepath=str(file), format="BODY_25B") == {"FINISHED"}
        assert ("from its top left corner" in capfd.readouterr().out) == is_said
