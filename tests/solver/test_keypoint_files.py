"""Readers of JSON and of folders, by files written here. Tables: test_keypoint_tables.py."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from lsr1_solver.errors import FitError
from lsr1_solver.keypoint_files import read_keypoints
from lsr1_solver.keypoints import (
    BODY_25,
    BODY_25B,
    COCO_17,
    COCO_18,
    COCO_WHOLEBODY_133,
    CROWDPOSE_14,
    HALPE_26,
    HALPE_136,
    POSETRACK_17,
    KeypointFormat,
    Keypoints2D,
)
from tests.solver.stick_people import stick


def write(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def flat(person: np.ndarray) -> list[float]:
    return person.ravel().tolist()


def openpose(*people: np.ndarray, key: str = "pose_keypoints_2d") -> dict[str, object]:
    return {"version": 1.3, "people": [{"person_id": [-1], key: flat(p)} for p in people]}


def same(read: Keypoints2D, frame: int, person: np.ndarray) -> bool:
    known = person[:, 2] > 0
    return np.allclose(read.xy[frame], person[:, :2] * known[:, None]) and np.allclose(
        read.confidence[frame], person[:, 2]
    )


@pytest.mark.parametrize("layout", [BODY_25, BODY_25B, COCO_18, COCO_17, HALPE_26])
def test_openpose_formats_are_told_apart(tmp_path: Path, layout: KeypointFormat) -> None:
    person = stick(layout, 400, 300, 500, 0.2)
    (read,) = read_keypoints(write(tmp_path / "a_keypoints.json", openpose(person)))
    assert read.format is layout
    assert same(read, 0, person)


@pytest.mark.parametrize(
    ("kind", "begin"), [("openpose", 0.0), ("openpose", -1.0), ("coco", 0.0), ("alphapose", 0.0)]
)
def test_fractions_of_the_picture_become_pixels_in_every_kind_of_file(
    tmp_path: Path, kind: str, begin: float
) -> None:
    """OpenPose's --keypoint_scale 3 and 4; others' have one way."""
    size, layout = np.array([1280.0, 720.0]), BODY_25 if kind == "openpose" else COCO_17
    person = stick(layout, 300, 400, 500)
    person[3] = 0
    given = person.copy()
    given[:, :2] = begin + (person[:, :2] / size) * (1 - begin)
    given[3] = 0
    documents = {
        "openpose": openpose(given),
        "coco": {"annotations": [{"image_id": 1, "keypoints": flat(given)}]},
        "alphapose": [{"image_id": "1.jpg", "keypoints": flat(given), "score": 1.0}],
    }
    path = write(tmp_path / "a_000.json", documents[kind])
    with pytest.raises(FitError, match="the picture's size"):
        read_keypoints(path)
    (read,) = read_keypoints(path, image_size=(1280, 720))
    assert np.allclose(read.xy[0], person[:, :2]) and read.image_size == (1280, 720)
    # Pixels stay pixels, near the picture's corner too.
    person = stick(layout, 12, 20, 30)
    (read,) = read_keypoints(write(path, openpose(person)), image_size=(1280, 720))
    assert same(read, 0, person)


def test_openpose_1_0_has_another_key(tmp_path: Path) -> None:
    person = stick(COCO_18, 400, 300, 500)
    (read,) = read_keypoints(write(tmp_path / "a.json", openpose(person, key="pose_keypoints")))
    assert read.format is COCO_18 and same(read, 0, person)


def test_an_explicit_format_wins(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "cam01.0000.json", openpose(stick(BODY_25B, 400, 300, 500)))
    with caplog.at_level(logging.WARNING):
        assert read_keypoints(path)[0].format is BODY_25B
    assert "BODY_25B" in caplog.text and "format=" in caplog.text
    assert read_keypoints(path, format="BODY_25")[0].format is BODY_25
    with pytest.raises(FitError, match=r"25 points; COCO_17 has 17"):
        read_keypoints(path, format=COCO_17)


def test_nothing_but_feet_is_body_25_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    person = stick(BODY_25, 400, 300, 500)
    person[:19] = 0
    with caplog.at_level(logging.WARNING):
        (read,) = read_keypoints(write(tmp_path / "a.json", openpose(person)))
    assert read.format is BODY_25 and "BODY_25B" in caplog.text


def test_numbers_may_be_missing_in_every_way(tmp_path: Path) -> None:
    values: list[object] = [*flat(stick(COCO_18, 400, 300, 500))]
    for point, stand_in in enumerate([None, "", "NaN", float("nan"), float("inf"), 0]):
        values[3 * point : 3 * point + 2] = [stand_in, stand_in]
    values[3 * 6 + 2] = None
    values[3 * 7 : 3 * 7 + 3] = ["12.5", "20", "0.5"]
    people = [{"pose_keypoints_2d": values}]
    (read,) = read_keypoints(write(tmp_path / "a.json", {"people": people}))
    assert np.flatnonzero(read.confidence[0] == 0).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert read.xy[0, 7].tolist() == [12.5, 20.0] and read.confidence[0, 7] == 0.5


def test_a_folder_is_a_clip_with_gaps(tmp_path: Path) -> None:
    for number in (8, 9, 10, 12):
        people = [] if number == 9 else [stick(BODY_25, 300 + 5 * number, 400, 500)]
        write(tmp_path / f"shot2_f{number}_keypoints.json", openpose(*people))
    write(tmp_path / "notes.json", {"anything": 1})
    (read,) = read_keypoints(tmp_path)
    assert read.frame_numbers is not None
    assert read.frame_numbers.tolist() == [8, 9, 10, 11, 12]
    assert read.present.tolist() == [True, False, True, False, True]
    assert same(read, 4, stick(BODY_25, 360, 400, 500))


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["test1_001", "test1_002"], [1, 2]),
        (["sh010_v2_1001", "sh010_v2_1002"], [1001, 1002]),
        (["cam01.0000", "cam01.0001"], [0, 1]),
        (["2024-05-01_10-00-59_7", "2024-05-01_10-01-00_8"], [7, 8]),
        (["1716800000000", "1716800000040", "1716800000081"], [0, 1, 2]),
        (["anna", "bert"], [0, 1]),
    ],
)
def test_frame_numbers_come_from_what_varies(tmp_path: Path, names: list[str], numbers: list[int]) -> None:
    for i, name in enumerate(names):
        write(tmp_path / f"{name}.json", openpose(stick(BODY_25, 400 + i, 300, 500)))
    (read,) = read_keypoints(tmp_path)
    assert read.frame_numbers is not None
    assert read.frame_numbers.tolist() == numbers
    assert read.xy[:, 8, 0].tolist() == [400.0 + i for i in range(len(names))]


def test_tracks_come_in_order_of_prominence_and_one_can_be_picked(tmp_path: Path) -> None:
    for t in range(6):
        people = [stick(BODY_25, 200, 300, 150), stick(BODY_25, 800 + t, 400, 500)][:: 1 if t % 2 else -1]
        write(tmp_path / f"{t}_keypoints.json", openpose(*people))
    large, small = read_keypoints(tmp_path)
    assert large.xy[3, 8].tolist() == [803.0, 400.0] and small.xy[3, 8].tolist() == [200.0, 300.0]
    (picked,) = read_keypoints(tmp_path, person=1)
    assert np.array_equal(picked.xy, small.xy)
    with pytest.raises(FitError, match="person is 0 to 1, not 2"):
        read_keypoints(tmp_path, person=2)


def coco(layout: KeypointFormat, frames: int, **extra: object) -> dict[str, object]:
    """An annotation file of one person who walks; visibility 2."""
    annotations = []
    for t in range(frames):
        person = stick(layout, 300 + t, 400, 300)
        person[:, 2] = np.where(person[:, 2] > 0, 2, 0)
        points = flat(person)
        annotations.append({"image_id": 100 + t, "id": t, "keypoints": points, "num_keypoints": 9, **extra})
    images = [
        {"id": 100 + t, "file_name": f"v/{t + 5}.jpg", "width": 640, "height": 480} for t in range(frames)
    ]
    names = [] if len(layout) == 136 else list(layout.names)
    return {"images": images, "annotations": annotations, "categories": [{"keypoints": names}]}


@pytest.mark.parametrize("layout", [COCO_17, CROWDPOSE_14, POSETRACK_17, HALPE_26, HALPE_136])
def test_coco_annotations_of_a_video_are_one_track(tmp_path: Path, layout: KeypointFormat) -> None:
    (read,) = read_keypoints(write(tmp_path / "a.json", coco(layout, 12, iscrowd=0)))
    assert read.format is layout and read.image_size == (640, 480) and read.frame_numbers is not None
    assert read.frame_numbers.tolist() == list(range(5, 17))
    assert set(np.unique(read.confidence)) <= {0.0, 1.0}


def test_visibility_flags_are_no_scores(tmp_path: Path) -> None:
    document = coco(COCO_17, 1)
    points = stick(COCO_17, 300, 400, 300)
    points[:, 2] = [2] * 15 + [1, 0]
    document["annotations"] = [
        {"image_id": 100, "keypoints": flat(points)},
        {"image_id": 100, "keypoints": [0] * 51, "num_keypoints": 0},
        {"image_id": 100, "keypoints": flat(points), "iscrowd": 1},
    ]
    (read,) = read_keypoints(write(tmp_path / "a.json", document))
    assert read.confidence[0].tolist() == [1.0] * 15 + [0.5, 0.0]


def test_photos_are_not_followed(tmp_path: Path) -> None:
    document = coco(COCO_17, 3)
    for i, image in enumerate(document["images"] if isinstance(document["images"], list) else []):
        image.update(file_name=f"{785 + 9000 * i**2:012d}.jpg")
    assert len(read_keypoints(write(tmp_path / "a.json", document))) == 3


def test_track_ids_of_the_file_are_kept(tmp_path: Path) -> None:
    entries = []
    for t in range(4):
        for idx, x in ((5, 100 + 250 * t), (2, 900 - 250 * t)):  # farther than pose alone would follow
            person = flat(stick(COCO_17, x, 400, 300))
            entries.append({"image_id": f"{t}.jpg", "keypoints": person, "score": 3.0, "idx": idx})
    first, second = read_keypoints(write(tmp_path / "alphapose-results.json", entries[::-1]))
    found = sorted(k.xy[:, 0, 0].tolist() for k in (first, second))
    assert found == [[100.0, 350.0, 600.0, 850.0], [900.0, 650.0, 400.0, 150.0]]


def test_alphapose_sorts_pictures_by_number_and_clips_scores(tmp_path: Path) -> None:
    entries = []
    for t in (9, 10, 12, 11):
        person = stick(HALPE_26, 100 + t, 400, 300)
        person[:, 2] = 1.7
        entries.append({"image_id": f"{t}.jpg", "category_id": 1, "keypoints": flat(person), "score": 2.4})
    (read,) = read_keypoints(write(tmp_path / "a.json", entries))
    assert read.frame_numbers is not None and read.frame_numbers.tolist() == [9, 10, 11, 12]
    assert read.xy[:, 0, 0].tolist() == [109.0, 110.0, 111.0, 112.0]
    assert read.confidence.max() == 1


def test_a_whole_body_is_put_together_from_its_parts(tmp_path: Path) -> None:
    person = stick(COCO_WHOLEBODY_133, 300, 400, 300)
    ends = [0, 17, 23, 91, 112, 133]
    names = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
    parts = {n: flat(person[a:b]) for n, a, b in zip(names, ends, ends[1:], strict=False)}
    document = {"images": [{"id": 1}], "annotations": [{"image_id": 1, **parts}]}
    (read,) = read_keypoints(write(tmp_path / "a.json", document))
    assert read.format is COCO_WHOLEBODY_133 and same(read, 0, person)
    parts["foot_kpts"] = [1.0, 2.0, 2.0]
    document = {"images": [{"id": 1}], "annotations": [{"image_id": 1, **parts}]}
    with pytest.raises(FitError, match=r"annotations\[0\].foot_kpts has 1 points; 6 are right"):
        read_keypoints(write(tmp_path / "a.json", document))


def test_poseflow_s_dictionary_and_its_broken_end(tmp_path: Path) -> None:
    pictures = {
        f"img/{t:08d}.jpg": [{"keypoints": flat(stick(COCO_17, 300 + t, 400, 300)), "score": 9.1}]
        for t in (2, 3, 4)
    }
    path = write(tmp_path / "a.json", pictures)
    (whole,) = read_keypoints(path)
    assert whole.frame_numbers is not None and whole.frame_numbers.tolist() == [2, 3, 4]
    path.write_text(path.read_text()[:-40])
    (part,) = read_keypoints(path)
    assert np.array_equal(part.xy, whole.xy[:2])


@pytest.mark.parametrize("wrapped", [True, False])
def test_mmpose_frames(tmp_path: Path, wrapped: bool) -> None:
    people = [stick(COCO_17, 300 + t, 400, 300) for t in range(3)]
    first = 1 if wrapped else 0
    frames: list[object] = [
        {
            "frame_id": t + first,
            "instances": [
                {
                    "keypoints": p[:, :2].tolist(),
                    "keypoint_scores": p[:, 2].tolist(),
                    "bbox": [[1, 2, 3, 4]],
                    "bbox_score": 0.9,
                }
            ],
        }
        for t, p in enumerate(people)
    ]
    frames.append({"frame_id": 3 + first, "instances": []})
    names = {"keypoint_id2name": {str(i): n for i, n in enumerate(COCO_17.names)}}
    document = {"meta_info": names, "instance_info": frames} if wrapped else frames
    (read,) = read_keypoints(write(tmp_path / "a.json", document))
    assert read.format is COCO_17 and read.frame_numbers is not None
    assert read.frame_numbers.tolist() == [first, first + 1, first + 2, first + 3]
    assert all(same(read, t, p) for t, p in enumerate(people))
    assert not read.present[3]


def test_mmpose_s_one_file_a_picture(tmp_path: Path) -> None:
    for t in range(2):
        person = stick(HALPE_26, 300 + t, 400, 300)
        instance = {"keypoints": person[:, :2].tolist(), "keypoint_scores": person[:, 2].tolist()}
        write(tmp_path / f"{t:06d}.json", [instance])
    write(tmp_path / "000002.json", [])
    (read,) = read_keypoints(tmp_path)
    assert read.format is HALPE_26 and read.present.tolist() == [True, True, False]
