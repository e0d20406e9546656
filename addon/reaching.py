"""Reach: a joint of the body dragged over the picture, and the body's bones following it."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ..lsr1_solver import FitError, Reach
from ..lsr1_solver.body_model import SMPL_JOINT_NAMES, SMPL_PARENTS, local_rotations
from ..lsr1_solver.problem import PARTS, PLACE, SHAPE
from .armature import bone_channels, read_pose, write_rotation
from .body import mesh_of, shown_betas
from .body_mesh import set_correctives
from .bone_change import key_as_shown
from .bone_motion import check_plays_in_scene, read_bones
from .edits import begin_edit, end_edit
from .fits import Snapshot, restore, snapshot
from .footage import scene_view
from .holding import locked_parts, pins_at
from .keyframes import key_shape
from .keypoint_store import frame_count
from .rig import joints_of_shape, rig_of
from .timing import row_frames

_PLACE = PARTS.index(PLACE)
# The nearest that a joint is brought to the camera, metres of the body.
_NEAREST = 0.2
# Where the body hardly reaches the mouse, one update after the other brings it nearer.
_SETTLE = 3


class Drag:
    """One joint of one body, dragged in the current frame; the locks and pins of that frame hold.

    FitError where the body is not in front of the camera, or where all that could move the joint is locked;
    and as ``check_plays_in_scene``.
    """

    def __init__(self, context: bpy.types.Context, armature: bpy.types.Object, joint: str) -> None:
        """Take hold of a joint, by SMPL's name."""
        check_plays_in_scene(armature)
        scene = context.scene
        frame = np.array([float(scene.frame_current_final)])
        # Metres of the body by which the joint is moved away from the camera.
        self.farther = 0.0
        self._xy: np.ndarray | None = None
        self.joint, self.before = joint, snapshot(scene, armature)
        self._view, self._rig = scene_view(scene, context.evaluated_depsgraph_get()), rig_of(armature)
        locked = locked_parts(armature, frame)[0]
        # [26] which of PARTS the drag moves.
        self.parts = ~locked
        self.parts[PARTS.index(SHAPE)] = False
        if not self.parts[_movers(joint)].any():
            raise FitError(f"All that moves the {joint.replace('_', ' ')} is locked: unlock some of it first")
        motion = read_bones(armature, frame, frame[0])
        self._reach = Reach(
            self._rig.body,
            self._view.camera,
            motion.pose(self._rig, shown_betas(armature), self._view.to_world),
            joint,
            held=[part for part, is_locked in zip(PARTS, locked, strict=True) if is_locked],
            pins=pins_at(scene, armature, frame, self._view.to_world),
        )

    def to(self, armature: bpy.types.Object, xy: np.ndarray) -> None:
        """Bring the joint to a pixel [2] of the render, at its depth, and the bones after it."""
        self._xy = xy
        depth = max(self._reach.depth + self.farther, _NEAREST)
        pose = self._reach.to(self._view.to_square(xy), depth)
        local = local_rotations(pose)[0]
        pelvis = joints_of_shape(self._rig.body, pose.betas[0])[0] + pose.transl[0]
        basis, location = bone_channels(self._rig, local, pelvis, self._view.to_world)
        for part in np.flatnonzero(self.parts).tolist():
            name = self._rig.bones[0 if part == _PLACE else part]
            if name is not None and part == _PLACE:
                armature.pose.bones[name].location = location[0]
            elif name is not None:
                write_rotation(armature.pose.bones[name], basis[part])
        mesh = mesh_of(armature)
        if mesh is not None:
            set_correctives(mesh, local)

    def end(self, context: bpy.types.Context, armature: bpy.types.Object) -> Dragged:
        """Let go of the joint where it is."""
        if self._xy is not None:
            for _ in range(_SETTLE):
                self.to(armature, self._xy)
        return Dragged(self.joint, self.parts, self.before, snapshot(context.scene, armature))


@dataclass(frozen=True, eq=False)
class Dragged:
    """A drag that is over: of which joint, which of PARTS [26] it moved, and the body before and after."""

    joint: str
    parts: np.ndarray
    before: Snapshot
    after: Snapshot

    def keep(self, context: bpy.types.Context, armature: bpy.types.Object) -> None:
        """Make it an edit by hand at the current frame, keyed if that is wanted."""
        scene = context.scene
        restore(self.before)
        record = begin_edit(armature, scene.frame_current_final)
        restore(self.after)
        if wants_keys(scene):
            _key(context, armature, self.parts)
        end_edit(armature, record, self.joint)


def _movers(joint: str) -> np.ndarray:
    """Which of PARTS [26] move a joint: its place, and the joints above it."""
    movers = np.zeros(len(PARTS), dtype=bool)
    movers[_PLACE] = True
    above = SMPL_PARENTS[SMPL_JOINT_NAMES.index(joint)]
    while above >= 0:
        movers[above] = True
        above = SMPL_PARENTS[above]
    return movers


def wants_keys(scene: bpy.types.Scene) -> bool:
    """Whether what is changed by hand is keyed: Blender's Auto Keying, or the panel's Insert Keyframe."""
    return scene.tool_settings.use_keyframe_insert_auto or scene.lsr1.settings.insert_key


def _key(context: bpy.types.Context, armature: bpy.types.Object, parts: np.ndarray) -> None:
    """Key ``parts`` [26] number by number as they stand, at the current frame alone."""
    scene, now = context.scene, context.scene.frame_current_final
    shown = snapshot(scene, armature)
    key_as_shown(armature, parts, now, row_frames(scene, frame_count(scene)), first=True)
    mesh = mesh_of(armature)
    if mesh is not None:
        key_shape(mesh, read_pose(armature), [now])
    # New keys make Blender read its curves again: what was never keyed must not get lost by that.
    context.view_layer.update()
    restore(shown)
