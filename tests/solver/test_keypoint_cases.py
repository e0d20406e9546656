"""Real files of detectors and the cases with known answers, where the data folder is there."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from lsr1_solver.camera import camera_from_focal
from lsr1_solver.errors import FitError
from lsr1_solver.keypoint_files import read_keypoints
from lsr1_solver.keypoints import FORMATS, Keypoints2D
from lsr1_solver.model_file import load_body_model
from lsr1_solver.problem import FitProblem
from tests.shared import SHARED, needs_shared

KEYPOINTS, CASES = SHARED / "keypoints", SHARED / "cases"
BOXES = "coco_results/test_coco_det_AP_H_56.json"
SIZE = (1280, 720)

# File, format, people, frames, frames in which the first person is seen.
FILES = [
    ("alphapose/first_30_frames.json", "COCO_17", 4, 30, 30),
    ("alphapose/poseflow_alpha-pose-results-sample.json", "MPII_16", 3, 1, 1),
    ("coco_annotations/test_coco.json", "COCO_17", 12, 4, 1),
    ("coco_wholebody/test_coco_wholebody.json", "COCO_WHOLEBODY_133", 12, 4, 1),
    ("deeplabcut_csv/deeplabcut_predictions_3row_header.csv", "CUSTOM_2", 1, 5, 3),
    ("freemocap_csv/freemocap_by_frame_long.csv", "BLAZEPOSE_33", 1, 2, 2),
    ("freemocap_csv/freemocap_wide_mediapipe_body_3d_xyz.csv", "BLAZEPOSE_33", 1, 2, 2),
    ("mediapipe_csv/cells_as_xy_lists_landmarks.csv", "BLAZEPOSE_33", 1, 11, 11),
    ("mediapipe_csv/long_Frame_LandmarkID_XY.csv", "BLAZEPOSE_33", 1, 13, 13),
    ("mediapipe_csv/long_iter_id_xy_pixels_landmarks.csv", "BLAZEPOSE_33", 1, 19, 19),
    ("mediapipe_csv/wide_L0_x_pose_landmarks.csv", "BLAZEPOSE_33", 1, 11, 11),
    ("openpose_body25/spin_im1010_openpose.json", "BODY_25", 1, 1, 1),
    ("openpose_v1_coco18/hmr_random_keypoints.json", "COCO_18", 2, 1, 1),
]


def expected(case: str) -> dict[str, dict[str, list[float]]]:
    return json.loads((CASES / case / "expected.json").read_text())


def point(read: Keypoints2D, frame: int, name: str) -> np.ndarray:
    return read.xy[frame, read.format.index(name)]


@needs_shared("keypoints")
def test_every_file_of_the_folder_is_in_the_table() -> None:
    found = {str(p.relative_to(KEYPOINTS).as_posix()) for p in KEYPOINTS.glob("*/*")}
    assert found == {name for name, *_ in FILES} | {BOXES}


@needs_shared("keypoints")
@pytest.mark.parametrize(("name", "layout", "people", "frames", "seen"), FILES)
def test_real_files_read(name: str, layout: str, people: int, frames: int, seen: int) -> None:
    result = read_keypoints(KEYPOINTS / name, image_size=SIZE)
    assert (result[0].format.name, len(result), len(result[0])) == (layout, people, frames)
    assert result[0].present.sum() == seen
    for read in result:
        assert np.isfinite(read.xy).all() and (read.confidence <= 1).all() and read.present.any()
        assert read.frame_numbers is not None and (np.diff(read.frame_numbers) == 1).all()


@needs_shared("keypoints")
@pytest.mark.parametrize(
    "name", [name for name, layout, *_ in FILES if layout in FORMATS and "freemocap" not in name]
)
def test_real_people_hold_together(name: str) -> None:
    """Lines of the skeleton are short beside the person: the order of points is the format's."""
    read = read_keypoints(KEYPOINTS / name, image_size=SIZE)[0]
    frame = int(np.flatnonzero(read.present)[0])
    sure = read.confidence[frame] > 0
    xy = read.xy[frame]
    size = np.linalg.norm(np.ptp(xy[sure], axis=0))
    lengths = [np.linalg.norm(xy[a] - xy[b]) / size for a, b in read.format.edges if sure[a] and sure[b]]
    assert len(lengths) > 8
    # Two random points of such a box lie 0.4 apart.
    assert np.mean(lengths) < 0.3


@needs_shared("keypoints")
def test_a_table_s_numbers_arrive() -> None:
    name = "mediapipe_csv/wide_L0_x_pose_landmarks.csv"
    read = read_keypoints(KEYPOINTS / name, image_size=SIZE)[0]
    with (KEYPOINTS / name).open() as file:
        rows = list(csv.DictReader(file))
    assert read.frame_numbers is not None
    assert read.frame_numbers.tolist() == [int(row["frame"]) for row in rows]
    for t, row in enumerate(rows):
        for i in (0, 16, 32):
            assert read.xy[t, i] == pytest.approx([float(row[f"L{i}_x"]) * 1280, float(row[f"L{i}_y"]) * 720])
            assert read.confidence[t, i] == pytest.approx(float(row[f"L{i}_visibility"]))


@needs_shared("keypoints")
def test_boxes_alone_are_no_keypoints() -> None:
    with pytest.raises(FitError, match="entry 0 is a box without keypoints"):
        read_keypoints(KEYPOINTS / BOXES)


@needs_shared("cases")
@pytest.mark.parametrize("case", ["01_nan_null_inf", "05_zero_means_missing"])
def test_missing_points_are_named(case: str) -> None:
    (read,) = read_keypoints(CASES / case / "clip_000000000000_keypoints.json")
    assert sorted(read.missing(0)) == sorted(expected(case)["missing"])
    assert np.isfinite(read.xy).all()


@needs_shared("cases")
def test_twelve_frames_stay_twelve() -> None:
    case = "02_gap_frames"
    (read,) = read_keypoints(CASES / case / "op")
    numbers = json.loads((CASES / case / "expected.json").read_text())
    gaps = numbers["empty"] + numbers["absent"]
    assert len(read) == numbers["frames"]
    assert np.flatnonzero(~read.present).tolist() == sorted(gaps)
    ninth = json.loads((CASES / case / "op" / "clip_000000000009_keypoints.json").read_text())
    flat = np.array(ninth["people"][0]["pose_keypoints_2d"]).reshape(25, 3)
    assert np.allclose(read.xy[9], flat[:, :2])


@needs_shared("cases")
def test_two_people_who_swap_places_in_the_file_are_two_tracks() -> None:
    case = "03_person_order_swap"
    result = read_keypoints(CASES / case / "op")
    order = json.loads((CASES / case / "expected.json").read_text())["order"]
    assert len(result) == 2
    hips = np.stack([read.xy[:, read.format.index("mid_hip")] for read in result])
    assert np.linalg.norm(np.diff(hips, axis=1), axis=-1).max() < 60
    # order[t] says which person stands where in the file: the same person has to be the same track.
    a = int(hips[0, 0, 0] > hips[1, 0, 0])
    for t, people in enumerate(order):
        file = json.loads((CASES / case / "op" / f"clip_{t:012d}_keypoints.json").read_text())
        entry = file["people"][people.index(0)]["pose_keypoints_2d"]
        assert hips[a, t] == pytest.approx(entry[24:26])
    assert hips[a, 0, 0] < hips[1 - a, 0, 0] and (np.diff(hips[a, :, 0]) > 0).all()


@needs_shared("cases")
def test_mediapipe_portrait_in_pixels() -> None:
    case = "06_mediapipe_portrait"
    (read,) = read_keypoints(CASES / case / "pose_landmarks.json")
    assert read.image_size == (1080, 1920)
    for name, pixels in expected(case)["pixels"].items():
        assert point(read, 0, name) == pytest.approx(pixels, abs=0.01)


@needs_shared("cases")
@pytest.mark.parametrize(
    ("folder", "first"), [("zero_based", 0), ("vfx_1001", 1001), ("stem_digit", 1), ("unpadded", 8)]
)
def test_frame_numbers(folder: str, first: int) -> None:
    case = "18_frame_numbering"
    (read,) = read_keypoints(CASES / case / folder)
    hips = json.loads((CASES / case / "expected.json").read_text())["mid_hip_px"]
    assert read.frame_numbers is not None
    assert read.frame_numbers.tolist() == list(range(first, first + len(hips)))
    assert np.allclose(read.xy[:, read.format.index("mid_hip")], hips, rtol=0, atol=0.006)


@needs_shared("cases")
def test_right_is_the_subject_s_right_and_y_points_down() -> None:
    case = "24_mirror_and_yflip"
    (read,) = read_keypoints(CASES / case / "clip_000000000000_keypoints.json")
    assert point(read, 0, "right_wrist") == pytest.approx(expected(case)["right_wrist_px"], abs=0.01)
    assert point(read, 0, "right_wrist")[0] < point(read, 0, "left_wrist")[0]
    assert point(read, 0, "nose")[1] < point(read, 0, "mid_hip")[1] < point(read, 0, "left_heel")[1]


@needs_shared("cases")
@pytest.mark.parametrize("folder", ["17_frame_rates/op", "27_refit_keeps_edits/op"])
def test_whole_clips_are_one_track(folder: str) -> None:
    (read,) = read_keypoints(CASES / folder)
    assert read.present.all() and len(read) == len(list(Path(CASES / folder).iterdir()))


@needs_shared("cases")
@pytest.mark.parametrize("name", ["10_depth_flip_knee", "30_same_input_same_answer", "14_focal_length"])
def test_stills_read_the_same_twice(name: str) -> None:
    for path in sorted((CASES / name).glob("*_keypoints.json")):
        (first,), (second,) = read_keypoints(path), read_keypoints(path)
        assert np.array_equal(first.xy, second.xy) and first.confidence.min() > 0


@needs_shared("keypoints")
def test_points_in_space_alone_are_refused_by_name() -> None:
    (read,) = read_keypoints(KEYPOINTS / "freemocap_csv" / "freemocap_by_frame_long.csv")
    with pytest.raises(FitError, match="3D keypoints alone"):
        FitProblem(load_body_model(), camera_from_focal(1000, (1000, 1000)), read)
