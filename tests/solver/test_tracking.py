from itertools import permutations

import numpy as np
import pytest

from lsr1_solver.keypoints import BODY_25, COCO_17
from lsr1_solver.tracking import LONGEST_GAP, assign, link_people, person_sizes
from tests.solver.stick_people import stick


def linked(people: list[list[np.ndarray]], seed: int = 0) -> list[list[int]]:
    """Each frame's people [K, 3], shuffled before they are linked. -> the track of each, unshuffled."""
    rng = np.random.default_rng(seed)
    order = [rng.permutation(len(frame)) for frame in people]
    rows = [(t, int(i)) for t, frame in enumerate(order) for i in frame]
    points = np.stack([people[t][i] for t, i in rows])
    labels = link_people(points[..., :2], points[..., 2], np.array([t for t, _ in rows]))
    tracks = [[-1] * len(frame) for frame in people]
    for (t, i), label in zip(rows, labels, strict=True):
        tracks[t][i] = int(label)
    return tracks


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 3), (2, 5), (5, 2), (4, 6), (0, 3), (3, 0)])
def test_assign_finds_the_least_sum(rows: int, columns: int) -> None:
    rng = np.random.default_rng(rows * 10 + columns)
    for kind in range(40):
        cost = rng.random((rows, columns)) if kind % 2 else rng.integers(0, 4, (rows, columns)).astype(float)
        chosen = assign(cost)
        pairs = [(r, c) for r, c in enumerate(chosen) if c >= 0]
        assert len({c for _, c in pairs}) == len(pairs) == min(rows, columns)
        small = cost if rows <= columns else cost.T
        every = permutations(range(max(rows, columns)), min(rows, columns))
        least = min((sum(small[i, c] for i, c in enumerate(p)) for p in every), default=0.0)
        assert sum(cost[r, c] for r, c in pairs) == pytest.approx(least)


def test_assign_with_equal_cheapest_columns_of_a_large_table() -> None:
    rng = np.random.default_rng(5)
    cost = rng.random((30, 30))
    cost[:, 0] -= 1.0  # every row wants the first column
    chosen = assign(cost)
    assert sorted(chosen) == list(range(30))
    total = sum(cost[r, c] for r, c in enumerate(chosen))
    for a in range(30):
        for b in range(a):
            swapped = (
                total - cost[a, chosen[a]] - cost[b, chosen[b]] + cost[a, chosen[b]] + cost[b, chosen[a]]
            )
            assert swapped >= total - 1e-12


def test_people_who_cross_keep_their_tracks() -> None:
    people = [
        [stick(BODY_25, 200 + 20 * t, 400, 400, 0.3), stick(BODY_25, 1000 - 20 * t, 410, 380, -0.3)]
        for t in range(40)
    ]
    tracks = linked(people)
    assert {tuple(frame) for frame in tracks} == {(tracks[0][0], tracks[0][1])}


@pytest.mark.parametrize("hidden", [2, 6, 10])
def test_somebody_hidden_behind_another_keeps_the_track(hidden: int) -> None:
    people = []
    for t in range(50):
        walk = 0.35 * np.sin(t / 4)
        frame = [stick(BODY_25, 640 + 16 * (t - 25), 400, 400, walk)]
        if abs(t - 25) > hidden / 2:
            frame.append(stick(BODY_25, 640 - 16 * (t - 25), 400, 400, -walk))
        people.append(frame)
    tracks = linked(people)
    assert {tuple(frame) for frame in tracks if len(frame) == 2} == {tuple(tracks[0])}
    assert all(frame[0] == tracks[0][0] for frame in tracks)


def test_a_crowd_that_walks_about_keeps_its_tracks() -> None:
    rng = np.random.default_rng(2)
    start, speed = rng.uniform((0, 300), (1800, 700), (6, 2)), rng.uniform(-6, 6, (6, 2))
    people = []
    for t in range(80):
        frame = [
            stick(COCO_17, *(start[i] + t * speed[i]), height=200 + 40 * i, stride=0.4 * np.sin(t / 5 + i))
            for i in range(6)
        ]
        for person in frame:
            person[:, :2] += rng.normal(0, 2, (17, 2))
            person[rng.random(17) < 0.2] = 0
        people.append(frame)
    tracks = linked(people)
    assert all(frame == tracks[0] for frame in tracks)
    assert len(set(tracks[0])) == 6


def test_a_short_absence_is_bridged_and_a_long_one_is_not() -> None:
    for gap, count in ((5, 1), (LONGEST_GAP + 10, 2)):
        frames = [0, 1, 2, 3 + gap, 4 + gap]
        points = np.stack([stick(BODY_25, 300 + t, 400, 400) for t in frames])
        labels = link_people(points[..., :2], points[..., 2], np.array(frames))
        assert len(set(labels)) == count


def test_nobody_jumps_over_the_picture() -> None:
    tracks = linked([[stick(BODY_25, x, 400, 300)] for x in (100, 105, 900, 905)])
    assert tracks[0] == tracks[1] != tracks[2] == tracks[3]


def test_a_person_found_in_two_parts_stays_one() -> None:
    people = [[stick(BODY_25, 300 + 5 * t, 400, 400), stick(BODY_25, 900, 400, 400)] for t in range(10)]
    upper, lower = people[5][0].copy(), people[5][0].copy()
    legs = [i for i, name in enumerate(BODY_25.names) if name.split("_")[-1] in ("hip", "knee", "ankle")]
    lower[[i for i in range(25) if i not in legs]] = 0
    upper[legs] = 0
    people[5] = [upper, people[5][1], lower]
    tracks = linked(people)
    first, second = tracks[0]
    assert tracks[5] == [first, second, first]
    assert all(frame == [first, second] for t, frame in enumerate(tracks) if t != 5)


def test_a_double_of_a_person_is_another_track() -> None:
    people = [[stick(BODY_25, 300, 400, 400)] for _ in range(6)]
    people[3].append(stick(BODY_25, 302, 401, 400))
    tracks = linked(people)
    assert len(set(tracks[3])) == 2
    assert tracks[2] == tracks[4] == tracks[5]


def test_linking_leaves_its_arrays_alone_and_repeats_itself() -> None:
    points = np.stack([stick(BODY_25, 300 + 3 * t, 400, 400) for t in range(5)])
    before = points.copy()
    first = link_people(points[..., :2], points[..., 2], np.arange(5))
    again = link_people(points[..., :2], points[..., 2], np.arange(5))
    assert np.array_equal(points, before)
    assert np.array_equal(first, again)


def test_the_size_of_a_person_scales_and_ignores_unsure_points() -> None:
    small, large = stick(COCO_17, 0, 0, 100), stick(COCO_17, 0, 0, 300)
    stray = small.copy()
    stray[0] = 5000, 5000, 0.01
    sizes = person_sizes(*(np.stack([p[:, s] for p in (small, large, stray)]) for s in (slice(2), 2)))
    assert sizes[1] == pytest.approx(3 * sizes[0])
    assert sizes[2] < 1.2 * sizes[0]
