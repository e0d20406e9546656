"""The detector on the product's own pictures, and against the program that its models come from."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lsr1_solver import FitError, read_keypoints
from lsr1_solver.detect_command import detect_people
from lsr1_solver.detector import Detector, people_of_clip
from lsr1_solver.keypoint_files import write_keypoints
from lsr1_solver.keypoints import BLAZEPOSE_33, BODY_25B
from lsr1_solver.picture_files import open_footage, read_picture
from tests.shared import REPOSITORY

cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install opencv-python-headless")

WALK = REPOSITORY / "assets" / "samples" / "walk"
DEMO = REPOSITORY / "assets" / "pictures" / "demo.jpg"
MEDIAPIPE = REPOSITORY / ".venv-mediapipe" / "bin" / "python"
REFERENCE = """
import json, sys, cv2, mediapipe
image = cv2.cvtColor(cv2.imread(sys.argv[1]), cv2.COLOR_BGR2RGB)
with mediapipe.solutions.pose.Pose(static_image_mode=True, model_complexity=1) as pose:
    found = pose.process(image).pose_landmarks.landmark
print(json.dumps([[p.x * image.shape[1], p.y * image.shape[0]] for p in found]))
"""
# What both OpenPose and BlazePose mark, in their own orders.
JOINTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
NAMES = [f"{side}_{joint}" for joint in JOINTS for side in ("left", "right")]
OURS = [BLAZEPOSE_33.index(name) for name in NAMES]
THEIRS = [BODY_25B.index(name) for name in NAMES]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return next(open_footage(WALK / "walk.mp4").frames())[1]


def openpose(frames: slice) -> np.ndarray:
    with np.load(WALK / "four_cameras.npz") as data:
        camera = data["names"].tolist().index("cam02")
        return data["keypoints"][camera, frames][:, THEIRS, :2]


def test_the_largest_person_stands_where_openpose_sees_him(detector: Detector, picture: np.ndarray) -> None:
    person = detector.detect(picture)[0]
    apart = np.linalg.norm(person.xy[:, OURS] - openpose(slice(0, 1)), axis=-1)
    height = np.ptp(openpose(slice(0, 1))[..., 1])
    assert np.median(apart) < 0.05 * height
    assert person.image_size == (1080, 1920) and person.format is BLAZEPOSE_33


def test_a_person_in_a_box_is_the_one_found_without(detector: Detector, picture: np.ndarray) -> None:
    free = detector.detect(picture)[0]
    low, high = free.xy[0].min(axis=0), free.xy[0].max(axis=0)
    (boxed,) = detector.detect(picture, (low[0], low[1], high[0], high[1]))
    assert np.median(np.linalg.norm(boxed.xy - free.xy, axis=-1)) < 0.02 * np.ptp(free.xy[0, :, 1])
    with pytest.raises(FitError, match="is empty"):
        detector.detect(picture, (5, 5, 5, 90))


def test_the_points_in_metres_are_in_camera_axes(detector: Detector, picture: np.ndarray) -> None:
    person = detector.detect(picture)[0]
    assert person.xyz is not None
    seen, metres = person.xy[0], person.xyz[0]
    for axis, sign in ((0, 1), (1, -1)):
        assert np.corrcoef(sign * seen[:, axis], metres[:, axis])[0, 1] > 0.95
    hips = metres[[BLAZEPOSE_33.index("left_hip"), BLAZEPOSE_33.index("right_hip")]]
    assert np.abs(hips.mean(axis=0)).max() < 0.05
    # He walks towards the camera: the nose is nearer to it than the ears, and z points towards the viewer.
    ears = [BLAZEPOSE_33.index("left_ear"), BLAZEPOSE_33.index("right_ear")]
    assert metres[BLAZEPOSE_33.index("nose"), 2] > metres[ears, 2].mean()


def test_a_picture_in_a_larger_one_gives_the_same_person_moved(detector: Detector) -> None:
    image = read_picture(DEMO)
    wide = np.pad(image, ((40, 60), (300, 20), (0, 0)))
    free, moved = detector.detect(image)[0], detector.detect(wide)[0]
    apart = np.linalg.norm(moved.xy - free.xy - np.array([300, 40]), axis=-1)
    assert np.median(apart) < 0.02 * np.ptp(free.xy[0, :, 1])


def test_two_people_are_followed_and_told_apart(detector: Detector) -> None:
    footage = open_footage(WALK / "walk.mp4")
    found = list(detector.track((image for _, image in footage.frames(0, 6)), frame_rate=60))
    people = people_of_clip(found, np.arange(10, 16))
    assert len(people) == 2
    assert all(person.present.all() for person in people)
    assert people[0].numbers.tolist() == list(range(10, 16))
    apart = np.linalg.norm(people[0].xy[:, OURS] - openpose(slice(0, 6)), axis=-1)
    assert np.median(apart) < 0.05 * np.ptp(openpose(slice(0, 1))[..., 1])
    assert np.linalg.norm(people[0].xy - people[1].xy, axis=-1).min() > 10


def test_who_is_lost_is_found_again(detector: Detector, picture: np.ndarray) -> None:
    black = np.zeros_like(picture)
    found = list(detector.track([picture, black, picture], box=(300, 350, 760, 1150)))
    assert [len(people) for people in found] == [1, 0, 1]
    (person,) = people_of_clip(found, np.arange(3))
    assert person.present.tolist() == [True, False, True]


def test_nobody_is_an_empty_list_and_then_an_error(detector: Detector) -> None:
    black = np.zeros((90, 160, 3), dtype=np.uint8)
    assert detector.detect(black) == []
    with pytest.raises(FitError, match="Nobody was found in 2 frames"):
        people_of_clip([[], []], np.arange(2))
    with pytest.raises(FitError, match="right is uint8"):
        detector.detect(black.astype(np.float32))


@pytest.mark.parametrize("name", ["clip.json", "clip"])
def test_what_is_written_is_read_back(detector: Detector, name: str, tmp_path: Path) -> None:
    for number in (7, 8):
        (tmp_path / f"shot_{number}.jpg").write_bytes(DEMO.read_bytes())
    people = detect_people(open_footage(tmp_path), detector)
    write_keypoints(tmp_path / name, people)
    back = read_keypoints(tmp_path / name)
    assert len(back) == len(people)
    for ours, read in zip(people, back, strict=True):
        assert read.format is BLAZEPOSE_33 and read.numbers.tolist() == [7, 8]
        assert np.abs(read.xy - ours.xy).max() < 0.01
        assert np.abs(read.confidence - ours.confidence).max() < 1e-3
        if name.endswith(".json"):
            assert read.xyz is not None and ours.xyz is not None and read.image_size == ours.image_size
            assert np.abs(read.xyz - ours.xyz).max() < 1e-4


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FitError, match="cannot be read"):
        Detector(tmp_path / "absent.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(FitError, match="is no model"):
        Detector(tmp_path / "text.onnx")
    with pytest.raises(FitError, match="right are Identity"):
        Detector(REPOSITORY / "assets" / "detector" / "person.onnx.gz")


@pytest.mark.skipif(
    not MEDIAPIPE.exists(), reason="needs .venv-mediapipe, a Python 3.11 with mediapipe==0.10.21"
)
def test_mediapipe_agrees(detector: Detector) -> None:
    run = [str(MEDIAPIPE), "-c", REFERENCE, str(DEMO)]
    said = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    theirs = np.array(json.loads(said.splitlines()[-1]))
    ours = detector.detect(read_picture(DEMO))[0]
    nearest = np.linalg.norm(ours.xy[0] - theirs, axis=-1)
    side = 1.25 * np.ptp(theirs[:, 1])
    assert np.median(nearest) < 0.005 * side
