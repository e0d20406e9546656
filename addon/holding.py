"""Locks and pins of a body: what fits leave as it is, and where joints are drawn to, frame by frame."""

from __future__ import annotations

from collections.abc import Collection

import bpy
import numpy as np
from mathutils import Matrix

from ..lsr1_solver import SMPL_JOINT_NAMES, FitError, rest_joints
from ..lsr1_solver.pins import Pins
from ..lsr1_solver.problem import PARTS, PLACE
from ..lsr1_solver.refine import LIMBS
from .body import shown_betas
from .body_files import soles
from .camera_path import carried_places
from .rig import Rig, rig_of
from .timing import rows_between

_SAME_FRAME = 1e-3
_ROOT = SMPL_JOINT_NAMES[0]
# Joints that have the sole below them: on the floor they are as high as at rest.
_FEET = ("left_ankle", "right_ankle", "left_foot", "right_foot")


def selected_joints(armature: bpy.types.Object) -> list[str]:
    """SMPL's names of the selected bones; in Object Mode too, where Blender remembers them."""
    rig = rig_of(armature)
    chosen = {bone.name for bone in armature.pose.bones if _is_selected(bone)}
    return [joint for joint, name in zip(SMPL_JOINT_NAMES, rig.bones, strict=True) if name in chosen]


def _is_selected(bone: bpy.types.PoseBone) -> bool:
    """Blender 5.0 moved the switch from the bone to its pose."""
    return bone.select if hasattr(bone, "select") else bone.bone.select


def active_joint(armature: bpy.types.Object) -> str | None:
    """SMPL's name of the active bone, or None."""
    active = armature.data.bones.active
    rig = rig_of(armature)
    return SMPL_JOINT_NAMES[rig.bones.index(active.name)] if active and active.name in rig.bones else None


def parts_of(joints: Collection[str]) -> list[str]:
    """The parts that stand for joints: the root is turned and has a place."""
    return [*joints, *([PLACE] if _ROOT in joints else [])]


def limbs_of(joints: Collection[str]) -> list[str]:
    """All joints of the limbs that have one of these."""
    return [joint for limb in LIMBS.values() if set(limb) & set(joints) for joint in limb]


def parts_in_words(parts: Collection[str]) -> list[str]:
    """Names for the eye: whole limbs first, the root, and what is left."""
    left, words = list(dict.fromkeys(parts)), []
    for name, joints in {**LIMBS, "root": (_ROOT, PLACE)}.items():
        if set(joints) <= set(left):
            words.append(name)
            left = [part for part in left if part not in joints]
    left = ["place" if part == PLACE else part for part in left]
    return [word.replace("_", " ") for word in (*words, *left)]


def lock(armature: bpy.types.Object, parts: Collection[str], first: float, last: float) -> None:
    """Lock parts from one scene frame to another; locks that touch become one."""
    locks = armature.lsr1_body.locks
    for part in parts:
        low, high = first, last
        for index in reversed(range(len(locks))):
            held = locks[index]
            if _holds(held) and held.name == part and held.first <= high + 1 and held.last >= low - 1:
                low, high = min(low, held.first), max(high, held.last)
                _remove(locks, index)
        item = locks.add()
        item.name, item.first, item.last = part, low, high


def unlock(armature: bpy.types.Object, parts: Collection[str], first: float, last: float) -> int:
    """Free parts from one scene frame to another; what lies outside stays locked. -> how many were locked."""
    locks = armature.lsr1_body.locks
    found = _reaching(locks, parts, first, last)
    for index in reversed(found):
        name, low, high = locks[index].name, locks[index].first, locks[index].last
        _remove(locks, index)
        for begin, end in ((low, first - 1), (last + 1, high)):
            if begin <= end:
                item = locks.add()
                item.name, item.first, item.last = name, begin, end
    return len(found)


def holding(items: bpy.types.bpy_prop_collection) -> list[bpy.types.PropertyGroup]:
    """The locks or pins that there are; some of an override may have been taken away."""
    return [held for held in items if _holds(held)]


def _holds(held: bpy.types.PropertyGroup) -> bool:
    return held.first <= held.last


def _remove(items: bpy.types.bpy_prop_collection, index: int) -> None:
    """Take away a lock or a pin. One that an override has from its file can't go: it then holds nowhere."""
    try:
        items.remove(index)
    except TypeError:
        items[index].first, items[index].last = 1.0, 0.0


def _reaching(
    items: bpy.types.bpy_prop_collection, names: Collection[str], first: float, last: float
) -> list[int]:
    """The locks or pins of these names that reach into these scene frames, by index."""
    return [
        index
        for index, held in enumerate(items)
        if _holds(held)
        and held.name in names
        and held.first <= last + _SAME_FRAME
        and held.last >= first - _SAME_FRAME
    ]


def locked_parts(armature: bpy.types.Object, frames: np.ndarray) -> np.ndarray:
    """Which of PARTS are locked at scene frames [B]. -> [B, 26]."""
    locked = np.zeros((len(frames), len(PARTS)), dtype=bool)
    for held in holding(armature.lsr1_body.locks):
        locked[rows_between(frames, held.first, held.last), PARTS.index(held.name)] = True
    return locked


def pin(
    context: bpy.types.Context,
    armature: bpy.types.Object,
    joint: str,
    kind: str,
    first: float,
    last: float,
) -> None:
    """Pin a joint; its pins at the same frames are replaced. FitError where no object is selected."""
    thing, place = None, np.array(context.scene.cursor.location)
    if kind == "OBJECT":
        others = [o for o in context.selected_objects if o not in {armature, *armature.children}]
        if len(others) != 1:
            raise FitError("Select one object beside the body (Shift-click it): the joint is pinned to it")
        thing = others[0]
    elif kind == "FLOOR":
        rig = rig_of(armature)
        place = np.array(armature.matrix_world @ armature.pose.bones[bone_of(rig, joint)].head)
        place[2] = _height(armature, rig, joint) if joint in _FEET else 0.0
    unpin(armature, [joint], first, last)
    item = armature.lsr1_body.pins.add()
    item.name, item.first, item.last = joint, first, last
    item.thing, item.place = thing, place


def bone_of(rig: Rig, joint: str) -> str:
    """The bone that stands for a joint. FitError where the rig has none."""
    name = rig.bones[SMPL_JOINT_NAMES.index(joint)]
    if name is None:
        raise FitError(f"This rig has no bone for {joint}")
    return name


def _height(armature: bpy.types.Object, rig: Rig, joint: str) -> float:
    """Of a joint above the sole at rest, in the world's units."""
    betas = shown_betas(armature)[: rig.body.shape_count]
    heights = rest_joints(rig.body, betas[None])[0, :, 1] + soles(rig.body, betas)
    return float(heights[SMPL_JOINT_NAMES.index(joint)] * rig.scale)


def unpin(armature: bpy.types.Object, joints: Collection[str], first: float, last: float) -> int:
    """Take away the pins of joints that reach into these scene frames. -> how many there were."""
    pins = armature.lsr1_body.pins
    found = _reaching(pins, joints, first, last)
    for index in reversed(found):
        _remove(pins, index)
    return len(found)


def pins_at(
    scene: bpy.types.Scene, armature: bpy.types.Object, frames: np.ndarray, to_world: Matrix | np.ndarray
) -> Pins | None:
    """A body's pins at scene frames [B] as the solver wants them; ``to_world`` [4, 4] or [B, 4, 4] the
    camera's places. None where there are none.
    """
    target = np.full((len(frames), len(SMPL_JOINT_NAMES), 3), np.nan)
    sigma = np.ones(target.shape[:2])
    scale = rig_of(armature).scale
    camera = np.broadcast_to(np.array(to_world, dtype=float), (len(frames), 4, 4)).copy()
    camera[:, :3, :3] /= np.linalg.norm(camera[:, :3, :3], axis=1, keepdims=True)
    for held in holding(armature.lsr1_body.pins):
        rows = np.flatnonzero(rows_between(frames, held.first, held.last))
        if not len(rows):
            continue
        places = np.tile(np.array(held.place), (len(rows), 1))
        if held.thing is not None:
            places = _places(scene, held.thing, frames[rows])
        joint = SMPL_JOINT_NAMES.index(held.name)
        inside = np.swapaxes(camera[rows, :3, :3], 1, 2) @ (places - camera[rows, :3, 3])[..., None]
        target[rows, joint], sigma[rows, joint] = inside[..., 0] / scale, held.sigma / scale
    return Pins(target, sigma) if np.isfinite(target).any() else None


def _places(scene: bpy.types.Scene, thing: bpy.types.Object, frames: np.ndarray) -> np.ndarray:
    """An object's origin in the world at scene frames [B]. -> [B, 3]."""
    carried = carried_places(scene, thing, frames)
    here = np.array(thing.matrix_world)[None]
    return np.broadcast_to(here if carried is None else carried, (len(frames), 4, 4))[:, :3, 3]
