"""Add Body, its joints after a change of shape, and Stand on Floor."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

import bpy
import numpy as np
from mathutils import Matrix

from ...lsr1_solver import SMPL_JOINT_NAMES
from ..awake import awake
from ..body import add_body, joints_to_shape, mesh_of
from ..camera_path import check_free_to_move
from ..footage import floor_turn
from ..properties import preferred_model_file
from .common import body_to_change, is_idle, out_of_edit_modes, target, told

_ANKLES = ("left_ankle", "right_ankle")
# Feet that lean farther from each other or from the body than this do not both stand.
_STANDS = np.cos(np.radians(35))


class LSR1_OT_add_body(bpy.types.Operator):
    """Add a body with SMPL's 24 bones and a skinned mesh at the 3D cursor"""

    bl_idname = "lsr1.add_body"
    bl_label = "Add Body"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Not in the modes that edit something."""
        return out_of_edit_modes(cls, context) and is_idle(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Make the body that the preferences say."""
        with told(self):
            if context.mode == "POSE":
                bpy.ops.object.mode_set(mode="OBJECT")
            add_body(context, preferred_model_file(context))
            return {"FINISHED"}
        return {"CANCELLED"}


class LSR1_OT_joints_to_shape(bpy.types.Operator):
    """Put the bones where the shape that the sliders show has its joints"""

    bl_idname = "lsr1.joints_to_shape"
    bl_label = "Joints to Shape"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a body."""
        return body_to_change(cls, context) and out_of_edit_modes(cls, context) and is_idle(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Move the rest bones."""
        with told(self):
            moved = joints_to_shape(context, target(context))
            self.report({"INFO"}, "The bones follow the shape" if moved else "The bones fit the shape")
            return {"FINISHED"}
        return {"CANCELLED"}


class LSR1_OT_stand_on_floor(bpy.types.Operator):
    """Move and tilt camera and body together, so that the feet are on the floor and gravity points down. \
The picture stays the same"""

    bl_idname = "lsr1.stand_on_floor"
    bl_label = "Stand on Floor"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a body and a camera."""
        if context.scene.camera is None:
            cls.poll_message_set("There is no camera: add one, or press Open Picture")
            return False
        return body_to_change(cls, context) and is_idle(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Turn both by what the feet say."""
        armature, camera = target(context), context.scene.camera
        with told(self):
            for obj in (armature, camera):
                check_free_to_move(obj)
            mesh = mesh_of(armature) or armature
            with (
                awake(context.scene, context.view_layer, armature),
                awake(context.scene, context.view_layer, mesh),
            ):
                context.view_layer.update()
                turn = floor_turn(_up(armature), _lowest(context, armature))
            camera.matrix_world = turn @ camera.matrix_world
            armature.matrix_world = turn @ armature.matrix_world
            context.view_layer.update()
            return {"FINISHED"}
        return {"CANCELLED"}


def _up(armature: bpy.types.Object) -> np.ndarray:
    """Away from gravity [3] in the world: as the standing feet say, else as the body is above its feet."""
    from ..rig import rig_of

    rig = rig_of(armature)
    names = dict(zip(SMPL_JOINT_NAMES, rig.bones, strict=True))
    world = armature.matrix_world
    heads = {joint: np.array(world @ armature.pose.bones[bone].head) for joint, bone in names.items() if bone}
    feet = np.mean([heads[name] for name in _ANKLES], axis=0)
    body = np.mean([heads[name] for name in ("pelvis", "spine3", "neck")], axis=0) - feet
    body /= np.linalg.norm(body)
    soles = []
    for joint in _ANKLES:
        rest = rig.rest[SMPL_JOINT_NAMES.index(joint), :3, :3]
        posed = np.array((world @ armature.pose.bones[names[joint]].matrix).to_3x3().normalized())
        soles.append(posed @ rest.T @ rig.axes @ np.array([0.0, 1.0, 0.0]))
    if min(soles[0] @ soles[1], soles[0] @ body, soles[1] @ body) < _STANDS:
        return body
    return np.mean(soles, axis=0)


def _lowest(context: bpy.types.Context, armature: bpy.types.Object) -> np.ndarray:
    """Points of the world [N, 3] of which one touches the floor: the mesh, or the joints of a bare rig."""
    mesh = mesh_of(armature)
    if mesh is None:
        return np.array([armature.matrix_world @ bone.head for bone in armature.pose.bones])
    evaluated = mesh.evaluated_get(context.evaluated_depsgraph_get())
    data = evaluated.to_mesh()
    flat = np.empty(3 * len(data.vertices), dtype=np.float32)
    data.vertices.foreach_get("co", flat)
    evaluated.to_mesh_clear()
    world: Matrix = evaluated.matrix_world
    matrix = np.array(world)
    return flat.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
