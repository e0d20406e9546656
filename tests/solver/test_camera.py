import numpy as np
import pytest

from lsr1_solver.camera import (
    Camera,
    camera_from_focal,
    camera_from_lens,
    default_camera,
    image_plane,
    project,
    virtual_view,
)
from lsr1_solver.errors import FitError


def test_up_is_up_and_right_is_right() -> None:
    camera = camera_from_focal(1000, (1280, 720))
    points = np.array([[[0.0, 0.0, -2.0], [0.5, 0.0, -2.0], [0.0, 0.5, -2.0]]])
    assert np.allclose(project(camera, points), [[[640, 360], [890, 360], [640, 110]]])


def test_points_behind_the_camera_are_nowhere() -> None:
    assert np.isnan(project(camera_from_focal(1000, (1280, 720)), np.array([[[0.0, 0.0, 1.0]]]))).all()


def test_image_plane_undoes_the_projection() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(4, 7, 3)) - [0, 0, 5]
    camera = Camera(rng.uniform(500, 2000, 4), np.array([600.0, 400.0]), (1280, 720))
    plane = image_plane(camera, project(camera, points))
    assert np.allclose(plane, points[..., :2] / -points[..., 2:])
    one = project(camera.frame(2), points[2:3])
    assert np.allclose(one, project(camera, points)[2:3])


def test_lens_is_millimetres_along_the_longer_side() -> None:
    assert camera_from_lens(36, (1280, 720)).focal_length == pytest.approx(1280)
    assert camera_from_lens(36, (720, 1280)).focal_length == pytest.approx(1280)
    assert camera_from_lens(43.2, (1280, 720)).focal_length == pytest.approx(1536)
    assert "43.2 mm" in camera_from_lens(43.2, (1280, 720)).source


def test_the_default_camera_says_what_it_assumes() -> None:
    camera = default_camera((1920, 1080))
    assert camera.field_of_view == pytest.approx(50)
    assert "assumed" in camera.source and "50 degree" in camera.source


@pytest.mark.parametrize("focal", [0.0, -5.0, float("nan"), float("inf")])
def test_a_focal_length_that_cannot_be_is_refused(focal: float) -> None:
    with pytest.raises(FitError, match="focal length"):
        camera_from_focal(focal, (1280, 720))


def test_the_virtual_camera_looks_at_the_person() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(scale=0.3, size=(5, 9, 3)) + np.array([1.5, -0.8, -3.0])
    seen = (rng.uniform(size=(5, 9)) > 0.3).astype(float)
    turn, target = virtual_view(points[..., :2] / -points[..., 2:], seen)
    assert np.allclose(turn @ np.swapaxes(turn, 1, 2), np.eye(3)) and np.all(np.linalg.det(turn) > 0)
    turned = points @ np.swapaxes(turn, 1, 2)
    expected = turned[..., :2] / -turned[..., 2:] * seen[..., None]
    assert np.allclose(target, expected)
    rays = np.concatenate([target, -np.ones_like(target[..., :1])], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    assert np.allclose(np.sum(rays * seen[..., None], axis=1)[:, :2], 0, atol=1e-12)


def test_nobody_seen_leaves_the_camera_as_it_is() -> None:
    turn, target = virtual_view(np.full((1, 4, 2), 3.0), np.zeros((1, 4)))
    assert np.allclose(turn, np.eye(3)) and np.all(target == 0)
