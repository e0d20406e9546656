"""Readers of tables, of MediaPipe's JSON and of PHALP's tracks, by files written here."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lsr1_solver.errors import FitError
from lsr1_solver.keypoint_files import read_keypoints
from lsr1_solver.keypoints import BLAZEPOSE_33, PHALP_45
from tests.solver.stick_people import stick

SIZE = (1080, 1920)
NAMES = BLAZEPOSE_33.names
PHALP = Path(__file__).parent / "data" / "phalp_tracks.pkl"
Rows = list[list[object]]


def walk() -> np.ndarray:
    """[4, 33, 3] fractions of the picture and visibility; a foot lies beyond the lower border."""
    pixels = np.stack([stick(BLAZEPOSE_33, 500 + 10 * t, 1100, 1700) for t in range(4)])
    return np.concatenate([pixels[..., :2] / SIZE, pixels[..., 2:]], axis=-1)


def write(path: Path, rows: Rows, delimiter: str = ",") -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def wide(titles: Callable[[int], tuple[str, ...]], frames: bool, parts: tuple[int, ...]) -> Rows:
    """A row a frame; ``parts`` which of x, y, visibility stand under the titles of each landmark."""
    lead: list[object] = ["frame"] if frames else []
    rows: Rows = [[*lead, *(title for i in range(33) for title in titles(i))]]
    for t, points in enumerate(walk()):
        rows.append([*([t + 1] if frames else []), *points[:, parts].ravel().tolist()])
    return rows


WIDE = {
    "numbered": wide(lambda i: (f"L{i}_x", f"L{i}_y", f"L{i}_visibility"), True, (0, 1, 2)),
    "named": wide(lambda i: (f"{NAMES[i].upper()}_x", f"{NAMES[i].upper()}_y"), False, (0, 1)),
    "with depth": wide(lambda i: (f"{NAMES[i]}_x", f"{NAMES[i]}_y", f"{NAMES[i]}_z"), True, (0, 1, 2)),
    "coordinate first": wide(lambda i: (f"x{i + 1}", f"y{i + 1}", f"v{i + 1}"), False, (0, 1, 2)),
    "without a header": wide(lambda i: ("", ""), False, (0, 1))[1:],
}


@pytest.mark.parametrize("rows", WIDE.values(), ids=WIDE.keys())
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_mediapipe_s_wide_tables(tmp_path: Path, rows: Rows, delimiter: str) -> None:
    (read,) = read_keypoints(write(tmp_path / "a.csv", rows, delimiter), image_size=SIZE)
    assert read.format is BLAZEPOSE_33 and read.image_size == SIZE
    assert np.allclose(read.xy, walk()[..., :2] * SIZE)
    assert set(np.unique(read.confidence)) <= {0.9, 1.0}
    assert read.frame_numbers is not None and len(set(np.diff(read.frame_numbers))) == 1


@pytest.mark.parametrize("columns", [("Frame", "LandmarkID", "X", "Y"), ("iter", "id", "x", "y")])
def test_mediapipe_s_long_tables(tmp_path: Path, columns: tuple[str, ...]) -> None:
    rows: Rows = [list(columns)]
    for t, points in enumerate(walk()):
        rows.extend([t, i, *points[i, :2].tolist()] for i in range(11, 33))
    (read,) = read_keypoints(write(tmp_path / "a.csv", rows), image_size=SIZE)
    assert np.allclose(read.xy[:, 11:], walk()[:, 11:, :2] * SIZE)
    assert (read.confidence[:, :11] == 0).all() and (read.confidence[:, 11:] == 1).all()
    with pytest.raises(FitError, match="line 24 gives landmark 11 of its frame a second time"):
        read_keypoints(write(tmp_path / "b.csv", [*rows[:23], rows[1]]), image_size=SIZE)


def test_cells_that_hold_a_pair(tmp_path: Path) -> None:
    rows: Rows = [list(range(33))]
    rows.extend([str(p[:2].tolist()) for p in points] for points in walk())
    rows[2][5] = ""
    (read,) = read_keypoints(write(tmp_path / "a.csv", rows), image_size=SIZE)
    expected = walk()[..., :2] * SIZE
    expected[1, 5] = 0
    assert np.allclose(read.xy, expected)
    assert read.missing(1) == (NAMES[5],)


def test_pixels_are_told_from_fractions(tmp_path: Path) -> None:
    rows: Rows = [["iter", "id", "x", "y"]]
    rows.extend([0, i, *(walk()[0, i, :2] * SIZE).round().tolist()] for i in range(33))
    (read,) = read_keypoints(write(tmp_path / "a.csv", rows))
    assert np.allclose(read.xy[0], walk()[0, :, :2] * SIZE, atol=0.5)


def test_fractions_need_the_picture_s_size(tmp_path: Path) -> None:
    with pytest.raises(FitError, match=r"image_size=\(width, height\)"):
        read_keypoints(write(tmp_path / "a.csv", WIDE["numbered"]))


def landmarks(points: np.ndarray) -> list[dict[str, float]]:
    return [{"x": x, "y": y, "z": -0.1, "visibility": v, "presence": 1.0} for x, y, v in points.tolist()]


def test_mediapipe_json_in_its_shapes(tmp_path: Path) -> None:
    frames = [{"frame": t, "pose_landmarks": [landmarks(p)]} for t, p in enumerate(walk())]
    frames.insert(2, {"frame": 9, "pose_landmarks": []})
    shapes: dict[str, object] = {
        "frames": {"image_width": SIZE[0], "image_height": SIZE[1], "frames": frames},
        "list": frames,
        "one person's points": [{**f, "pose_landmarks": (f["pose_landmarks"] or [None])[0]} for f in frames],  # type: ignore[index]
    }
    for name, document in shapes.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(document))
        (read,) = read_keypoints(path, image_size=None if name == "frames" else SIZE)
        assert read.image_size == SIZE
        assert read.present.tolist() == [True] * 4 + [False] * 6
        assert np.allclose(read.xy[:4], walk()[..., :2] * SIZE)
        assert read.xy[..., 1].max() > SIZE[1]


def test_mediapipe_s_world_landmarks_are_metres_in_camera_axes(tmp_path: Path) -> None:
    world = [{"x": 0.1 * i, "y": -0.2, "z": 0.3, "visibility": 0.8} for i in range(33)]
    frame = {"pose_landmarks": [landmarks(walk()[0])], "pose_world_landmarks": [world]}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(frame))
    (read,) = read_keypoints(path, image_size=SIZE)
    assert read.xyz is not None and read.xyz_confidence is not None
    assert np.allclose(read.xyz[0, 7], [0.7, 0.2, -0.3]) and read.xyz_confidence[0, 7] == 0.8


def test_deeplabcut_with_blanks_gaps_and_individuals(tmp_path: Path) -> None:
    parts = ["LShoulder", "RShoulder", "tail"]
    header: Rows = [
        ["scorer", *["net"] * 9],
        ["bodyparts", *(p for p in parts for _ in range(3))],
        ["coords", *["x", "y", "likelihood"] * 3],
    ]
    rows: Rows = [*header, [0, *range(10, 19)], [3, 20, 21, 0.5, "", "", "", 1, 2, 0.25]]
    (read,) = read_keypoints(write(tmp_path / "a.csv", rows))
    assert read.format.names == tuple(parts)
    assert read.format.joints == ("coco_left_shoulder", "coco_right_shoulder", None)
    assert read.present.tolist() == [True, False, False, True]
    assert read.xy[3].tolist() == [[20.0, 21.0], [0.0, 0.0], [1.0, 2.0]]
    assert read.confidence[3].tolist() == [0.5, 0.0, 0.25]
    two: Rows = [
        ["scorer", *["net"] * 12],
        ["individuals", *["a"] * 6, *["b"] * 6],
        ["bodyparts", *["nose"] * 3, *["neck"] * 3, *["nose"] * 3, *["neck"] * 3],
        ["coords", *["x", "y", "likelihood"] * 4],
        ["img001.png", 10, 10, 1, 10, 60, 1, 500, 10, 1, 500, 300, 1],
        ["img002.png", *[""] * 6, 510, 10, 1, 510, 300, 1],
    ]
    large, small = read_keypoints(write(tmp_path / "b.csv", two))
    assert large.xy[:, 0, 0].tolist() == [500.0, 510.0] and large.present.all()
    assert small.present.tolist() == [True, False]


def test_freemocap_in_metres(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-2000, 2000, (3, 33, 3))
    points[1, 4] = np.nan
    header: list[object] = [f"body_{n}_{axis}" for n in NAMES for axis in "xyz"]
    (a,) = read_keypoints(write(tmp_path / "a.csv", [header, *(p.ravel().tolist() for p in points)]))
    long: Rows = [["frame", "timestamp", "model", "keypoint", "x", "y", "z", "reprojection_error"]]
    for t in range(3):
        long.extend([t, "", "mediapipe_body", n, *points[t, i].tolist(), 3] for i, n in enumerate(NAMES))
        long.append([t, "", "mediapipe_hand", "right_0000", 1, 2, 3, 4])
    (b,) = read_keypoints(write(tmp_path / "b.csv", long))
    for read in (a, b):
        assert read.xyz is not None and read.xyz_confidence is not None
        assert np.allclose(read.xyz, np.nan_to_num(points) / 1000)
        assert read.xyz_confidence[1, 4] == 0 and read.present.all() and not read.confidence.any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame,L0_x,L0_y\n1,0.5\n", r"a.csv, line 2 has 2 cells; 3 are right"),
        ("frame,L0_x,L0_y\n1,0.5,left\n", r"a.csv, line 2\[1\] holds 'left'; a number is right"),
        ("name,age\nanna,5\n", "begins no known table"),
        ("1,2,3\n", "3 numbers and no header; 66, 99 or 132"),
        ("scorer,a\nparts,b\n", "scorer, bodyparts, coords"),
        ("frame,L0_x,L0_y\n", "no person in any of its 0 frames"),
        ("frame,id,x,y\n0,55,1,2\n", "BlazePose's landmarks are 0 to 32"),
    ],
)
def test_a_bad_table_is_answered_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(FitError, match=message):
        read_keypoints(path, image_size=SIZE)


def test_phalp_s_tracks_in_a_file_of_joblib() -> None:
    """The file was written by joblib 1.6.0, compressed: three frames of 1280 x 720, nobody in the second.

    Its points run from 0 to 1 over x and y in turn, half of that in the third frame; a second person of the
    first is a guess of the tracker.
    """
    (read,) = read_keypoints(PHALP)
    assert read.format is PHALP_45 and read.image_size == (1280, 720) and read.frame_numbers is not None
    assert read.frame_numbers.tolist() == [3, 4, 5]
    assert read.present.tolist() == [True, False, True]
    points = (np.arange(90) / 90).reshape(45, 2)
    assert np.allclose(read.xy[0], points * 1280 - [0, 280], atol=1e-3)
    assert np.allclose(read.xy[2], points * 640 - [0, 280], atol=1e-3)


def test_a_hostile_or_broken_joblib_file_is_refused(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    path = tmp_path / "a.pkl"
    path.write_bytes(f"cos\nsystem\n(S'touch {victim}'\ntR.".encode())
    with pytest.raises(FitError):
        read_keypoints(path)
    path.write_bytes(b"\x80\x02" + f"cos\nsystem\n(S'touch {victim}'\ntR.".encode())
    with pytest.raises(FitError, match=r"os\.system"):
        read_keypoints(path)
    assert not victim.exists()
    for size in (1, 5, 300, 1000):
        path.write_bytes(PHALP.read_bytes()[:size])
        with pytest.raises(FitError, match="no whole joblib file"):
            read_keypoints(path)
