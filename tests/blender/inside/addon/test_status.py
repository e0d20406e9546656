"""What runs says so in the status bar of the workspace that is shown; at its end every status bar is
Blender's again, of workspaces that were left meanwhile, too.
"""

import bpy
import pytest
from lsr1_body_fit.addon.operators.clip import LSR1_OT_fit_clip
from lsr1_body_fit.addon.operators.modal import InSlices
from lsr1_body_fit.addon.operators.place import LSR1_OT_place_keypoints
from lsr1_body_fit.addon.operators.reach import LSR1_OT_reach
from lsr1_body_fit.addon.operators.refine import LSR1_OT_refit
from lsr1_body_fit.addon.operators.solutions import LSR1_OT_other_solutions
from lsr1_body_fit.addon.operators.transfer import LSR1_OT_copy_motion

from tests.blender.inside.addon.character_rigs import Figure, character
from tests.blender.inside.addon.copies import choose, moving_body
from tests.blender.inside.addon.test_clip import scene_of_walk
from tests.blender.inside.addon.test_over_picture import Tool
from tests.blender.inside.addon.test_solutions import fitted_still
from tests.blender.inside.addon.ticks import Ticking


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """What the status bars of the workspaces say by now."""
    found: dict[str, str | None] = {}

    def status_text_set(_: bpy.types.WorkSpace, text: str | None) -> None:
        found[bpy.context.workspace.name] = text

    monkeypatch.setattr(bpy.types.WorkSpace, "status_text_set", status_text_set)
    return found


def a_clip() -> None:
    scene_of_walk(12)


def a_still() -> None:
    fitted_still().pose.bones["left_elbow"].rotation_quaternion = 0.9, 0.0, 0.4, 0.1


def a_copy() -> None:
    moving_body()
    rig = character("Mixamo", Figure())
    choose(rig)
    rig.lsr1_copy.last = 12


RUNS = [
    (LSR1_OT_fit_clip, {"again": False}, a_clip),
    (LSR1_OT_refit, {}, a_still),
    (LSR1_OT_other_solutions, {"turn_to": "NEXT"}, a_still),
    (LSR1_OT_copy_motion, {}, a_copy),
]


@pytest.mark.parametrize("ends", ["by itself", "Esc", "called off"])
@pytest.mark.parametrize(("operator", "options", "ready"), RUNS)
def test_a_run_falls_silent_in_workspaces_that_were_left(
    operator: type[InSlices],
    options: dict[str, object],
    ready: object,
    ends: str,
    bars: dict[str, str | None],
) -> None:
    ready()
    first, other = bpy.context.workspace, bpy.data.workspaces["Animation"]
    assert first != other
    run = Ticking(operator, **options)
    run.tick(3)
    assert bars[first.name]
    with bpy.context.temp_override(workspace=other):
        run.tick(2)
        assert bars[other.name]
        first.name = "Renamed"
        bars["Renamed"] = bars["Layout"]
        if ends == "called off":
            run.called_off()
        else:
            assert run.to_its_end() == "FINISHED" if ends == "by itself" else run.esc() == "CANCELLED"
    assert bars["Renamed"] is None and bars[other.name] is None


@pytest.mark.parametrize("operator", [LSR1_OT_place_keypoints, LSR1_OT_reach])
@pytest.mark.parametrize("kind", ["ESC", "RET"])
def test_a_tool_falls_silent_where_it_spoke(
    operator: type[LSR1_OT_reach], kind: str, bars: dict[str, str | None]
) -> None:
    fitted_still()
    first = bpy.context.workspace
    tool = Tool(operator)
    assert bars[first.name]
    with bpy.context.temp_override(workspace=bpy.data.workspaces["Animation"]):
        tool.event(kind)
    assert bars == {first.name: None}
