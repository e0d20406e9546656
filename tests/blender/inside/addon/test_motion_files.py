"""Motions in and out: every joint of the scene where the file has it, and the other way round."""

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon.armature import read_pose
from lsr1_body_fit.addon.timing import scene_rate, set_scene_rate
from lsr1_body_fit.lsr1_solver import (
    SMPL_JOINT_NAMES,
    BodyPose,
    load_body_model,
    posed_joints,
    read_motion,
    rest_joints,
    write_amass,
)

from tests.blender.inside.addon.rigs import bone_heads, world_vertices
from tests.shared import SHARED, needs_shared

BODY = load_body_model()
COUNT = 20
TELEVISION = 30000 / 1001


def walking(count: int = COUNT) -> BodyPose:
    """A body of a shape of its own that turns and walks on the floor, y up."""
    rng = np.random.default_rng(3)
    t = np.linspace(0, 1, count)
    root = np.stack([0.1 * np.sin(6 * t), 4 * t, 0 * t], axis=1)
    swing = 0.6 * np.sin(2 * np.pi * t[:, None, None] + rng.uniform(0, 6, size=(1, 23, 3)))
    swing[:, 21:] = 0
    betas = np.tile([0.8, -0.5, 0.3, 0, 0, 0, 0, 0, 0, 0], (count, 1))
    return BodyPose(root, swing, betas, np.stack([0.5 + t, 1.1 + 0 * t, -2 * t], axis=1))


def in_blender(joints: np.ndarray) -> np.ndarray:
    x, y, z = np.moveaxis(joints, -1, 0)
    return np.stack([x, -z, y], axis=-1)


def seen(
    armature: bpy.types.Object, frames: Sequence[float], names: tuple[str, ...] = SMPL_JOINT_NAMES
) -> np.ndarray:
    """Every joint's place in the world at scene frames, fractions and all. [N, 24, 3]."""
    places = []
    for frame in frames:
        bpy.context.scene.frame_set(int(frame), subframe=frame - int(frame))
        places.append(bone_heads(armature, names))
    return np.stack(places)


def written(tmp_path: Path, rate: float = TELEVISION) -> Path:
    path = tmp_path / "walk.npz"
    write_amass(path, walking(), frame_rate=rate, body=BODY)
    return path


def scene_with_walk(tmp_path: Path) -> bpy.types.Object:
    """A body that walks, at television's rate, away from the origin, and somebody else's things beside it."""
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 30, 1.001
    armature = bodies.add_body(bpy.context)
    assert bpy.ops.lsr1.import_motion(filepath=str(written(tmp_path))) == {"FINISHED"}
    scene.frame_start, scene.frame_end = 1, COUNT
    other = bpy.data.objects.new("other", bpy.data.meshes.new("other"))
    scene.collection.objects.link(other)
    scene.frame_set(7)
    return armature


def test_a_motion_is_keyed_where_the_file_has_it(tmp_path: Path) -> None:
    armature = scene_with_walk(tmp_path)
    expected = in_blender(np.asarray(posed_joints(BODY, walking())))
    assert np.abs(seen(armature, range(1, COUNT + 1)) - expected).max() < 1e-4
    # No turn and no scale is left on the object.
    np.testing.assert_allclose(np.array(armature.matrix_basis), np.eye(4), atol=1e-6)
    assert armature.animation_data.action.name == "walk"
    assert "29.97" in armature.animation_data.action["lsr1_source"]
    np.testing.assert_allclose(bodies.shown_betas(armature)[:3], [0.8, -0.5, 0.3], atol=1e-5)


def test_earlier_actions_stay_and_the_scene_keeps_its_rate(tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 25, 1.0
    armature = bodies.add_body(bpy.context)
    path = written(tmp_path, 100.0)
    for _ in range(2):
        assert bpy.ops.lsr1.import_motion(filepath=str(path), use_shape=False) == {"FINISHED"}
    first, second = bpy.data.actions["walk"], bpy.data.actions["walk.001"]
    assert armature.animation_data.action == second and first.use_fake_user
    assert not np.any(bodies.shown_betas(armature)) and scene_rate(scene) == 25
    # Four frames of the file in one of the scene.
    np.testing.assert_allclose(second.frame_range, [1, 1 + (COUNT - 1) / 4], atol=1e-5)
    assert bpy.ops.lsr1.import_motion(filepath=str(path), set_rate=True, start=11) == {"FINISHED"}
    assert scene_rate(scene) == 100
    np.testing.assert_allclose(bpy.data.actions["walk.002"].frame_range, [11, 10 + COUNT], atol=1e-5)


def test_before_the_camera_as_a_fit(tmp_path: Path) -> None:
    """What was exported in camera axes stands before the camera again."""
    scene = bpy.context.scene
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    camera.location, camera.rotation_euler = (3.0, -4.0, 1.6), (1.5, 0.1, 0.7)
    bpy.context.view_layer.update()
    armature = bodies.add_body(bpy.context)
    results = {
        f"{n:04d}.jpg": {
            "smpl_thetas": np.concatenate([walking().global_orient[n], walking().body_pose[n].ravel()])[None],
            "cam_trans": walking().transl[n][None] + [0, 0, 5],
        }
        for n in range(COUNT)
    }
    np.savez(tmp_path / "video.npz", results=np.array(results, dtype=object))
    assert bpy.ops.lsr1.import_motion(filepath=str(tmp_path / "video.npz"), space="CAMERA") == {"FINISHED"}
    (motion,) = read_motion(tmp_path / "video.npz", body=BODY)
    scene.frame_set(1)
    pose = read_pose(armature, to_world=camera.matrix_world)
    np.testing.assert_allclose(pose.transl[0], motion.pose.transl[0], atol=1e-4)
    assert "camera axes" in armature.animation_data.action["lsr1_source"]


@needs_shared("cases")
@pytest.mark.parametrize("up", ["yup", "zup"])
def test_case_up_axis(tmp_path: Path, up: str) -> None:
    case = SHARED / "cases" / "20_up_axis"
    given = json.loads((case / f"motion_{up}.json").read_text())
    expected = np.array(json.loads((case / "expected.json").read_text())["blender_pelvis"])
    count = len(expected)
    rest = rest_joints(BODY, np.zeros((1, 10)))[0, 0]
    poses = np.pad(np.array(given["pelvis_axis_angle"], float), ((0, 0), (0, 153)))
    values = {"poses": poses, "trans": np.array(given["trans"]) - rest, "betas": np.zeros(16)}
    np.savez(tmp_path / f"{up}.npz", **values, gender="neutral", fps=24.0)
    armature = bodies.add_body(bpy.context)
    assert bpy.ops.lsr1.import_motion(filepath=str(tmp_path / f"{up}.npz")) == {"FINISHED"}
    places = seen(armature, range(1, count + 1), ("pelvis", "head", "left_foot"))
    assert np.abs(places[:, 0] - expected).max() < 1e-4
    assert np.all(places[:, 1, 2] > places[:, 2, 2] + 1)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    armature = bodies.add_body(bpy.context)
    (tmp_path / "half.npz").write_bytes(written(tmp_path).read_bytes()[:400])
    for options, text in (
        ({"filepath": str(tmp_path / "half.npz")}, "no whole .npz"),
        ({"filepath": str(tmp_path / "absent.pkl")}, "cannot be read"),
        ({"filepath": str(tmp_path / "walk.npz"), "person": 2}, "1 people"),
    ):
        with pytest.raises(RuntimeError, match=text):
            bpy.ops.lsr1.import_motion(**options)
    assert armature.animation_data is None and not bpy.data.actions


def unchanged(armature: bpy.types.Object) -> tuple[object, ...]:
    """What an export must leave as it is."""
    scene, mesh = bpy.context.scene, bodies.mesh_of(armature)
    return (
        scene.frame_current,
        (scene.frame_start, scene.frame_end, scene.render.fps, round(scene.render.fps_base, 6)),
        [obj.name for obj in bpy.context.selected_objects],
        bpy.context.view_layer.objects.active.name,
        armature.mode,
        mesh.data.name,
        sorted(mesh.name for mesh in bpy.data.meshes),
        sorted(action.name for action in bpy.data.actions),
        [(key.name, key.value) for key in mesh.data.shape_keys.key_blocks],
    )


def export(operation: object, armature: bpy.types.Object, path: Path) -> np.ndarray:
    """Export and compare what must not change; the joints that the scene has."""
    expected = seen(armature, range(1, COUNT + 1))
    bpy.context.scene.frame_set(7)
    before = unchanged(armature)
    assert operation(filepath=str(path)) == {"FINISHED"}
    assert unchanged(armature) == before
    return expected


def test_npz_is_read_back(tmp_path: Path) -> None:
    armature = scene_with_walk(tmp_path)
    # A constraint is part of what is seen.
    armature.pose.bones["head"].constraints.new("LIMIT_ROTATION").use_limit_x = True
    expected = export(bpy.ops.lsr1.export_amass, armature, tmp_path / "out.npz")
    (motion,) = read_motion(tmp_path / "out.npz", body=BODY)
    joints = in_blender(np.asarray(posed_joints(BODY, motion.pose)))
    assert np.abs(joints - expected)[:, :22].max() < 1e-5
    assert abs(motion.frame_rate - TELEVISION) < 1e-9 and motion.up == "Z"
    with np.load(tmp_path / "out.npz") as data:
        assert {"trans", "gender", "betas", "poses", "mocap_frame_rate", "mocap_framerate"} <= set(data.files)
        assert data["poses"].shape == (COUNT, 165)


def imported_armature(operation: object, path: Path, **options: object) -> bpy.types.Object:
    before = set(bpy.data.objects)
    assert operation(filepath=str(path), **options) == {"FINISHED"}
    return next(obj for obj in bpy.data.objects if obj not in before and obj.type == "ARMATURE")


def test_bvh_is_read_back(tmp_path: Path) -> None:
    armature = scene_with_walk(tmp_path)
    expected = export(bpy.ops.lsr1.export_bvh, armature, tmp_path / "out.bvh")
    read = imported_armature(bpy.ops.import_anim.bvh, tmp_path / "out.bvh", frame_start=1)
    assert np.abs(seen(read, range(1, COUNT + 1)) - expected).max() < 1e-4


def test_fbx_is_read_back(tmp_path: Path) -> None:
    armature = scene_with_walk(tmp_path)
    expected = export(bpy.ops.lsr1.export_fbx, armature, tmp_path / "out.fbx")
    bpy.context.scene.frame_set(3)
    skin = world_vertices(bodies.mesh_of(armature))
    rest = {bone.name: np.array(bone.head_local) for bone in armature.data.bones}
    rate = scene_rate(bpy.context.scene)
    read = imported_armature(bpy.ops.import_scene.fbx, tmp_path / "out.fbx", anim_offset=0.0)
    assert abs(scene_rate(bpy.context.scene) - rate) < 1e-3
    np.testing.assert_allclose(read.matrix_world.to_scale(), [1, 1, 1], atol=1e-5)
    # Blender's importer takes the file's seconds for frames of a whole rate.
    frames = (np.arange(1, COUNT + 1) / rate * bpy.context.scene.render.fps).tolist()
    np.testing.assert_allclose(read.animation_data.action.frame_range, [frames[0], frames[-1]], atol=1e-3)
    assert np.abs(seen(read, frames) - expected).max() < 1e-3
    for bone in read.data.bones:
        place = np.array(read.matrix_world @ bone.head_local)
        assert np.abs(place - rest[bone.name]).max() < 1e-4
    bpy.context.scene.frame_set(int(frames[2]), subframe=frames[2] - int(frames[2]))
    (mesh,) = (child for child in read.children if child.type == "MESH")
    assert np.abs(world_vertices(mesh) - skin).max() < 1e-3


def gltf_times(path: Path) -> np.ndarray:
    """The times of the first animation's first sampler, seconds."""
    data = path.read_bytes()
    length = struct.unpack("<I", data[12:16])[0]
    document, binary = json.loads(data[20 : 20 + length]), data[28 + length :]
    accessor = document["accessors"][document["animations"][0]["samplers"][0]["input"]]
    view = document["bufferViews"][accessor["bufferView"]]
    return np.frombuffer(binary, "<f4", accessor["count"], view.get("byteOffset", 0))


def test_gltf_is_read_back(tmp_path: Path) -> None:
    armature = scene_with_walk(tmp_path)
    expected = export(bpy.ops.lsr1.export_gltf, armature, tmp_path / "out.glb")
    np.testing.assert_allclose(gltf_times(tmp_path / "out.glb"), np.arange(COUNT) / TELEVISION, atol=1e-5)
    bpy.context.scene.frame_set(3)
    skin = world_vertices(bodies.mesh_of(armature))
    # Blender's importer has its exporter's notion of a rate; at a whole one both are right.
    set_scene_rate(bpy.context.scene, 30)
    assert bpy.ops.lsr1.export_gltf(filepath=str(tmp_path / "whole.glb")) == {"FINISHED"}
    read = imported_armature(bpy.ops.import_scene.gltf, tmp_path / "whole.glb")
    first = round(read.animation_data.action.frame_range[0])
    assert np.abs(seen(read, range(first, first + COUNT)) - expected).max() < 1e-3
    np.testing.assert_allclose(read.matrix_world.to_scale(), [1, 1, 1], atol=1e-5)
    bpy.context.scene.frame_set(first + 2)
    (mesh,) = (child for child in read.children if child.type == "MESH")
    shown = world_vertices(mesh)
    distance = np.linalg.norm(skin[:, None] - shown[::50], axis=-1).min(axis=0)
    assert distance.max() < 1e-3


@pytest.mark.parametrize("name", ["export_amass", "export_bvh"])
def test_a_scaled_body_is_refused_where_the_file_has_no_place_for_it(tmp_path: Path, name: str) -> None:
    armature = scene_with_walk(tmp_path)
    armature.scale = (2, 2, 2)
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match="2 times its true size"):
        getattr(bpy.ops.lsr1, name)(filepath=str(tmp_path / "out"))
    with pytest.raises(RuntimeError, match="nowhere does not exist"):
        bpy.ops.lsr1.export_fbx(filepath=str(tmp_path / "nowhere" / "out.fbx"))


@pytest.mark.parametrize("ending", ["fbx", "glb", "bvh", "npz"])
def test_a_preview_range_below_0_is_exported_whole_or_not_at_all(tmp_path: Path, ending: str) -> None:
    """Blender's own exporters begin at 0."""
    armature, scene = scene_with_walk(tmp_path), bpy.context.scene
    scene.use_preview_range = True
    scene.frame_preview_start, scene.frame_preview_end = -5, COUNT - 6
    names = {"fbx": "export_fbx", "glb": "export_gltf", "bvh": "export_bvh", "npz": "export_amass"}
    path, operator = tmp_path / f"out.{ending}", getattr(bpy.ops.lsr1, names[ending])
    before = unchanged(armature)
    if ending in ("fbx", "glb"):
        with pytest.raises(RuntimeError, match="begins at frame -5"):
            operator(filepath=str(path))
        assert not path.exists() and unchanged(armature) == before
        scene.frame_preview_start = 0
        assert operator(filepath=str(path)) == {"FINISHED"} and path.exists()
    else:
        assert operator(filepath=str(path)) == {"FINISHED"}
    if ending == "npz":
        assert len(read_motion(path, body=BODY)[0].pose) == COUNT
    if ending == "bvh":
        assert f"Frames: {COUNT}\n" in path.read_text()
