"""How sure a body's depths are at a frame: found from the fit's energy, kept with the body."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import bpy
import numpy as np

from ..lsr1_solver import FitError, depth_uncertainty
from ..lsr1_solver.body_model import SMPL_JOINT_NAMES
from ..lsr1_solver.problem import SHAPE
from ..lsr1_solver.refine import LIMBS, refit_problem
from .bone_motion import is_keyed
from .holding import locked_parts
from .keypoint_store import frame_count
from .refining import scene_problem

_SAME_FRAME = 0.5


def note_depths(context: bpy.types.Context, armature: bpy.types.Object) -> None:
    """Find how sure the depths are at the current frame, and keep it with the body.

    What is locked or was changed by hand counts as sure. FitError where the frame has no keypoints.
    """
    scene, now = context.scene, context.scene.frame_current_final
    armature.lsr1_body.has_depths = False
    job = scene_problem(context, armature, now, now, around=0)
    row = int(np.abs(job.frames - now).argmin())
    problem, own = job.problem.frames([row]), job.frames[[row]]
    # A still's shape is a guess, too; that of a clip is known from all its frames.
    in_clip = frame_count(scene) > 1 and is_keyed(armature)
    keeps_shape = in_clip or scene.lsr1.settings.keep_shape or not armature.lsr1_body.is_ours
    problem = replace(problem, frame_rate=None, fixed=frozenset({SHAPE}) if keeps_shape else frozenset())
    problem = refit_problem(problem, job.edited[[row]] | locked_parts(armature, own))
    body = armature.lsr1_body
    body.depths = depth_uncertainty(problem, job.start.frames([row]))[0].tolist()
    body.depths_frame, body.has_depths = now, True


def renew_depths(context: bpy.types.Context, armature: bpy.types.Object) -> None:
    """After a fit: as ``note_depths``, and nothing is known where it can't be."""
    with suppress(FitError):
        note_depths(context, armature)


def depths_at(scene: bpy.types.Scene, armature: bpy.types.Object) -> np.ndarray | None:
    """One standard deviation of each joint's depth about the pelvis' at the current frame, metres.

    -> [24]; None where it was not found for this frame.
    """
    body = armature.lsr1_body
    if not body.has_depths:
        return None
    elsewhere = abs(body.depths_frame - scene.frame_current_final) > _SAME_FRAME
    return None if elsewhere and is_keyed(armature) else np.array(body.depths)


def worst_limbs(sigma: np.ndarray, count: int = 3) -> list[tuple[str, str, float]]:
    """The limbs whose depths [24] are least sure: the limb, its least sure joint, and how sure that is."""
    found = []
    for limb, joints in LIMBS.items():
        own = [SMPL_JOINT_NAMES.index(joint) for joint in joints]
        worst = max(own, key=lambda j: sigma[j])
        found.append((limb, SMPL_JOINT_NAMES[worst], float(sigma[worst])))
    return sorted(found, key=lambda limb: -limb[2])[:count]
