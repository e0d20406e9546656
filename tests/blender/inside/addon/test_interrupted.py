"""Runs and tools that end in the middle: by Esc, by a fault, by an undo step that was noted meanwhile, or for
their frame was left. Nothing says that they still run; what they made is gone, or kept where that is asked.
"""

from collections.abc import Callable
from types import ModuleType

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon.clip_take import TakeInProgress
from lsr1_body_fit.addon.footage import render_size, scene_view
from lsr1_body_fit.addon.keypoint_store import points_at
from lsr1_body_fit.addon.operators.clip import LSR1_OT_fit_clip
from lsr1_body_fit.addon.operators.fit import LSR1_OT_fit_pose
from lsr1_body_fit.addon.operators.modal import InSlices
from lsr1_body_fit.addon.operators.over_picture import OverPicture
from lsr1_body_fit.addon.operators.place import LSR1_OT_place_keypoints
from lsr1_body_fit.addon.operators.reach import LSR1_OT_reach
from lsr1_body_fit.addon.operators.refine import LSR1_OT_refit
from lsr1_body_fit.addon.operators.solutions import LSR1_OT_flip_limb, LSR1_OT_other_solutions
from lsr1_body_fit.addon.reprojection import joints_seen
from lsr1_body_fit.addon.rig import target
from lsr1_body_fit.lsr1_solver import SMPL_JOINT_NAMES

from tests.blender.inside.addon.keyed import insert_keyframes, tweaked
from tests.blender.inside.addon.test_clip import clips_pose, fit_clip, key_frames, scene_of_walk
from tests.blender.inside.addon.test_deleted import all_there, nothing_runs
from tests.blender.inside.addon.test_operators import channels
from tests.blender.inside.addon.test_operators import scene_of_walk as body_of_walk
from tests.blender.inside.addon.test_over_picture import Tool, all_points
from tests.blender.inside.addon.ticks import Ticking

pytestmark = pytest.mark.usefixtures("camera_view")


class FaultError(Exception):
    """What nobody expects."""


def fails(*_: object, **__: object) -> None:
    raise FaultError


def two_tracks() -> bpy.types.Scene:
    scene = scene_of_walk(12)
    for person in scene.lsr1.keypoints.people:
        person.use = True
    assert len(scene.lsr1.keypoints.people) == 2
    return scene


def until_track(run: Ticking, number: int) -> None:
    """The tick at which a track has begun, and nothing is known of it yet."""
    people = bpy.context.scene.lsr1.keypoints.people
    while people[number].body is None:
        assert run.tick() == "RUNNING_MODAL"


def test_esc_at_the_beginning_of_a_track_keeps_those_before_it() -> None:
    scene = two_tracks()
    scene.lsr1.clip.on_cancel = "KEEP"
    run = Ticking(LSR1_OT_fit_clip, again=False)
    until_track(run, 1)
    there = all_there()
    assert run.esc() == "FINISHED" and nothing_runs()
    first, second = scene.lsr1.keypoints.people
    assert second.body is None and first.body.animation_data.action.lsr1_take.track
    assert len(bpy.data.armatures) == len(there["armatures"]) - 1 == 1
    assert run.said[-1].startswith("Stopped early") and "12 frames" in run.said[-1]
    assert target(bpy.context) == first.body


@pytest.mark.parametrize("track", [0, 1])
def test_esc_with_nothing_to_keep_brings_everything_back(track: int) -> None:
    scene = two_tracks()
    scene.lsr1.clip.on_cancel = "KEEP" if track == 0 else "RESTORE"
    before, run = all_there(), Ticking(LSR1_OT_fit_clip, again=False)
    until_track(run, track)
    assert run.esc() == "CANCELLED" and all_there() == before and nothing_runs()


def test_feet_of_a_track_that_is_given_up_stand_as_before() -> None:
    scene = two_tracks()
    bpy.ops.lsr1.add_body()
    armature = target(bpy.context)
    scene.lsr1.keypoints.people[0].body = armature
    contacts = [f"{side}_{point}" for side in ("left", "right") for point in ("heel", "big_toe")]
    before = [getattr(armature.lsr1_body, name) for name in contacts]
    run = Ticking(LSR1_OT_fit_clip, again=False)
    until_track(run, 1)
    scene.frame_set(4)
    assert [getattr(armature.lsr1_body, name) for name in contacts] != before
    assert run.esc() == "CANCELLED"
    assert [getattr(armature.lsr1_body, name) for name in contacts] == before


@pytest.mark.parametrize("operator", [LSR1_OT_fit_clip, LSR1_OT_fit_pose])
def test_a_run_that_fails_unexpectedly_is_called_off(
    operator: type[InSlices], monkeypatch: pytest.MonkeyPatch
) -> None:
    armature = body_of_walk()
    bpy.context.scene.lsr1.clip.frame_range, bpy.context.scene.lsr1.clip.last = "CUSTOM", 12
    before, stood, there = channels(armature), list(armature.lsr1_body.betas), all_there()
    with pytest.raises(FaultError):
        run = Ticking(operator, again=False)
        run.tick(3)
        assert all_there() != there or not np.array_equal(channels(armature), before)
        monkeypatch.setattr(type(run._run), "step", fails)
        run.tick()
    assert nothing_runs() and all_there() == there
    assert np.array_equal(channels(armature), before) and list(armature.lsr1_body.betas) == stood


def test_a_run_that_fails_in_its_first_moments_is_called_off() -> None:
    body_of_walk()
    calls: list[str] = []
    brings_back = {"patience": 1.0, "step": fails, "give_up": lambda *_: calls.append("given up")}
    with pytest.raises(FaultError):
        Ticking(LSR1_OT_other_solutions, **brings_back)
    assert calls == ["given up"] and nothing_runs()


def test_a_script_is_left_with_nothing_half_done(monkeypatch: pytest.MonkeyPatch) -> None:
    scene_of_walk(12)
    before = all_there()
    monkeypatch.setattr(TakeInProgress, "accept", fails)
    with pytest.raises(RuntimeError, match="FaultError"):
        bpy.ops.lsr1.fit_clip()
    assert all_there() == before and nothing_runs()


def other_armature(armature: bpy.types.Object) -> None:
    armature.data = bpy.data.armatures.new("other")


def a_bone_less(armature: bpy.types.Object) -> None:
    armature.data.bones["left_elbow"].name = "hinge"


@pytest.mark.parametrize("change", [other_armature, a_bone_less, tweaked])
@pytest.mark.parametrize("called_off", [False, True])
def test_a_body_that_is_another_by_then_ends_a_run_well(
    change: Callable[[bpy.types.Object], None], called_off: bool
) -> None:
    armature = body_of_walk()
    scene = bpy.context.scene
    scene.lsr1.clip.frame_range, scene.lsr1.clip.last = "CUSTOM", 12
    insert_keyframes(armature, clips_pose(2), [5, 6])
    action = armature.animation_data.action
    run = Ticking(LSR1_OT_fit_clip, again=False)
    run.tick(4)
    change(armature)
    if called_off:
        run.called_off()
    elif change is not tweaked:
        assert run.to_its_end() == "CANCELLED" and "no SMPL rig" in run.said[-1]
    else:
        assert run.esc() == "CANCELLED"
    assert nothing_runs() and armature.animation_data.action == action and list(bpy.data.actions) == [action]


@pytest.mark.parametrize("change", [other_armature, a_bone_less])
def test_what_reach_cannot_go_on_with_is_said(change: Callable[[bpy.types.Object], None]) -> None:
    armature = body_of_walk()
    tool = Tool(LSR1_OT_reach)
    change(armature)
    assert tool.event("MOUSEMOVE") == "CANCELLED" and "no SMPL rig" in tool.said[-1] and nothing_runs()


def test_points_are_placed_on_where_live_has_no_body_to_move() -> None:
    armature = body_of_walk()
    scene = bpy.context.scene
    scene.lsr1.settings.live = True
    tool, before = Tool(LSR1_OT_place_keypoints), all_points(scene)
    tool.drag(points_at(scene, 30)[0][4], (300.0, 400.0))
    a_bone_less(armature)
    tool.drag(points_at(scene, 30)[0][4], (310.0, 420.0))
    assert tool.event("RET") == "FINISHED" and all_points(scene) != before and nothing_runs()


@pytest.mark.parametrize("operator", [LSR1_OT_place_keypoints, LSR1_OT_reach])
def test_a_tool_that_fails_unexpectedly_is_called_off(
    operator: type[LSR1_OT_reach], monkeypatch: pytest.MonkeyPatch
) -> None:
    body_of_walk()
    scene, before = bpy.context.scene, all_points(bpy.context.scene)
    tool = Tool(operator)
    monkeypatch.setattr(OverPicture, "is_inside", fails)
    with pytest.raises(FaultError):
        tool.event("LEFTMOUSE")
    result = scene.lsr1.result
    assert not result.is_running and not result.is_placing and all_points(scene) == before


def test_an_undo_step_noted_while_something_ran_says_nothing_runs() -> None:
    """A slider in the sidebar was moved meanwhile, and all after it is taken back."""
    scene_of_walk(12)
    bpy.ops.ed.undo_push(message="before")
    run = Ticking(LSR1_OT_fit_clip, again=False)
    run.tick(4)
    clip, result = bpy.context.scene.lsr1.clip, bpy.context.scene.lsr1.result
    clip.progress_text, result.is_placing = "Step 3", True
    assert result.is_running
    bpy.ops.ed.undo_push(message="slider")
    assert run.to_its_end() == "FINISHED"
    bpy.context.scene.lsr1.result.is_placing = False
    bpy.ops.ed.undo_push(message="Fit Clip")
    bpy.ops.ed.undo()
    scene = bpy.context.scene
    assert nothing_is_said(scene) and bpy.ops.lsr1.fit_clip.poll() and bpy.ops.lsr1.clear_keypoints.poll()
    bpy.ops.ed.undo()
    assert nothing_is_said(bpy.context.scene)
    bpy.ops.ed.redo()
    assert nothing_is_said(bpy.context.scene)


def test_switched_off_while_something_runs_nothing_runs_when_it_is_on_again(registered: ModuleType) -> None:
    """Blender drops its operators then, and tells them nothing; preferences have a window of their own."""
    scene_of_walk(12)
    other = bpy.context.scene.copy()
    for scene in bpy.data.scenes:
        scene.lsr1.result.is_running = scene.lsr1.result.is_placing = True
    registered.unregister()
    registered.register()
    assert nothing_is_said(bpy.context.scene) and nothing_is_said(other)


def nothing_is_said(scene: bpy.types.Scene) -> bool:
    result = scene.lsr1.result
    return not (result.is_running or result.is_placing or scene.lsr1.clip.progress_text)


def walking_body() -> bpy.types.Object:
    """A body that is keyed at two frames, at the first of them."""
    armature = body_of_walk()
    insert_keyframes(armature, clips_pose(2), [30, 40])
    bpy.context.scene.frame_set(30)
    return armature


OF_ONE_FRAME = [
    (LSR1_OT_fit_pose, {}),
    (LSR1_OT_refit, {}),
    (LSR1_OT_other_solutions, {"turn_to": "NEXT"}),
    (LSR1_OT_flip_limb, {"limb": "left_arm"}),
]


@pytest.mark.parametrize("insert_key", [False, True])
@pytest.mark.parametrize(("operator", "options"), OF_ONE_FRAME)
def test_a_run_of_one_frame_ends_with_it(
    operator: type[InSlices], options: dict[str, object], insert_key: bool
) -> None:
    """A second window shows the timeline."""
    armature = walking_body()
    scene = bpy.context.scene
    scene.lsr1.settings.insert_key = insert_key
    stood = []
    for frame in (40, 30):
        scene.frame_set(frame)
        stood.append(channels(armature))
    keys = key_frames(armature).tolist()
    run = Ticking(operator, **options)
    run.tick(2)
    scene.frame_set(40)
    assert run.tick() == "CANCELLED" and run.said[-1] == "Cancelled, for its frame was left"
    assert scene.frame_current == 40 and np.allclose(channels(armature), stood[0], atol=1e-6)
    scene.frame_set(30)
    assert np.allclose(channels(armature), stood[1], atol=1e-6) and key_frames(armature).tolist() == keys
    assert nothing_runs() and not np.any(armature.lsr1_body.betas)


def test_a_clip_is_fitted_on_while_other_frames_are_looked_at() -> None:
    armature = walking_body()
    scene = bpy.context.scene
    scene.lsr1.clip.frame_range, scene.lsr1.clip.first, scene.lsr1.clip.last = "CUSTOM", 25, 45
    scene.frame_set(40)
    at_40, action = channels(armature), armature.animation_data.action
    scene.frame_set(30)
    run = Ticking(LSR1_OT_fit_clip, again=False)
    run.tick(4)
    scene.frame_set(40)
    assert run.tick() == "RUNNING_MODAL"
    run.called_off()
    assert armature.animation_data.action == action and np.allclose(channels(armature), at_40, atol=1e-6)


def test_a_joint_in_the_hand_goes_back_with_its_frame() -> None:
    armature = walking_body()
    scene = bpy.context.scene
    scene.frame_set(40)
    at_40 = channels(armature)
    scene.frame_set(30)
    scene.lsr1.settings.insert_key, keys = True, key_frames(armature).tolist()
    view = scene_view(scene, bpy.context.evaluated_depsgraph_get(), render_size(scene))
    wrist = joints_seen(armature, view)[0][SMPL_JOINT_NAMES.index("left_wrist")]
    tool = Tool(LSR1_OT_reach)
    tool.drag(tuple(wrist), (wrist[0], wrist[1] - 200))
    assert not np.allclose(channels(armature), at_40)
    scene.frame_set(40)
    assert tool.event("RET") == "CANCELLED" and tool.said == ["Cancelled, for its frame was left"]
    assert np.allclose(channels(armature), at_40, atol=1e-6) and key_frames(armature).tolist() == keys


@pytest.mark.parametrize("flag", ["is_running", "is_placing"])
def test_no_button_goes_to_another_frame_meanwhile(flag: str) -> None:
    scene_of_walk(12)
    armature = fit_clip()
    bad = armature.animation_data.action.lsr1_take.bad.add()
    bad.name, bad.frame = "foot slides", 5
    assert bpy.ops.lsr1.next_bad_frame.poll()
    setattr(bpy.context.scene.lsr1.result, flag, True)
    assert not bpy.ops.lsr1.next_bad_frame.poll()
    setattr(bpy.context.scene.lsr1.result, flag, False)
    assert bodies.mesh_of(armature) is not None
