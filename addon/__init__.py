"""The add-on: Blender's face on the solver."""

import bpy

from . import (
    clip_panel,
    clip_properties,
    interrupted,
    motion_panel,
    overlay,
    panels,
    people_list,
    properties,
    refine_panel,
    refine_properties,
    shape_follower,
    unkeyed_pose,
)
from .operators import body as body_buttons
from .operators import (
    clip,
    detect,
    detect_box,
    fit,
    keypoints,
    motion,
    picture,
    place,
    reach,
    refine,
    solutions,
    transfer,
)
from .operators import tracks as track_buttons

CLASSES = (
    refine_properties.LSR1_PG_lock,
    refine_properties.LSR1_PG_pin,
    refine_properties.LSR1_PG_solutions,
    refine_properties.LSR1_PG_refine,
    properties.LSR1_PG_body,
    properties.LSR1_PG_person,
    properties.LSR1_PG_keypoints,
    properties.LSR1_PG_joint,
    properties.LSR1_PG_result,
    properties.LSR1_PG_joint_bone,
    properties.LSR1_PG_copy,
    clip_properties.LSR1_PG_bad_frame,
    clip_properties.LSR1_PG_take,
    clip_properties.LSR1_PG_clip,
    properties.LSR1_PG_detection,
    properties.LSR1_PG_settings,
    properties.LSR1_PG_scene,
    properties.LSR1_AP_preferences,
    body_buttons.LSR1_OT_add_body,
    body_buttons.LSR1_OT_joints_to_shape,
    body_buttons.LSR1_OT_stand_on_floor,
    picture.LSR1_OT_open_picture,
    picture.LSR1_OT_use_keypoints_size,
    keypoints.LSR1_OT_import_keypoints,
    keypoints.LSR1_OT_choose_person,
    keypoints.LSR1_OT_scale_keypoints,
    keypoints.LSR1_OT_swap_sides,
    keypoints.LSR1_OT_clear_keypoints,
    keypoints.LSR1_OT_select_keypoint,
    place.LSR1_OT_place_keypoints,
    detect.LSR1_OT_detect_keypoints,
    detect_box.LSR1_OT_detect_in_box,
    fit.LSR1_OT_fit_pose,
    fit.LSR1_OT_cancel_fit,
    clip.LSR1_OT_fit_clip,
    clip.LSR1_OT_next_bad_frame,
    track_buttons.LSR1_OT_cut_track,
    track_buttons.LSR1_OT_merge_tracks,
    track_buttons.LSR1_OT_import_timings,
    refine.LSR1_OT_refit,
    refine.LSR1_OT_lock_bones,
    refine.LSR1_OT_unlock_bones,
    refine.LSR1_OT_pin_joint,
    refine.LSR1_OT_unpin_joint,
    solutions.LSR1_OT_flip_limb,
    solutions.LSR1_OT_other_solutions,
    reach.LSR1_OT_reach,
    reach.LSR1_OT_find_depths,
    transfer.LSR1_OT_guess_bones,
    transfer.LSR1_OT_copy_motion,
    transfer.LSR1_OT_follow_live,
    transfer.LSR1_OT_stop_live,
    motion.LSR1_OT_import_motion,
    motion.LSR1_OT_export_amass,
    motion.LSR1_OT_export_bvh,
    motion.LSR1_OT_export_fbx,
    motion.LSR1_OT_export_gltf,
    people_list.LSR1_UL_people,
    people_list.LSR1_UL_tracks,
    panels.LSR1_PT_main,
    panels.LSR1_PT_keypoints,
    panels.LSR1_PT_fit,
    clip_panel.LSR1_PT_clip,
    clip_panel.LSR1_PT_clip_frames,
    clip_panel.LSR1_PT_clip_tracks,
    clip_panel.LSR1_PT_clip_options,
    refine_panel.LSR1_PT_refine,
    panels.LSR1_PT_shape,
    panels.LSR1_UL_joint_bones,
    panels.LSR1_PT_copy,
    motion_panel.LSR1_PT_in_out,
)
POINTERS = (
    (bpy.types.Object, "lsr1_body", properties.LSR1_PG_body),
    (bpy.types.Object, "lsr1_copy", properties.LSR1_PG_copy),
    (bpy.types.Scene, "lsr1", properties.LSR1_PG_scene),
    (bpy.types.Action, "lsr1_take", clip_properties.LSR1_PG_take),
)


def register() -> None:
    """Tell Blender of every class, in order, and hang the settings on scenes and objects."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    for owner, name, group in POINTERS:
        setattr(owner, name, bpy.props.PointerProperty(type=group, override={"LIBRARY_OVERRIDABLE"}))
    shape_follower.register()
    unkeyed_pose.register()
    interrupted.register()
    overlay.register()


def unregister() -> None:
    """The mirror of ``register``."""
    overlay.unregister()
    interrupted.unregister()
    unkeyed_pose.unregister()
    shape_follower.unregister()
    for owner, name, _ in reversed(POINTERS):
        delattr(owner, name)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
