"""A fit in Blender: from the scene to a problem, from its states to bones, and back to how things were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import bpy
import numpy as np

from ..lsr1_solver import (
    MINIMIZERS,
    SMPL_JOINT_NAMES,
    BodyPose,
    FitError,
    FitProblem,
    FitState,
    Keypoints2D,
    fit,
)
from .armature import read_pose
from .body import mesh_of, set_shape, show_pose, shown_betas
from .bone_motion import check_plays_in_scene, read_bones, remember
from .footage import View, render_size, scene_view
from .holding import pins_at
from .keyframes import insert_channels, key_shape, motion_channels
from .keypoint_store import keypoints_at
from .known import Known, known
from .locked import LockedBones, locked_bones
from .rig import rig_of
from .timing import go_to_frame

# Pictures whose proportions differ by less show the same view: rounding of odd sizes.
_SAME_PROPORTIONS = 0.01
_ROOT = frozenset({SMPL_JOINT_NAMES[0], "transl"})
_SHAPE = frozenset({"betas"})


@dataclass(frozen=True, eq=False)
class SceneFit:
    """A problem from the scene, and what its answer needs to be shown.

    Objects may be freed between two ticks: of the ``armature`` there is what finds it again. ``frame`` is the
    scene's, ``start`` the pose that the body had, ``locked`` what of it stays.
    """

    armature: Known[bpy.types.Object]
    frame: float
    view: View
    problem: FitProblem
    start: BodyPose
    locked: LockedBones
    minimizer: str
    steps: int
    keep_shape: bool
    keep_root: bool
    start_here: bool

    def states(self) -> Iterator[FitState]:
        """The fit, step by step."""
        minimizer = MINIMIZERS[self.minimizer]
        fixed = (_SHAPE if self.keep_shape else frozenset()) | (_ROOT if self.keep_root else frozenset())
        problem = replace(self.problem, fixed=fixed, held=self.locked.held)
        holds = bool(np.isfinite(problem.firmness).any())
        start, first = self.start, 0
        if not (self.start_here or self.keep_root):
            state: FitState | None = None
            for state in fit(self.problem, minimizer, max_iterations=0 if holds else self.steps):
                yield state
            if state is None or not holds:
                return
            # The search over directions says where to begin; what is held is then as it was.
            start = self.locked.into(problem.body, state.pose, keep_shape=self.keep_shape)
            first = state.iteration
        for state in fit(problem, minimizer, initial=start, max_iterations=self.steps):
            yield replace(state, iteration=state.iteration + first)


def square_keypoints(view: View, keypoints: Keypoints2D) -> Keypoints2D:
    """Keypoints of the picture in the solver's square pixels."""
    return replace(keypoints, xy=view.to_square(keypoints.xy), image_size=view.camera.image_size)


def picture_view(context: bpy.types.Context) -> View:
    """The scene's camera for the picture of the keypoints. FitError where their proportions differ."""
    scene = context.scene
    size, rendered = tuple(scene.lsr1.keypoints.size), render_size(scene)
    aspect = scene.render.pixel_aspect_y / scene.render.pixel_aspect_x
    own, frame = size[0] / size[1], rendered[0] / rendered[1]
    if abs(own / frame - 1) > _SAME_PROPORTIONS and abs(own / frame * aspect - 1) > _SAME_PROPORTIONS:
        raise FitError(
            f"The keypoints are of a picture of {size[0]} x {size[1]}, the render is {rendered[0]} x "
            f"{rendered[1]}: press Use Keypoints' Size, or correct the picture size in the panel"
        )
    return scene_view(scene, context.evaluated_depsgraph_get(), size)


def scene_fit(context: bpy.types.Context, armature: bpy.types.Object) -> SceneFit:
    """The fit that the scene's keypoints, camera and settings describe, at the current frame.

    FitError where something is missing: keypoints, a camera, six usable points, the right picture size; and
    as ``check_plays_in_scene``.
    """
    scene, settings = context.scene, context.scene.lsr1.settings
    check_plays_in_scene(armature)
    keypoints = keypoints_at(scene, scene.frame_current_final)
    view = picture_view(context)
    rig = rig_of(armature)
    frame, to_world = np.array([scene.frame_current_final]), np.array(view.to_world)
    pins = pins_at(scene, armature, frame, to_world)
    problem = FitProblem(rig.body, view.camera, square_keypoints(view, keypoints), pins=pins)
    start = read_pose(armature, betas=shown_betas(armature), to_world=view.to_world)
    locked = locked_bones(armature, frame, frame[0], to_world)
    return SceneFit(
        known(armature),
        frame[0],
        view,
        problem,
        start,
        locked,
        settings.minimizer,
        settings.steps,
        settings.keep_shape or not armature.lsr1_body.is_ours,
        settings.keep_root,
        settings.start_here,
    )


def unseen_hips(problem: FitProblem) -> bool:
    """Whether no hip is among the points: legs and distance are then guessed."""
    names = problem.keypoints.format.joints
    hips = [k for k, name in enumerate(names) if name and ("hip" in name or name == "pelvis")]
    return not (problem.keypoints.confidence[0, hips] > 0).any()


def fitted_body(scene: bpy.types.Scene, job: SceneFit) -> bpy.types.Object:
    """The armature that is fitted. FitError where it was deleted meanwhile."""
    return job.armature.still_in(scene)


def show_state(context: bpy.types.Context, job: SceneFit, state: FitState) -> None:
    """Put a state on the bones and its figures in the panel."""
    armature, result = fitted_body(context.scene, job), context.scene.lsr1.result
    result.is_preview = True
    show_pose(armature, state.pose, to_world=job.view.to_world)
    job.locked.show(armature)
    result.iteration = state.iteration
    result.pixels = float(np.nanmean(_picture_error(job, state)))
    result.percent = state.reprojection_percent


def _picture_error(job: SceneFit, state: FitState) -> np.ndarray:
    """Distances [K] from keypoints to reprojections in the picture's pixels, NaN where there are none."""
    keypoints = job.problem.keypoints
    difference = job.view.to_picture(state.reprojected[0] - keypoints.xy[0])
    return np.where(keypoints.confidence[0] > 0, np.linalg.norm(difference, axis=-1), np.nan)


def accept(context: bpy.types.Context, job: SceneFit, state: FitState) -> str:
    """Make a state the body's pose and shape, key it if asked, and report. Returns a line for the user."""
    scene = context.scene
    armature = fitted_body(scene, job)
    scene.lsr1.result.is_preview = False
    set_shape(context, armature, np.asarray(state.pose.betas)[0])
    show_pose(armature, state.pose, to_world=job.view.to_world)
    job.locked.show(armature)
    frame = np.array([scene.frame_current_final])
    if scene.lsr1.settings.insert_key:
        channels = motion_channels(armature, state.pose, job.view.to_world)
        insert_channels(armature, job.locked.keep(armature, channels), frame)
        mesh = mesh_of(armature)
        if mesh is not None:
            key_shape(mesh, state.pose, frame.tolist())
    remember(armature, frame, read_bones(armature, frame, frame[0]))
    note_figures(scene, job, state)
    result = scene.lsr1.result
    return (
        f"{state.status.value.capitalize()} after {state.iteration} steps: "
        f"{result.pixels:.1f} px, {result.percent:.2f} % of the height"
    )


def note_figures(scene: bpy.types.Scene, job: SceneFit, state: FitState) -> None:
    """The figures of a state, those of each joint too, for the panel."""
    result, errors = scene.lsr1.result, _picture_error(job, state)
    result.joints.clear()
    for k in sorted(np.flatnonzero(np.isfinite(errors)), key=lambda k: -errors[k]):
        joint = result.joints.add()
        joint.name, joint.index = job.problem.keypoints.format.names[k], int(k)
        joint.pixels = float(errors[k])
    result.iteration, result.percent = state.iteration, state.reprojection_percent
    result.pixels = float(np.nanmean(errors))
    result.camera = f"{job.view.camera.source}, {job.view.camera.focal_length:.0f} px"
    result.words = state.status.value


@dataclass(frozen=True)
class Snapshot:
    """A body as it was at a ``frame``: bones' channels, shape keys of its mesh and the panel's figures."""

    scene: Known[bpy.types.Scene]
    armature: Known[bpy.types.Object]
    mesh: Known[bpy.types.Object] | None
    frame: float
    bones: dict[str, tuple[tuple[float, ...], ...]]
    keys: dict[str, float]
    figures: dict[str, object]
    joints: tuple[dict[str, object], ...]


_FIGURES = ("iteration", "pixels", "percent", "camera", "words", "is_preview")
_OF_JOINT = ("name", "index", "pixels")
_CHANNELS = ("location", "rotation_quaternion", "rotation_euler", "rotation_axis_angle", "scale")


def snapshot(scene: bpy.types.Scene, armature: bpy.types.Object) -> Snapshot:
    """What ``restore`` brings back."""
    bones = {b.name: tuple(tuple(getattr(b, c)) for c in _CHANNELS) for b in armature.pose.bones}
    mesh = mesh_of(armature)
    keys = mesh.data.shape_keys.key_blocks if mesh and mesh.data.shape_keys else ()
    result = scene.lsr1.result
    figures = {name: getattr(result, name) for name in _FIGURES}
    joints = tuple({name: getattr(joint, name) for name in _OF_JOINT} for joint in result.joints)
    values = {key.name: key.value for key in keys}
    skin, now = known(mesh) if mesh else None, scene.frame_current_final
    return Snapshot(known(scene), known(armature), skin, now, bones, values, figures, joints)


def restore(before: Snapshot) -> None:
    """Bring a body back to how it was, number by number; of what was deleted meanwhile, what is left."""
    armature = before.armature.among(bpy.data.objects)
    bones = armature.pose.bones if armature else {}
    for name, values in before.bones.items():
        bone = bones.get(name)
        if bone is not None:
            for channel, value in zip(_CHANNELS, values, strict=True):
                setattr(bone, channel, value)
    mesh = before.mesh.among(bpy.data.objects) if before.mesh else None
    keys = mesh.data.shape_keys.key_blocks if mesh and mesh.data.shape_keys else {}
    for name, value in before.keys.items():
        if name in keys:
            keys[name].value = value
    scene = before.scene.among(bpy.data.scenes)
    if scene is None:
        return
    result = scene.lsr1.result
    for name, value in before.figures.items():
        setattr(result, name, value)
    result.joints.clear()
    for values in before.joints:
        joint = result.joints.add()
        for name, value in values.items():
            setattr(joint, name, value)
    if scene.frame_current_final != before.frame:
        # Elsewhere what is keyed stands as its keys say.
        go_to_frame(scene, scene.frame_current_final)
