"""A crowd's keypoints: everybody can be chosen, is fitted then, and keeps what was edited."""

import json
from pathlib import Path

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon import keypoint_store, pictures, tracks
from lsr1_body_fit.addon.operators import clip as operators

from tests.blender.inside.addon.test_operators import says
from tests.shared import REPOSITORY

WALK = REPOSITORY / "assets" / "samples" / "walk" / "keypoints"


def crowd(folder: Path, count: int, frames: int = 3) -> Path:
    """The sample's walker so many times, side by side in a wide picture, a file a frame."""
    for number, file in enumerate(sorted(WALK.glob("*.json"))[:frames]):
        walker = json.loads(file.read_text())["people"][0]
        people = []
        for place in range(count):
            points = np.array(walker["pose_keypoints_2d"]).reshape(-1, 3)
            points[points[:, 2] > 0, 0] += 1000 * place
            people.append({**walker, "pose_keypoints_2d": points.ravel().tolist()})
        (folder / f"crowd_{number:012d}_keypoints.json").write_text(json.dumps({"people": people}))
    return folder


def test_who_is_imported_by_number_is_a_track_like_the_others(tmp_path: Path) -> None:
    scene = bpy.context.scene
    path = str(crowd(tmp_path, 60))
    assert bpy.ops.lsr1.import_keypoints(filepath=path, format="BODY_25B", person=57) == {"FINISHED"}
    held = scene.lsr1.keypoints
    assert held.person == len(held.people) == 57 and held.listed == 56
    keypoint_store.set_point(scene, 2, 4, (12.0, 34.0), 0.5)
    assert tracks.used_tracks(scene) == [56]
    assert bpy.ops.lsr1.choose_person(person=3) == {"FINISHED"} and held.listed == 2
    assert tracks.used_tracks(scene) == [2]
    assert bpy.ops.lsr1.choose_person(person=57) == {"FINISHED"}
    assert np.allclose(keypoint_store.points_at(scene, 2)[0][4], (12, 34))
    scene.frame_set(2)
    assert bpy.ops.lsr1.cut_track() == {"FINISHED"} and len(held.people) == 58


def test_who_is_not_in_the_list_is_not_chosen(tmp_path: Path) -> None:
    path = str(crowd(tmp_path, 60, 1))
    assert bpy.ops.lsr1.import_keypoints(filepath=path, format="BODY_25B") == {"FINISHED"}
    held = bpy.context.scene.lsr1.keypoints
    before = np.array(held["xy"])
    says(bpy.ops.lsr1.choose_person, "with Person 57", person=57)
    assert held.person == 1 and np.array_equal(np.array(held["xy"]), before)


def two_people(folder: Path) -> bpy.types.PropertyGroup:
    """Two tracks of six frames, both ticked, before a camera."""
    pictures.add_camera(bpy.context)
    pictures.set_render_size(bpy.context.scene, (2500, 1920))
    bpy.ops.lsr1.import_keypoints(filepath=str(crowd(folder, 2, 6)), format="BODY_25B")
    held = bpy.context.scene.lsr1.keypoints
    held.people[0].use = held.people[1].use = True
    return held


def test_what_comes_of_every_track_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    two_people(tmp_path)
    assert bpy.ops.lsr1.fit_clip() == {"FINISHED"}
    said = capfd.readouterr().out
    assert f"{tmp_path.name} 1: 6 frames" in said and f"{tmp_path.name} 2: 6 frames" in said


@pytest.mark.parametrize("away", ["range", "body"])
def test_tracks_that_cannot_all_be_fitted_are_refused_before_the_first_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    held = two_people(tmp_path)
    if away == "range":
        bpy.context.scene.frame_set(4)
        assert bpy.ops.lsr1.cut_track() == {"FINISHED"}
        clip = bpy.context.scene.lsr1.clip
        clip.frame_range, clip.first, clip.last = "CUSTOM", 4, 6
        held.people[1].use, held.people[2].use, text = True, True, "Track 1 has no .* 1 to 3"
    else:
        held.people[0].body = held.people[1].body = bodies.add_body(bpy.context)
        text = "Tracks 1 and 2 move the same body, LSR1 Body: if they are .* Merge Ticked"
    monkeypatch.setattr(operators, "TakeInProgress", None)
    says(bpy.ops.lsr1.fit_clip, text)
