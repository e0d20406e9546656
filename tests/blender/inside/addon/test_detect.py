"""People that are detected become tracks; what was placed by hand stays."""

import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import detection, keypoint_store, pictures, shown_picture, tracks
from lsr1_body_fit.lsr1_solver import FitError, Keypoints2D
from lsr1_body_fit.lsr1_solver.detector import Detector
from lsr1_body_fit.lsr1_solver.keypoints import BLAZEPOSE_33, HALPE_26, SMPL_24
from lsr1_body_fit.lsr1_solver.picture_files import open_footage

from tests.blender.inside.addon.test_shown_picture import WALK, numbered

SIZE = (1080, 1920)
# Where the walker is in the sample's first frames, and where a bystander is.
AROUND_WALKER, AROUND_OTHER = (330.0, 430.0, 800.0, 1180.0), (700.0, 450.0, 900.0, 920.0)


def person(numbers: np.ndarray, at: tuple[float, float], size: float = 100.0) -> Keypoints2D:
    """Somebody who stands at a place of the picture, all points seen."""
    spread = np.random.default_rng(0).uniform(-0.5, 0.5, size=(33, 2)) * size
    xy = np.tile(np.array(at) + spread, (len(numbers), 1, 1))
    return Keypoints2D(xy, np.full(xy.shape[:2], 0.9), BLAZEPOSE_33, SIZE, numbers)


def shown(first: int = 1, last: int = 10, *, moves: bool = True) -> shown_picture.ShownPicture:
    """A clip, without its pictures."""
    return shown_picture.ShownPicture(
        "clip.mp4", SIZE, first, last, 1, moves, 25.0 if moves else None, lambda *_: iter(())
    )


def points(frame: int) -> tuple[np.ndarray, np.ndarray]:
    found = keypoint_store.points_at(bpy.context.scene, frame)
    assert found is not None
    return found


def test_points_placed_by_hand_win_and_detection_fills_the_rest() -> None:
    scene, numbers = bpy.context.scene, np.arange(1, 11)
    empty = Keypoints2D(np.zeros((1, 26, 2)), np.zeros((1, 26)), HALPE_26)
    keypoint_store.store(scene, empty, SIZE)
    scene.lsr1.keypoints.start_frame = 4
    found = person(numbers, (500, 900))
    wrist = BLAZEPOSE_33.index("left_wrist")
    near = found.xy[0, wrist] + 20
    keypoint_store.set_point(scene, 4, HALPE_26.index("left_wrist"), near.tolist(), 1.0)
    assert detection.keep_detection(scene, shown(), [person(numbers, (100, 100), 30), found]) == 1
    held = scene.lsr1.keypoints
    assert held.layout == "BLAZEPOSE_33" and held.start_frame == 1
    assert keypoint_store.frame_count(scene) == 10
    # The track that was there is the person on whom the point lies.
    xy, confidence = points(4)
    assert np.allclose(xy[wrist], near) and confidence[wrist] == 1.0
    others = np.arange(33) != wrist
    assert np.allclose(xy[others], found.xy[0, others]) and np.allclose(points(5)[0], found.xy[0])
    # Again, elsewhere: the point stays, the rest moves, nobody is doubled.
    moved = person(numbers, (505, 905))
    detection.keep_detection(scene, shown(), [moved])
    assert len(held.people) == 1
    assert np.allclose(points(4)[0][wrist], near) and np.allclose(points(4)[0][others], moved.xy[0, others])
    # A point that was taken away stays away.
    keypoint_store.set_point(scene, 6, 0, None, 0.0)
    detection.keep_detection(scene, shown(), [found])
    assert points(6)[1][0] == 0 and points(7)[1][0] > 0


def test_a_format_that_has_more_points_stays() -> None:
    """A head that was placed has no counterpart among the detector's points: it is not lost."""
    scene = bpy.context.scene
    empty = Keypoints2D(np.zeros((1, 26, 2)), np.zeros((1, 26)), HALPE_26)
    keypoint_store.store(scene, empty, SIZE)
    found = person(np.array([1]), (500, 900))
    toe = found.xy[0, BLAZEPOSE_33.index("left_foot_index")]
    for name in ("head", "nose"):
        place = found.xy[0, 0] + (0, -20 * (name == "head"))
        keypoint_store.set_point(scene, 1, HALPE_26.index(name), place.tolist(), 1.0)
    detection.keep_detection(scene, shown(1, 1, moves=False), [found])
    assert keypoint_store.layout(scene).name == "HALPE_26"
    xy, confidence = points(1)
    assert confidence[HALPE_26.index("head")] == 1.0 and confidence[HALPE_26.index("left_knee")] == 0.9
    assert np.allclose(xy[HALPE_26.index("left_bigtoe")], toe)


def test_a_part_of_a_clip_leaves_the_rest() -> None:
    """Frames outside, other people with a box, bodies and ticks are as they were."""
    scene, numbers = bpy.context.scene, np.arange(1, 11)
    first, second = person(numbers, (300, 500)), person(numbers, (700, 500))
    detection.keep_detection(scene, shown(), [first, second])
    held = scene.lsr1.keypoints
    body = bpy.data.objects.new("somebody", None)
    held.people[1].body, held.people[1].use = body, True
    again = person(np.arange(4, 7), (703, 500))
    assert detection.to_be_replaced(scene, shown(), 4, 6) == 2
    detection.keep_detection(scene, shown(), [again], alone=True)
    assert len(held.people) == 2 and held.person == 2, "the person in the box is the one that is chosen"
    assert held.people[1].body == body and held.people[0].use and held.people[1].use
    for index, wanted in ((0, first), (1, second)):
        xy = tracks.track_arrays(scene, index)[0]
        rows = np.r_[0:3, 6:10]
        assert np.allclose(xy[rows], wanted.xy[rows])
        middle = again.xy if index else wanted.xy[3:6]
        assert np.allclose(xy[3:6], middle)
    # Beyond the end: the table grows, and what lies between is a gap.
    detection.keep_detection(scene, shown(1, 20), [person(np.array([15]), (705, 500))], alone=True)
    assert keypoint_store.frame_count(scene) == 15 and held.start_frame == 1 and len(held.people) == 2
    assert not points(12)[1].any() and points(15)[1].all()
    assert detection.to_be_replaced(scene, shown(1, 20), 12, 13) == 0
    # Without a box, who is not found any more is not there any more, at these frames.
    detection.keep_detection(scene, shown(1, 20), [person(np.array([2]), (300, 500))])
    assert not tracks.track_arrays(scene, 1)[1][1].any() and tracks.track_arrays(scene, 1)[1][2].any()


def test_what_cannot_be_joined_is_said_before_any_work() -> None:
    """Keypoints of another picture, and ones of a format without a detector's points, unless they go."""
    scene, numbers = bpy.context.scene, np.arange(1, 11)
    detection.keep_detection(scene, shown(), [person(numbers, (300, 500))])
    held = scene.lsr1.keypoints
    for same in ("clip.mp4", "/elsewhere/clip.mp4"):
        held.source = same
        detection.check_room(scene, shown(), 1, 10, alone=False)
    held.source = "another.mp4"
    with pytest.raises(FitError, match="another picture"):
        detection.check_room(scene, shown(), 1, 10, alone=False)
    joints = Keypoints2D(np.full((10, 24, 2), 300.0), np.ones((10, 24)), SMPL_24)
    keypoint_store.clear(scene)
    keypoint_store.store(scene, joints, SIZE)
    detection.check_room(scene, shown(), 1, 10, alone=False)
    with pytest.raises(FitError, match="SMPL_24, which has no place"):
        detection.check_room(scene, shown(), 1, 9, alone=False)
    detection.keep_detection(scene, shown(), [person(numbers, (300, 500))])
    assert held.layout == "BLAZEPOSE_33" and len(held.people) == 1


def test_the_buttons_in_the_background() -> None:
    """Scene range, the current frame, a box; the same points as the detector's own at the same frame."""
    scene, held = bpy.context.scene, bpy.context.scene.lsr1.keypoints
    pictures.open_picture(bpy.context, str(WALK))
    scene.frame_start, scene.frame_end = 3, 4
    scene.lsr1.detection.frames = "SCENE"
    assert bpy.ops.lsr1.detect_keypoints() == {"FINISHED"}
    assert held.start_frame == 3 and keypoint_store.frame_count(scene) == 2 and held.frame_rate == 60
    (image,) = (found[1] for found in open_footage(WALK).frames(2, 3))
    alone = Detector().detect(image)
    assert len(held.people) == len(alone)
    assert np.abs(points(3)[0] - alone[0].xy[0]).max() < 0.5
    with pytest.raises(RuntimeError, match="replace=True"):
        bpy.ops.lsr1.detect_keypoints()
    scene.lsr1.detection.frames = "FRAME"
    scene.frame_set(8)
    assert bpy.ops.lsr1.detect_in_box(box=AROUND_WALKER) == {"FINISHED"}
    assert keypoint_store.frame_count(scene) == 6 and len(held.people) == len(alone) and held.person == 1
    assert bpy.ops.lsr1.detect_in_box(box=AROUND_OTHER) == {"FINISHED"}
    assert held.person == 2 and len(held.people) == len(alone)
    scene.frame_set(500)
    with pytest.raises(RuntimeError, match="frames 1 to 100"):
        bpy.ops.lsr1.detect_in_box(box=AROUND_WALKER)


def test_who_is_in_a_box_is_followed_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back from the frame of the box as well as on; from its beginning the movie is read once."""
    scene, held = bpy.context.scene, bpy.context.scene.lsr1.keypoints
    pictures.open_picture(bpy.context, str(WALK))
    scene.frame_start, scene.frame_end = 2, 11
    scene.lsr1.detection.frames = "SCENE"
    assert bpy.ops.lsr1.detect_keypoints() == {"FINISHED"}
    walker, _ = points(4)
    bpy.ops.lsr1.clear_keypoints()
    monkeypatch.setattr(shown_picture, "_HELD", 2 * 3 * SIZE[0] * SIZE[1])
    scene.frame_set(8)
    readings: list[Path] = []
    forwards = shown_picture.movie_frames
    monkeypatch.setattr(shown_picture, "movie_frames", lambda path: readings.append(path) or forwards(path))
    assert bpy.ops.lsr1.detect_in_box(box=AROUND_WALKER) == {"FINISHED"}
    assert readings == [WALK]
    assert len(held.people) == 1 and held.start_frame == 2 and keypoint_store.frame_count(scene) == 10
    assert all(points(frame)[1].mean() > 0.5 for frame in range(2, 12))
    assert np.median(np.linalg.norm(points(4)[0] - walker, axis=1)) < 0.01 * SIZE[1]


def test_nobody_is_found_and_nothing_changes(tmp_path: Path) -> None:
    scene = bpy.context.scene
    pictures.open_picture(bpy.context, str(numbered(tmp_path, 1, 1)))
    with pytest.raises(RuntimeError, match="Nobody was found"):
        bpy.ops.lsr1.detect_keypoints()
    assert not keypoint_store.has_keypoints(scene) and not scene.lsr1.result.is_running


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detect = sys.modules["lsr1_body_fit.addon.operators.detect"]
    said: list[str] = []
    monkeypatch.setattr(
        detect.LSR1_OT_detect_keypoints, "poll_message_set", staticmethod(said.append), raising=False
    )
    assert not bpy.ops.lsr1.detect_keypoints.poll() and "Open Picture" in said[-1]
    pictures.open_picture(bpy.context, str(numbered(tmp_path, 1, 1)))
    assert bpy.ops.lsr1.detect_keypoints.poll()
    monkeypatch.setattr(detect, "has_opencv", lambda: False)
    assert not bpy.ops.lsr1.detect_keypoints.poll() and "no OpenCV" in said[-1]
    monkeypatch.undo()
    for chosen, words in ((tmp_path / "heavy.onnx", "no landmark model"), (WALK, "is no landmark model")):
        monkeypatch.setattr(detect, "preferred_landmark_model", lambda _, chosen=chosen: chosen)
        with pytest.raises(RuntimeError, match=words):
            bpy.ops.lsr1.detect_keypoints()
