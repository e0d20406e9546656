"""Takes: a motion as an action of its own, what is doubtful in it, and which feet stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np

from ..lsr1_solver import FitError
from ..lsr1_solver.quality import ClipQuality
from .key_reduction import write_fewer
from .keyframes import Channel, curves_there, ensure_curves, hold_until, key_values
from .known import Known, known

# The points of the feet that may stand still, in the solver's order: properties of the armature.
CONTACTS = ("left_heel", "left_big_toe", "right_heel", "right_big_toe")
_CONTACT_GROUP = "Contacts"
# Blender's numbers for kinds of keys: those of a gap that was bridged are breakdowns.
_KEYFRAME, _BREAKDOWN = 0, 2
# Doubtful places that become markers.
_MOST_MARKED = 50


@dataclass(frozen=True)
class ActionBefore:
    """What animated a thing before a take did: the ``action``, and the number of the ``slot`` in it."""

    had_data: bool
    action: Known[bpy.types.Action] | None
    slot: int | None


def check_action_free(owner: bpy.types.ID) -> None:
    """FitError where Blender lets a thing be given no other action."""
    data = owner.animation_data
    if data is not None and data.use_tweak_mode:
        raise FitError(f"{owner.name} is in the NLA's tweak mode: leave it (Tab in the NLA editor) first")


def begin_take(owner: bpy.types.ID, name: str) -> tuple[bpy.types.Action, ActionBefore]:
    """Give a thing a new, empty action. FitError as ``check_action_free``."""
    check_action_free(owner)
    data = owner.animation_data
    old = data.action if data is not None else None
    slot = getattr(data, "action_slot", None)
    before = ActionBefore(data is not None, known(old) if old else None, slot.handle if slot else None)
    action = bpy.data.actions.new(name)
    (data or owner.animation_data_create()).action = action
    return action, before


def discard_take(owner: bpy.types.ID | None, action: bpy.types.Action | None, before: ActionBefore) -> None:
    """Take a new action away again, and bring back what animated the thing before, if there still is one."""
    data = owner.animation_data if owner is not None else None
    if owner is not None and data is not None:
        # In the NLA's tweak mode, gone to meanwhile, Blender changes no action.
        data.use_tweak_mode = False
        data.action = before.action.among(bpy.data.actions) if before.action else None
        if data.action is not None and hasattr(data.action, "slots"):
            # Blender may have chosen one where there was none.
            data.action_slot = next((s for s in data.action.slots if s.handle == before.slot), None)
        if not before.had_data:
            owner.animation_data_clear()
    if action is not None:
        bpy.data.actions.remove(action)


def keep_earlier_take(before: ActionBefore) -> None:
    """An action that nothing uses any more is saved with the file all the same."""
    action = before.action.among(bpy.data.actions) if before.action else None
    if action is not None and not action.users:
        action.use_fake_user = True


def clear_take(owner: bpy.types.ID) -> bpy.types.bpy_prop_collection:
    """The F-curves of the action that animates a thing, emptied."""
    curves = ensure_curves(owner, owner.name)
    curves.clear()
    return curves


def write_motion(
    curves: bpy.types.bpy_prop_collection,
    channels: Sequence[Channel],
    frames: np.ndarray,
    *,
    keyed: np.ndarray | None = None,
    bridged: np.ndarray | None = None,
    cuts: np.ndarray | None = None,
    interpolation: str = "BEZIER",
    error: float | None = None,
) -> int:
    """Write a motion's channels [B] at scene frames [B] into empty curves.

    ``keyed`` [B] rows that get keys (all); ``bridged`` [B] those that are marked as breakdowns; ``cuts`` [B]
    rows at which a new shot begins, to which nothing leads over; ``error`` degrees within which keys may be
    left out. What a channel holds gets its keys in any case. Returns the number of keys, all curves together.
    """
    wanted = np.ones(len(frames), dtype=bool) if keyed is None else keyed
    count = 0
    shots = frames[1:][cuts[1:]] if cuts is not None else frames[:0]
    for channel in channels:
        rows = np.flatnonzero(wanted if channel.held is None else wanted | channel.held)
        if error is None or len(rows) < 3:
            values = channel.values[rows]
            key_values(curves, channel.path, frames[rows], values, channel.group, interpolation)
            hold_until(curves, channel, shots)
            written = len(rows)
        else:
            written = write_fewer(curves, channel, frames, rows, shots, error, interpolation)
        count += written * channel.values.shape[1]
    if bridged is not None and (bridged & wanted).any():
        _mark(curves, frames[bridged])
    return count


def _mark(curves: bpy.types.bpy_prop_collection, frames: np.ndarray) -> None:
    """Keys at these scene frames are breakdowns."""
    for curve in curves:
        points = curve.keyframe_points
        places = np.empty(2 * len(points), dtype=np.float32)
        points.foreach_get("co", places)
        near = np.abs(places[::2, None] - frames.astype(np.float32)).min(axis=1) < 1e-3
        points.foreach_set("type", np.where(near, _BREAKDOWN, _KEYFRAME).astype(np.int32))


def write_contacts(curves: bpy.types.bpy_prop_collection, frames: np.ndarray, contacts: np.ndarray) -> None:
    """Key which feet stand [B, 4] at scene frames [B]: a key where it changes, held until the next."""
    for column, name in zip(contacts.T, CONTACTS, strict=True):
        changes = np.flatnonzero(np.concatenate([[True], column[1:] != column[:-1]]))
        values = column[changes, None].astype(float)
        path = f"lsr1_body.{name}"
        key_values(curves, path, frames[changes], values, _CONTACT_GROUP, "CONSTANT")


def read_contacts(armature: bpy.types.Object, frames: np.ndarray) -> np.ndarray | None:
    """Which feet stand [B, 4] at scene frames [B], as the take's curves say; None where it has none."""
    curves = curves_there(armature)
    if curves is None:
        return None
    found = [curves.find(f"lsr1_body.{name}", index=0) for name in CONTACTS]
    if any(curve is None for curve in found):
        return None
    # A key at a fraction of a frame is a float of 32 bits: a little later it holds for sure.
    times = (frames + 1e-3).tolist()
    return np.array([[curve.evaluate(time) > 0.5 for time in times] for curve in found]).T


def describe(action: bpy.types.Action, track: str, frames: np.ndarray, quality: ClipQuality) -> None:
    """Remember with a take how good it is at scene frames [B], and mark its worst ones."""
    take = action.lsr1_take
    take.track, take.shown = track, -1
    take["frames"], take["percent"] = frames, np.nan_to_num(quality.reprojection_percent, nan=-1.0)
    take["confidence"] = np.nan_to_num(quality.confidence)
    take["slide"] = np.nan_to_num(quality.slide_mm)
    take.bad.clear()
    for row in quality.worst().tolist():
        item = take.bad.add()
        item.name, item.frame = "; ".join(quality.reasons[row]), float(frames[row])
    for marker in list(action.pose_markers):
        action.pose_markers.remove(marker)
    for item in take.bad[:_MOST_MARKED]:
        action.pose_markers.new(item.name).frame = round(item.frame)


def figures_at(action: bpy.types.Action, frame: float) -> tuple[float, float, float] | None:
    """Reprojection in % (negative: nothing seen), confidence and foot slide in mm of a take's frame."""
    take = action.lsr1_take
    frames = np.array(take["frames"]) if "frames" in take else np.zeros(0)
    if not len(frames) or not frames[0] - 1 <= frame <= frames[-1] + 1:
        return None
    row = int(np.abs(frames - frame).argmin())
    return take["percent"][row], take["confidence"][row], take["slide"][row]
