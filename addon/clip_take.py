"""A clip's take while it is fitted: shown on the way, then accepted, or taken away again."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import bpy
import numpy as np

from ..lsr1_solver import FitError, FitState
from ..lsr1_solver.quality import ClipQuality
from ..lsr1_solver.report import state_quality
from .body import (
    add_body,
    body_parts,
    check_bones_free,
    mesh_of,
    remove_body,
    set_shape,
    show_betas,
    show_pose,
    shown_betas,
)
from .body_mesh import corrective_name
from .bone_motion import read_bones, remember
from .camera_path import carried_places
from .clips import clip_fit
from .fits import Snapshot, restore, snapshot
from .keyframes import key_shape, motion_channels
from .known import Known, known
from .properties import preferred_model_file
from .rig import rig_of, target
from .takes import (
    CONTACTS,
    ActionBefore,
    begin_take,
    clear_take,
    describe,
    discard_take,
    keep_earlier_take,
    write_contacts,
    write_motion,
)
from .timing import clip_rate, go_to_frame, nearest_row, set_scene_rate


@dataclass(frozen=True)
class _Action:
    """An action that the take gave to the body or its shape keys, and what animated these before."""

    owner: Known
    action: Known
    before: ActionBefore


class TakeInProgress:
    """A track's take while it is fitted: shown on the way, then accepted, or taken away again."""

    def __init__(self, context: bpy.types.Context, track: int, *, keep_contacts: bool) -> None:
        """Remember how things are, and give the track's body, which may be a new one, a new action.

        FitError as ``clip_fit``; nothing has changed then.
        """
        self._scene = known(context.scene)
        active = context.view_layer.objects.active
        self._active = known(active) if active else None
        self._selected = [known(thing) for thing in context.selected_objects]
        armature, is_new = _body_for(context, track)
        # What was made for this take and goes with it; nothing where the body was there before.
        self._made = body_parts(armature) if is_new else ()
        self._track, self._shape_before = track, shown_betas(armature)
        # Curves leave in a property what they last said.
        self._stood = {name: getattr(armature.lsr1_body, name) for name in CONTACTS}
        self._actions: list[_Action] = []
        before = self._assign(context.scene, armature)
        self._body_before = known(before) if before else None
        self._before: Snapshot = snapshot(context.scene, armature)
        self._armature = known(armature)
        try:
            self.job = clip_fit(context, armature, track, keep_contacts=keep_contacts)
            if not self.job.keep_shape:
                check_bones_free(armature)
            self._begin(armature, self.job.name)
            # Without the action that is replaced by now.
            carried = carried_places(context.scene, armature, self.job.frames)
            self.job = replace(self.job, path=replace(self.job.path, carried=carried))
        except FitError:
            self.discard(context)
            raise

    def show(self, context: bpy.types.Context, state: FitState) -> None:
        """Key all frames as far as they have come; the rest bones stay."""
        armature = self._object(context)
        betas = np.asarray(state.pose.betas)[0]
        stands = np.array(armature.lsr1_body.betas)[: len(betas)]
        preview = armature.lsr1_body.is_ours and not np.allclose(betas, stands, atol=1e-5)
        context.scene.lsr1.result.is_preview = True
        show_betas(armature, betas)
        to_world = self.job.path.on(armature)
        channels = motion_channels(armature, state.pose, to_world, betas if preview else None)
        write_motion(clear_take(armature), self.job.locked.keep(armature, channels), self.job.frames)

    def accept(self, context: bpy.types.Context, state: FitState) -> ClipQuality:
        """Key the motion as the panel says, and remember what is doubtful in it."""
        scene, clip, job = context.scene, context.scene.lsr1.clip, self.job
        armature = self._object(context)
        scene.lsr1.result.is_preview = False
        if not job.keep_shape:
            set_shape(context, armature, np.asarray(state.pose.betas)[0])
        to_world = job.path.on(armature)
        row = nearest_row(job.frames, scene.frame_current_final) or 0
        show_pose(armature, state.pose, frame=row, to_world=to_world[row] if to_world.ndim == 3 else to_world)
        curves, fitted = clear_take(armature), state.fitted
        write_motion(
            curves,
            job.locked.keep(armature, motion_channels(armature, state.pose, to_world)),
            job.frames,
            keyed=fitted if clip.gaps == "NO_KEYS" else None,
            bridged=~fitted,
            cuts=None if state.clip is None else state.clip.cuts,
            interpolation=clip.interpolation,
            error=clip.error if clip.reduce else None,
        )
        job.locked.key_between(armature)
        quality = state_quality(state)
        if state.clip is not None:
            write_contacts(curves, job.frames, state.clip.contacts)
        describe(armature.animation_data.action, job.name, job.frames, quality)
        remember(armature, job.frames, read_bones(armature, job.frames))
        mesh = mesh_of(armature)
        keys = mesh.data.shape_keys if mesh is not None else None
        if keys is not None and corrective_name(0) in keys.key_blocks:
            self._begin(keys, f"{job.name} Shape")
            key_shape(mesh, state.pose, job.frames.tolist())
        go_to_frame(scene, scene.frame_current_final)
        return quality

    def in_words(self, state: FitState, quality: ClipQuality) -> str:
        """What came of it, a line for the user."""
        bridged = int((~state.fitted).sum())
        gaps = f", {bridged} without keypoints" if bridged else ""
        percent = float(np.nanmean(quality.reprojection_percent))
        return (
            f"{self.job.name}: {len(self.job.frames)} frames{gaps}, {percent:.2f} % of the height, "
            f"{len(quality.worst())} places to look at"
        )

    def close(self, context: bpy.types.Context) -> None:
        """The take stays, and so do earlier ones."""
        scene = context.scene
        for own in self._actions:
            keep_earlier_take(own.before)
        if scene.lsr1.clip.set_rate and scene.lsr1.keypoints.keys_at == "FRAMES":
            set_scene_rate(scene, clip_rate(scene) * scene.lsr1.keypoints.step)

    def discard(self, context: bpy.types.Context) -> None:
        """Bring everything back; of what was deleted meanwhile, what is left.

        The context's scene is the take's, or another where that was deleted.
        """
        scene = self._scene.among(bpy.data.scenes)
        if scene is not None:
            scene.lsr1.result.is_preview = False
            self._assign(scene, self._body_before.among(bpy.data.objects) if self._body_before else None)
        for own in reversed(self._actions):
            owner = own.owner.among([*bpy.data.objects, *bpy.data.shape_keys])
            discard_take(owner, own.action.among(bpy.data.actions), own.before)
        if self._made:
            remove_body(self._made)
            if scene is not None:
                self._select_as_before(context)
            return
        armature = self._armature.among(bpy.data.objects)
        if armature is not None:
            # Its bones may be others by now.
            with suppress(FitError):
                set_shape(context, armature, self._shape_before)
            for name, stands in self._stood.items():
                setattr(armature.lsr1_body, name, stands)
        # The action that moves the body again moves it now, not after the unkeyed pose was given back.
        context.view_layer.update()
        restore(self._before)

    def _select_as_before(self, context: bpy.types.Context) -> None:
        things = context.view_layer.objects
        things.active = self._active.among(things) if self._active else None
        for was in self._selected:
            thing = was.among(things)
            if thing is not None:
                thing.select_set(True)

    def _assign(self, scene: bpy.types.Scene, body: bpy.types.Object | None) -> bpy.types.Object | None:
        """Give the track a body; the one that it had is returned."""
        people = scene.lsr1.keypoints.people
        if self._track >= len(people):
            return None
        before, people[self._track].body = people[self._track].body, body
        return before

    def _begin(self, owner: bpy.types.ID, name: str) -> None:
        action, before = begin_take(owner, name)
        self._actions.append(_Action(known(owner), known(action), before))

    def _object(self, context: bpy.types.Context) -> bpy.types.Object:
        armature = self._armature.among(context.scene.objects)
        if armature is None:
            raise FitError(f"{self._armature.name} is gone: it was deleted while it was fitted")
        return armature


def _body_for(context: bpy.types.Context, track: int) -> tuple[bpy.types.Object, bool]:
    """The body of a track, and whether it was made for it: its own, the one that is meant, or a new one."""
    scene = context.scene
    people = scene.lsr1.keypoints.people
    own = people[track].body if track < len(people) else None
    if own is not None and own.name in scene.objects:
        rig_of(own)
        _check_not_linked(own)
        return own, False
    found = target(context)
    if found is not None and all(person.body != found for person in people):
        _check_not_linked(found)
        return found, False
    return add_body(context, preferred_model_file(context)), True


def _check_not_linked(armature: bpy.types.Object) -> None:
    if armature.library is not None:
        raise FitError(f"{armature.name} is linked: make a library override of it first")
