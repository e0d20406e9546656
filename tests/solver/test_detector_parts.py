"""The detector's arithmetic on small tensors, and pictures that come turned."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lsr1_solver.detector.following import Chain
from lsr1_solver.detector.landmarks import Landmarks, refined
from lsr1_solver.detector.people import SIZE, Candidates, anchors, blended, decoded, overlap
from lsr1_solver.detector.region import Region, region_of_box, region_of_pair, tiles, whole
from lsr1_solver.keypoint_formats import BLAZEPOSE_33
from lsr1_solver.picture_files import is_footage, open_footage, read_picture

cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install opencv-python-headless")


def test_anchors_are_the_middles_of_the_cells_row_by_row() -> None:
    points = anchors()
    assert points.shape == (28 * 28 * 2 + 14 * 14 * 2 + 7 * 7 * 6, 2)
    assert np.allclose(points[0], 0.5 / 28) and np.allclose(points[1], points[0])
    assert np.allclose(points[2], [1.5 / 28, 0.5 / 28])
    assert np.allclose(points[-1], 6.5 / 7)


def test_a_row_is_decoded_relative_to_its_anchor() -> None:
    rows, logits = np.zeros((2254, 12)), np.full(2254, -200.0)
    rows[100] = [0, 22.4, 44.8, 112, 0, 22.4, 0, -22.4, 9, 9, 9, 9]
    logits[100] = 3.0
    found = decoded(rows, logits)
    middle, half = anchors()[100] + [0, 22.4 / SIZE], np.array([0.1, 0.25])
    assert found.scores == pytest.approx([1 / (1 + np.exp(-3))])
    assert found.boxes[0] == pytest.approx(np.concatenate([middle - half, middle + half]))
    assert found.pairs[0] == pytest.approx(anchors()[100] + np.array([[0, 0.1], [0, -0.1]]))


def test_boxes_that_overlap_are_blended_by_score() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]], dtype=float)
    found = blended(Candidates(np.array([0.9, 0.6, 0.5]), boxes, np.zeros((3, 2, 2))))
    assert found.scores.tolist() == [0.9, 0.5]
    assert found.boxes == pytest.approx(np.array([[0, 0, 10, 9.6], [50, 50, 60, 60]]))
    empty = blended(Candidates(np.zeros(0), np.zeros((0, 4)), np.zeros((0, 2, 2))))
    assert empty.boxes.shape == (0, 4)


def test_overlap_of_known_boxes() -> None:
    box = np.array([0.0, 0, 2, 2])
    others = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6], [1, 1, 1, 1]], dtype=float)
    assert overlap(box, others) == pytest.approx([1, 1 / 3, 0, 0])


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.5, 3.1])
def test_a_region_and_the_picture_are_each_other_s_inverse(angle: float) -> None:
    region = Region(np.array([300.0, 200.0]), 150.0, angle)
    points = np.random.default_rng(0).uniform(-1, 2, (20, 2))
    assert np.allclose(region.from_picture(region.to_picture(points)), points)


def test_a_pair_s_region_stands_upright_with_the_second_point_above() -> None:
    for turn in np.linspace(-3, 3, 7):
        up = np.array([np.sin(turn), -np.cos(turn)])
        region = region_of_pair(np.array([[50.0, 60.0], [50.0, 60.0] + 20 * up]))
        assert region.side == pytest.approx(2 * 20 * 1.25)
        assert region.from_picture(np.array([50.0, 60.0]) + 20 * up) == pytest.approx([0.5, 0.1])


def test_a_region_s_pixels_are_the_picture_s() -> None:
    y, x = np.mgrid[0:120, 0:160]
    image = np.stack([x, y, 0 * x], axis=-1).astype(np.uint8)
    region = Region(np.array([80.0, 60.0]), 64.0, 0.4)
    shown = region.pixels(image, 64, replicate=True)
    # Pixel (i, j) of the region shows the place ((i, j) / size) of it.
    cells = np.stack(np.meshgrid(np.arange(64), np.arange(64)), axis=-1) / 64
    assert np.abs(shown[..., :2] - region.to_picture(cells)).max() < 1.0
    outside = Region(np.array([-100.0, 60.0]), 20.0)
    assert not outside.pixels(image + 9, 8, replicate=False).any()
    assert outside.pixels(image + 9, 8, replicate=True).any()


def test_tiles_cover_the_picture_and_overlap_by_half() -> None:
    assert whole(1920, 1080).side == 1920 and region_of_box((0, 0, 10, 30)).side > 30
    for width, height in ((1920, 1080), (600, 600), (300, 1000)):
        for fine in (False, True):
            covered = np.zeros((height, width), dtype=int)
            for tile in tiles(width, height, fine=fine):
                low, high = tile.centre - tile.side / 2, tile.centre + tile.side / 2
                assert (low >= -1e-9).all() and high[0] <= width + 1e-9 and high[1] <= height + 1e-9
                covered[int(low[1]) : int(high[1]), int(low[0]) : int(high[0])] += 1
            assert covered.min() > 0 or (width == height and not fine)


def test_a_point_moves_to_the_middle_of_a_sure_heatmap_only() -> None:
    heatmaps = np.full((3, 64, 64), -50.0)
    heatmaps[0, 20, 31] = heatmaps[0, 20, 33] = 5.0
    heatmaps[1, 20, 31] = -1.0
    heatmaps[2, 0, 0] = 5.0
    points = np.array([[32 / 64, 21 / 64], [32 / 64, 21 / 64], [1.5, 0.2]])
    moved = refined(points, heatmaps)
    assert moved[0] == pytest.approx([32 / 64, 20 / 64])
    assert np.array_equal(moved[1:], points[1:])


def test_heatmaps_at_the_edge_are_cut_off() -> None:
    heatmaps = np.full((1, 64, 64), -50.0)
    heatmaps[0, 63, 0] = 5.0
    assert refined(np.array([[0.01, 0.98]]), heatmaps)[0] == pytest.approx([0, 63 / 64])


def test_a_photo_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    image = np.zeros((40, 80, 3), dtype=np.uint8)
    image[:, :40] = 255  # the left half is white
    plain = cv2.imencode(".jpg", image)[1].tobytes()
    # One entry: tag 0x0112 (orientation), a short, once, 6: a quarter turn clockwise.
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    block = b"Exif\0\0" + tiff
    path = tmp_path / "phöto.jpg"
    path.write_bytes(plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:])
    shown = read_picture(path)
    assert shown.shape == (80, 40, 3)
    assert shown[:35].mean() > 250 and shown[45:].mean() < 5


def test_a_turned_movie_is_upright(tmp_path: Path) -> None:
    path = tmp_path / "phone.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (160, 80))
    image = np.zeros((80, 160, 3), dtype=np.uint8)
    image[:, :80] = 255
    for _ in range(5):
        writer.write(image)
    writer.release()
    data = bytearray(path.read_bytes())
    # The track header's matrix (ISO/IEC 14496-12, 8.3.2) for a quarter turn clockwise.
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    footage = open_footage(path)
    assert footage.image_size == (80, 160) and footage.frame_rate == 25.0 and footage.length == 5
    frames = list(footage.frames(1, 4))
    assert [number for number, _ in frames] == [1, 2, 3]
    assert frames[0][1][:70].mean() > 240 and frames[0][1][90:].mean() < 15


def test_what_is_footage_is_told_by_its_ending(tmp_path: Path) -> None:
    assert is_footage(Path("a.MP4")) and is_footage(Path("a.jpeg")) and not is_footage(Path("a.json"))
    (tmp_path / "f1.png").touch()
    assert is_footage(tmp_path)
    (tmp_path / "f1.json").touch()
    assert not is_footage(tmp_path)


@pytest.mark.parametrize(("right_up_to", "others"), [(2.0, 0), (0.5, 2), (0.1, 2)])
def test_who_leans_is_followed_by_the_view_that_goes_on(right_up_to: float, others: int) -> None:
    """Seen turned farther, the person seems to face the other way; other views are asked for only then."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-100, 100, size=(33, 2)) + np.array([500.0, 400.0])
    # The region of somebody who leans by 0.8 radians.
    pair = np.array([(500.0, 400.0), (500 + 200 * np.sin(0.8), 400 - 200 * np.cos(0.8))])
    true = Landmarks(1.0, points, np.ones(33), np.zeros((33, 3)), pair)
    mirrored = replace(true, points=points[list(BLAZEPOSE_33.mirror)])
    asked = []

    def look(region: Region) -> Landmarks:
        asked.append(region.rotation)
        return true if region.rotation <= right_up_to else mirrored

    chain = Chain(true)
    assert chain.follow(look) and asked[0] == pytest.approx(0.8)
    assert np.array_equal(chain.person.points, points)
    assert len(asked) == 1 + others and chain.length == 2
