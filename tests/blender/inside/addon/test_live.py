"""Live over the picture: what its drags showed is kept with Enter, once; with Esc all is as it was."""

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon import keypoint_store
from lsr1_body_fit.addon.live import LiveFit
from lsr1_body_fit.addon.operators.place import LSR1_OT_place_keypoints
from lsr1_body_fit.lsr1_solver import FitError

from tests.blender.inside.addon.keyed import insert_keyframes
from tests.blender.inside.addon.test_clip import clips_pose, key_frames
from tests.blender.inside.addon.test_operators import channels, scene_of_walk
from tests.blender.inside.addon.test_over_picture import Tool

ELBOW, WRIST, FAR = 3, 4, (300.0, 400.0)


pytestmark = pytest.mark.usefixtures("camera_view")


def live_scene(*, fitted: bool = True) -> bpy.types.Object:
    """A still of the walk with Live on; keys are wanted."""
    armature = scene_of_walk()
    if fitted:
        bpy.ops.lsr1.fit_pose()
    settings = bpy.context.scene.lsr1.settings
    settings.live = settings.insert_key = True
    return armature


def points() -> np.ndarray:
    return keypoint_store.points_at(bpy.context.scene, 30)[0]


def everything(armature: bpy.types.Object) -> dict[str, object]:
    """What a fit may change, as plain values."""
    result, action = bpy.context.scene.lsr1.result, armature.animation_data
    curves = [] if action is None or action.action is None else key_frames(armature).tolist()
    shown = [getattr(result, name) for name in ("iteration", "pixels", "percent", "words", "camera")]
    return {
        "channels": channels(armature).round(6).tolist(),
        "heads": [[round(x, 5) for x in bone.head_local] for bone in armature.data.bones],
        "betas": [bodies.shown_betas(armature).round(6).tolist(), list(armature.lsr1_body.betas)],
        "record": {name: list(armature.lsr1_body.get(name, ())) for name in ("fit_frames", "fit_turns")},
        "depths": [armature.lsr1_body.has_depths, list(armature.lsr1_body.depths)],
        "actions": [(own.name, own.users) for own in bpy.data.actions],
        "keys": curves,
        "figures": [*shown, [(joint.name, joint.pixels) for joint in result.joints]],
        "running": [result.is_running, result.is_preview, result.is_placing],
        "points": points().tolist(),
    }


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("keyed", [False, True])
def test_after_esc_all_is_as_it_was(fitted: bool, keyed: bool) -> None:
    armature = live_scene(fitted=fitted)
    if keyed:
        insert_keyframes(armature, clips_pose(2), [30, 40])
    before = everything(armature)
    tool = Tool(LSR1_OT_place_keypoints)
    tool.drag(points()[WRIST], FAR)
    tool.drag(points()[ELBOW], (320.0, 500.0))
    assert not np.allclose(channels(armature), before["channels"], atol=1e-3)
    tool.event("ESC")
    assert everything(armature) == before


def test_enter_keys_the_pose_once() -> None:
    armature = live_scene()
    tool = Tool(LSR1_OT_place_keypoints)
    for xy in (FAR, (310.0, 420.0)):
        tool.drag(points()[WRIST], xy)
    assert not bpy.data.actions
    stood = bodies.shown_betas(armature)
    tool.event("RET")
    assert key_frames(armature).tolist() == [30] and not bpy.context.scene.lsr1.result.is_preview
    assert np.allclose(armature.lsr1_body.betas, stood, atol=1e-6)
    assert list(armature.animation_data.action.lsr1_take["fit_frames"]) == [30]
    before = channels(armature)
    bpy.context.scene.frame_set(31)
    bpy.context.scene.frame_set(30)
    assert np.allclose(channels(armature), before, atol=1e-5)


def test_one_drag_back_brings_the_pose_of_before_it() -> None:
    armature = live_scene()
    tool = Tool(LSR1_OT_place_keypoints)
    states = [(everything(armature), points())]
    for joint, xy in ((WRIST, FAR), (ELBOW, (320.0, 500.0))):
        tool.drag(points()[joint], xy)
        states.append((everything(armature), points()))
    for seen, _ in states[1::-1]:
        tool.event("Z", ctrl=True)
        now = everything(armature)
        assert np.allclose(now["channels"], seen["channels"], atol=1e-6) and now["betas"] == seen["betas"]
        assert now["points"] == seen["points"]
    tool.event("RET")
    assert channels(armature).round(6).tolist() == states[0][0]["channels"] and not bpy.data.actions


def test_a_drag_sees_the_camera_as_it_is_by_then() -> None:
    """With Lock Camera to View the middle mouse button moves it."""
    armature = live_scene()
    scene = bpy.context.scene
    tool = Tool(LSR1_OT_place_keypoints)
    tool.drag(points()[WRIST], points()[WRIST] + 1.0)
    root = np.array(armature.matrix_world @ armature.pose.bones["pelvis"].matrix)[:3, 3]
    scene.camera.location.x += 1.0
    bpy.context.view_layer.update()
    tool.drag(points()[WRIST], points()[WRIST] + 1.0)
    bpy.context.view_layer.update()
    moved = np.array(armature.matrix_world @ armature.pose.bones["pelvis"].matrix)[:3, 3] - root
    assert abs(moved[0] - 1.0) < 0.2


def test_a_fit_between_two_drags_is_gone_on_from() -> None:
    armature = live_scene()
    scene = bpy.context.scene
    scene.lsr1.settings.insert_key = False
    tool = Tool(LSR1_OT_place_keypoints)
    tool.drag(points()[WRIST], points()[WRIST] + 5.0)
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"} and not scene.lsr1.result.is_preview
    fitted = channels(armature)
    tool.event("RET")
    assert np.array_equal(channels(armature), fitted)


def test_with_another_frame_live_lets_go_of_the_pose_and_points_are_placed_on() -> None:
    """A second window shows the timeline."""
    armature = live_scene()
    insert_keyframes(armature, clips_pose(2), [30, 40])
    scene = bpy.context.scene
    scene.frame_set(40)
    at_40 = channels(armature)
    scene.frame_set(30)
    before, keys = channels(armature), key_frames(armature).tolist()
    tool = Tool(LSR1_OT_place_keypoints)
    tool.drag(points()[WRIST], FAR)
    placed = points()
    scene.frame_set(40)
    assert tool.event("TIMER") == "RUNNING_MODAL"
    assert np.allclose(channels(armature), at_40, atol=1e-6)
    tool.event("RET")
    assert np.array_equal(points(), placed) and key_frames(armature).tolist() == keys
    scene.frame_set(30)
    assert np.allclose(channels(armature), before, atol=1e-6)


def test_a_pose_that_cannot_be_kept_goes_back_and_the_points_stay() -> None:
    """The body became a library override's, whose bones are of another file, before Enter."""
    armature = live_scene()
    before, tool = channels(armature), Tool(LSR1_OT_place_keypoints)
    tool.drag(points()[WRIST], FAR)
    placed = points()

    def refuse(*_: object) -> None:
        raise FitError("Of another file")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bodies, "check_bones_free", refuse)
        assert tool.event("RET") == "FINISHED" and tool.said == ["Of another file"]
    assert np.allclose(channels(armature), before, atol=1e-6) and np.array_equal(points(), placed)
    assert not bpy.context.scene.lsr1.result.is_preview


@pytest.mark.parametrize("key", ["RET", "ESC"])
def test_without_the_body_there_is_no_preview_any_more(key: str) -> None:
    """Else the joints of no other body would follow its shape."""
    armature = live_scene()
    tool = Tool(LSR1_OT_place_keypoints)
    tool.drag(points()[WRIST], FAR)
    result = bpy.context.scene.lsr1.result
    assert result.is_preview
    bpy.data.objects.remove(armature)
    tool.event(key)
    assert not result.is_preview and not result.is_placing


def test_a_fault_at_the_end_calls_off_and_stops_the_timer_once(monkeypatch: pytest.MonkeyPatch) -> None:
    armature = live_scene()
    before, tool, stopped = everything(armature), Tool(LSR1_OT_place_keypoints), []
    tool.drag(points()[WRIST], FAR)
    monkeypatch.setattr(tool.context.window_manager, "event_timer_remove", stopped.append)
    monkeypatch.setattr(LiveFit, "accept", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tool.event("RET")
    assert everything(armature) == before and len(stopped) == 1
