"""Between two ticks a body gets another name, or it is deleted, or all is undone: a run goes on with the one
that it was started for, and never with another that has its name by then.
"""

from collections.abc import Callable

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon import interrupted
from lsr1_body_fit.addon.live import LiveFit
from lsr1_body_fit.addon.operators.clip import LSR1_OT_fit_clip
from lsr1_body_fit.addon.operators.fit import LSR1_OT_fit_pose
from lsr1_body_fit.addon.operators.modal import InSlices
from lsr1_body_fit.addon.operators.refine import LSR1_OT_refit
from lsr1_body_fit.addon.operators.solutions import LSR1_OT_flip_limb, LSR1_OT_other_solutions
from lsr1_body_fit.addon.operators.transfer import LSR1_OT_copy_motion
from lsr1_body_fit.addon.rig import target

from tests.blender.inside.addon.character_rigs import Figure, character
from tests.blender.inside.addon.copies import choose, moving_body
from tests.blender.inside.addon.keyed import insert_keyframes
from tests.blender.inside.addon.test_clip import clips_pose
from tests.blender.inside.addon.test_operators import channels, scene_of_walk
from tests.blender.inside.addon.test_solutions import fitted_still
from tests.blender.inside.addon.ticks import Ticking

SEARCHES = [(LSR1_OT_other_solutions, {"turn_to": "NEXT"}), (LSR1_OT_flip_limb, {"limb": "left_arm"})]
OF_A_BODY = [(LSR1_OT_refit, {}), *SEARCHES]


def another_gets_its_name(armature: bpy.types.Object) -> bpy.types.Object:
    """Rename a body, and add one that is called as it was. Returns that one."""
    name, armature.name = armature.name, "Renamed"
    other = bodies.add_body(bpy.context)
    assert other.name == name
    return other


def another_takes_its_place(armature: bpy.types.Object) -> bpy.types.Object:
    """Delete a body, and add one that is called as it was. Returns that one."""
    name = armature.name
    bpy.data.objects.remove(armature)
    other = bodies.add_body(bpy.context)
    assert other.name == name
    return other


def is_untouched(body: bpy.types.Object) -> bool:
    at_rest = np.array_equal(channels(body), np.tile(np.eye(4), (24, 1, 1)))
    return at_rest and body.animation_data is None and not body.lsr1_body.solutions.found


@pytest.mark.parametrize(("operator", "options"), OF_A_BODY)
def test_a_renamed_body_is_the_one_that_changes(operator: type[InSlices], options: dict[str, object]) -> None:
    armature = fitted_still()
    armature.pose.bones["left_elbow"].rotation_quaternion = 0.9, 0.0, 0.4, 0.1
    bpy.context.view_layer.update()
    before = channels(armature)
    run = Ticking(operator, **options)
    run.tick()
    other = another_gets_its_name(armature)
    assert run.to_its_end() == "FINISHED", run.said
    assert is_untouched(other) and not np.array_equal(channels(armature), before)


@pytest.mark.parametrize(("operator", "options"), OF_A_BODY)
def test_in_place_of_a_deleted_body_no_other_changes(
    operator: type[InSlices], options: dict[str, object]
) -> None:
    armature = fitted_still()
    run = Ticking(operator, **options)
    run.tick()
    other = another_takes_its_place(armature)
    assert run.to_its_end() == "CANCELLED" and "no longer in the scene" in run.said[-1]
    assert is_untouched(other) and not bpy.context.scene.lsr1.result.is_running


def walking_body() -> bpy.types.Object:
    """A body with an action of its own, and twelve frames to fit it to."""
    armature = scene_of_walk()
    scene = bpy.context.scene
    scene.lsr1.clip.frame_range, scene.lsr1.clip.last = "CUSTOM", 12
    insert_keyframes(armature, clips_pose(2), [5, 6])
    armature.animation_data.action.name = "Mine"
    return armature


@pytest.mark.parametrize("gives_up", [False, True])
def test_the_earlier_action_may_get_another_name_while_a_clip_is_fitted(gives_up: bool) -> None:
    armature = walking_body()
    data, mine = armature.animation_data, armature.animation_data.action
    slot = getattr(data, "action_slot", None)
    run = Ticking(LSR1_OT_fit_clip, again=False)
    run.tick(4)
    mine.name, other = "Renamed", bpy.data.actions.new("Mine")
    if slot is not None:
        slot.name_display = "Renamed"
    if gives_up:
        run.called_off()
        assert data.action == mine and getattr(data, "action_slot", None) == slot
    else:
        assert run.to_its_end() == "FINISHED"
        assert mine.use_fake_user and not other.use_fake_user


def copied(*, last: int = 12) -> tuple[bpy.types.Object, bpy.types.Object]:
    """A body that moves, and a rig to copy to."""
    body, rig = moving_body(), character("Mixamo", Figure())
    choose(rig)
    rig.lsr1_copy.last = last
    return body, rig


def keyed(rig: bpy.types.Object) -> list[float]:
    """All that the rig's bones do in three frames."""
    numbers = []
    for frame in (1, 6, 12):
        bpy.context.scene.frame_set(frame)
        numbers += [value for bone in rig.pose.bones for row in bone.matrix for value in row]
    return numbers


def test_a_copy_goes_on_with_what_it_was_started_for() -> None:
    body, rig = copied()
    scene = bpy.context.scene
    assert Ticking(LSR1_OT_copy_motion).to_its_end() == "FINISHED"
    wanted = keyed(rig)
    rig.animation_data_clear()
    run = Ticking(LSR1_OT_copy_motion)
    run.tick(3)
    other, decoy = another_gets_its_name(body), character("Mixamo", Figure())
    bpy.context.view_layer.objects.active = other
    scene.lsr1.copy_target = decoy
    assert run.to_its_end() == "FINISHED", run.said
    assert np.allclose(keyed(rig), wanted, atol=1e-5)
    assert decoy.animation_data is None and is_untouched(other)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("ticks", [3, 12])
def test_a_copy_without_one_of_its_two_is_given_up(which: int, ticks: int) -> None:
    both = copied()
    scene, stays = bpy.context.scene, both[1 - which]
    scene.frame_set(7)
    before = stays.animation_data.action if stays.animation_data else None
    run = Ticking(LSR1_OT_copy_motion)
    run.tick(ticks)
    bpy.data.objects.remove(both[which])
    assert run.to_its_end() == "CANCELLED" and "no longer in the scene" in run.said[-1]
    assert scene.frame_current == 7 and not scene.lsr1.result.is_running
    assert (stays.animation_data.action if stays.animation_data else None) == before


@pytest.fixture
def waits_for_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blender doesn't know of a run whose ticks come from a test."""
    monkeypatch.setattr(interrupted, "something_runs", lambda: True)


def undone_in_the_middle(run: Ticking) -> str:
    """Somebody else's script notes an undo step while it runs, and goes back to it."""
    run.tick()
    bpy.ops.ed.undo_push(message="in the middle")
    run.tick()
    bpy.ops.ed.undo_push(message="later")
    bpy.ops.ed.undo()
    assert bpy.context.scene.lsr1.result.is_running
    return run.to_its_end()


@pytest.mark.usefixtures("waits_for_events")
@pytest.mark.parametrize(("operator", "options"), OF_A_BODY)
def test_a_run_outlasts_an_undo_to_its_middle(operator: type[InSlices], options: dict[str, object]) -> None:
    fitted_still()
    bpy.ops.ed.undo_push(message="before")
    assert undone_in_the_middle(Ticking(operator, **options)) == "FINISHED"
    assert not bpy.context.scene.lsr1.result.is_running


@pytest.mark.usefixtures("waits_for_events")
@pytest.mark.parametrize("operator", [LSR1_OT_fit_clip, LSR1_OT_fit_pose])
def test_a_fit_outlasts_an_undo_to_its_middle(operator: type[InSlices]) -> None:
    walking_body()
    bpy.ops.ed.undo_push(message="before")
    assert undone_in_the_middle(Ticking(operator, again=False)) == "FINISHED"
    assert not bpy.context.scene.lsr1.result.is_running
    actions = {action.name for action in bpy.data.actions if action.name.startswith(("Mine", "walk"))}
    assert actions == ({"Mine", "walk 1"} if operator is LSR1_OT_fit_clip else {"Mine"})


@pytest.mark.usefixtures("waits_for_events")
def test_a_copy_outlasts_an_undo_to_its_middle() -> None:
    copied()
    bpy.ops.ed.undo_push(message="before")
    run = Ticking(LSR1_OT_copy_motion)
    assert undone_in_the_middle(run) == "FINISHED" and "12 frames" in run.said[-1]


@pytest.mark.parametrize("change", [another_gets_its_name, another_takes_its_place])
def test_live_goes_on_with_its_body(change: Callable[[bpy.types.Object], bpy.types.Object]) -> None:
    armature = fitted_still()
    live = LiveFit(bpy.context, armature)
    assert live.update(bpy.context)
    renamed, other = change is another_gets_its_name, change(armature)
    assert live.update(bpy.context) == renamed
    if renamed:
        assert live.accept(bpy.context)
    live.cancel(bpy.context)
    assert is_untouched(other) and target(bpy.context) == other
