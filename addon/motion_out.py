"""The scene's motion of a body for other programs: read frame by frame, or handed to Blender's exporters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np

from ..lsr1_solver import SMPL_PARENTS, BodyModel, BodyPose, FitError, write_amass, write_bvh
from ..lsr1_solver.rotation import matrix_to_axis_angle
from .awake import awake
from .body import mesh_of, shown_betas
from .body_mesh import shape_keys_of
from .rig import Y_UP_TO_Z_UP, Rig, joints_of_shape, rig_of
from .rig_transfer import joint_turns
from .timing import go_to_frame, scene_rate

_TRUE_SIZE = 1e-3
# How far the exporters of Blender are told to go: what is seen, every frame, no key left out.
_FBX = {
    "use_selection": True,
    "object_types": {"ARMATURE", "MESH"},
    # Files in centimetres, as programs expect, and objects at scale 1 there and here.
    "apply_scale_options": "FBX_SCALE_ALL",
    "add_leaf_bones": False,
    "bake_anim": True,
    "bake_anim_use_nla_strips": False,
    "bake_anim_use_all_actions": False,
    "bake_anim_simplify_factor": 0.0,
}
_GLTF = {
    "use_selection": True,
    "export_animations": True,
    "export_animation_mode": "SCENE",
    "export_anim_scene_split_object": False,
    "export_frame_range": True,
    "export_force_sampling": True,
    "export_optimize_animation_size": False,
    "export_anim_slide_to_zero": True,
    "export_morph": False,
}


def scene_frames(scene: bpy.types.Scene) -> range:
    """The frames that are exported: the scene's, or those of its preview range where it is on."""
    if scene.use_preview_range:
        return range(scene.frame_preview_start, scene.frame_preview_end + 1)
    return range(scene.frame_start, scene.frame_end + 1)


def scene_motion(context: bpy.types.Context, armature: bpy.types.Object) -> tuple[BodyPose, BodyModel]:
    """The motion that is seen, constraints and all, at the frames of the scene, and the body that moves.

    The pose is y up, metres, the scene's origin its own. FitError where the armature is no SMPL rig, or not
    of a person's size: motion files have no place for it.
    """
    scene, rig = context.scene, rig_of(armature)
    size = rig.unit * rig.scale
    if abs(size - 1) > _TRUE_SIZE:
        raise FitError(
            f"{armature.name} is {size:.4g} times its true size, for which a motion file has no place: set "
            "its scale to 1, or export FBX or glTF"
        )
    betas, now = shown_betas(armature)[: rig.body.shape_count], scene.frame_current_final
    turns, places, frames = [], [], scene_frames(scene)
    manager = context.window_manager
    manager.progress_begin(0, len(frames))
    try:
        with awake(scene, context.view_layer, armature):
            for number, frame in enumerate(frames):
                manager.progress_update(number)
                scene.frame_set(frame)
                seen = armature.evaluated_get(context.evaluated_depsgraph_get())
                turns.append(joint_turns(seen, rig))
                places.append(seen.matrix_world @ seen.pose.bones[rig.bones[0]].head)
    finally:
        manager.progress_end()
        go_to_frame(scene, now)
    return _pose(rig, np.stack(turns), np.array(places), betas), rig.body


def _pose(rig: Rig, turns: np.ndarray, places: np.ndarray, betas: np.ndarray) -> BodyPose:
    """From turns in the world [N, 24, 3, 3] and the pelvis's places [N, 3]."""
    Q = Y_UP_TO_Z_UP.T @ turns
    local = Q.copy()
    for j, parent in enumerate(SMPL_PARENTS):
        if parent >= 0:
            local[:, j] = np.swapaxes(Q[:, parent], -1, -2) @ Q[:, j]
    omega = matrix_to_axis_angle(local)
    transl = places @ Y_UP_TO_Z_UP - joints_of_shape(rig.body, betas)[0]
    return BodyPose(omega[:, 0], omega[:, 1:], np.tile(betas, (len(omega), 1)), transl)


def export_amass(
    context: bpy.types.Context, armature: bpy.types.Object, path: str, *, layout: str, gender: str
) -> int:
    """Write the scene's motion of a body as an AMASS-style npz. Returns the number of frames."""
    pose, body = scene_motion(context, armature)
    rate = scene_rate(context.scene)
    write_amass(path, pose, frame_rate=rate, body=body, layout=layout, gender=gender)
    return len(pose)


def export_bvh(context: bpy.types.Context, armature: bpy.types.Object, path: str) -> int:
    """Write the scene's motion of a body as a BVH, y up, metres. Returns the number of frames."""
    pose, body = scene_motion(context, armature)
    write_bvh(path, pose, body=body, frame_rate=scene_rate(context.scene))
    return len(pose)


def export_fbx(context: bpy.types.Context, armature: bpy.types.Object, path: str) -> int:
    """Write body, mesh and motion through Blender's FBX exporter. Returns the number of frames."""
    with _only(context, armature), _exact_range(context.scene):
        _call(bpy.ops.export_scene.fbx, path, _FBX)
    return len(scene_frames(context.scene))


def export_gltf(context: bpy.types.Context, armature: bpy.types.Object, path: str) -> int:
    """Write body, mesh and motion through Blender's glTF exporter: .glb, or .gltf with a .bin beside it."""
    kind = "GLB" if Path(path).suffix.lower() == ".glb" else "GLTF_SEPARATE"
    with _only(context, armature), _exact_range(context.scene), _rate_for_gltf(context.scene):
        _call(bpy.ops.export_scene.gltf, path, {**_GLTF, "export_format": kind})
    return len(scene_frames(context.scene))


def _call(exporter: object, path: str, options: dict[str, object]) -> None:
    """Run an exporter of Blender's; what it reports as an error is for the user."""
    _check_writable(Path(path))
    try:
        exporter(filepath=path, **options)
    except RuntimeError as error:
        raise FitError(f"{path} was not written: {str(error).strip()}") from error


def _check_writable(path: Path) -> None:
    """FitError where a file cannot be written: Blender's exporters report that with their own code."""
    was_there = path.exists()
    try:
        with path.open("ab"):
            pass
    except OSError as error:
        raise FitError(f"{path} cannot be written: {error.strerror or error}.") from error
    if not was_there:
        path.unlink()


@contextmanager
def _only(context: bpy.types.Context, armature: bpy.types.Object) -> Iterator[None]:
    """The body and its mesh selected and nothing else, in Object Mode, the shape in the mesh; then as before.

    Shape keys from -5 to 5 are more than other programs' morph targets can be. FitError where one of them
    can't be selected: exporters would leave it out and say nothing.
    """
    layer, mode, mesh = context.view_layer, armature.mode, mesh_of(armature)
    both = [obj for obj in (armature, mesh) if obj is not None]
    for obj in both:
        if not obj.visible_get(view_layer=layer):
            raise FitError(f"{obj.name} is hidden, so it would be missing in the file: show it")
    active, selected = layer.objects.active, list(context.selected_objects)
    layer.objects.active = armature
    if context.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    own = mesh.data if mesh is not None else None
    try:
        for obj in selected:
            obj.select_set(False)
        for obj in both:
            obj.select_set(True)
            if not obj.select_get():
                raise FitError(
                    f"{obj.name} can't be selected, so it would be missing in the file: make it selectable"
                )
        if mesh is not None:
            mesh.data = _shaped(mesh)
        yield
    finally:
        if mesh is not None:
            shaped, mesh.data = mesh.data, own
            if shaped != own:
                bpy.data.meshes.remove(shaped)
        for obj in both:
            obj.select_set(False)
        for obj in selected:
            obj.select_set(True)
        if mode != "OBJECT":
            bpy.ops.object.mode_set(mode=mode)
        layer.objects.active = active


def _shaped(mesh: bpy.types.Object) -> bpy.types.Mesh:
    """A copy of the mesh in the shape that its shape keys show, without keys."""
    data = mesh.data.copy()
    if mesh.data.shape_keys is None:
        return data
    keys = [key for key in shape_keys_of(mesh) if key is not None and not key.mute]
    points = _points(mesh.data.shape_keys.reference_key)
    shaped = points + sum(key.value * (_points(key) - _points(key.relative_key)) for key in keys)
    holder = bpy.data.objects.new("shaped", data)
    holder.shape_key_clear()
    bpy.data.objects.remove(holder)
    data.vertices.foreach_set("co", shaped.ravel())
    data.update()
    return data


def _points(key: bpy.types.ShapeKey) -> np.ndarray:
    flat = np.empty(3 * len(key.data), dtype=np.float32)
    key.data.foreach_get("co", flat)
    return flat


@contextmanager
def _exact_range(scene: bpy.types.Scene) -> Iterator[None]:
    """The scene's range is what is exported, its frame then as it was: exporters step through all.

    FitError where that begins below 0, as a preview range may: they would leave frames out.
    """
    before = scene.frame_start, scene.frame_end
    now = scene.frame_current_final
    frames = scene_frames(scene)
    if frames[0] < 0:
        raise FitError(
            f"The range begins at frame {frames[0]}, Blender's exporters of FBX and glTF at 0: move the "
            "keys, or export BVH or .npz"
        )
    scene.frame_start, scene.frame_end = frames[0], frames[-1]
    try:
        yield
    finally:
        scene.frame_start, scene.frame_end = before
        go_to_frame(scene, now)


@contextmanager
def _rate_for_gltf(scene: bpy.types.Scene) -> Iterator[None]:
    """Blender's glTF exporter (4.2 to 5.2) takes ``fps fps_base`` for the rate ``fps / fps_base``."""
    before = scene.render.fps_base
    scene.render.fps_base = 1 / before
    try:
        yield
    finally:
        scene.render.fps_base = before
