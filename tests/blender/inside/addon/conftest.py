"""These tests run inside pip's bpy:  BLENDER_PYTHON -m pytest tests/blender/inside/addon --confcutdir=HERE

The working tree is loaded the way Blender loads an extension: as one package, with nothing on sys.path.
"""

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import bpy
import pytest

from tests.shared import REPOSITORY

PACKAGE = "lsr1_body_fit"
SCALE = 0.4  # pixels of a view for one of the camera's picture


def addon_package() -> ModuleType:
    """The add-on of the working tree."""
    if PACKAGE not in sys.modules:
        package = ModuleType(PACKAGE)
        package.__path__ = [str(REPOSITORY)]
        sys.modules[PACKAGE] = package
    return importlib.import_module(f"{PACKAGE}.addon")


# Before pytest imports the tests, which import from it.
addon_package()


@pytest.fixture(scope="session")
def registered() -> Iterator[ModuleType]:
    addon = addon_package()
    addon.register()
    yield addon
    addon.unregister()


@pytest.fixture(autouse=True)
def empty_file(registered: ModuleType) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)


@pytest.fixture
def camera_view(registered: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The camera's picture at the top left of every view, which has no camera view of its own here."""
    overlay_data = importlib.import_module(f"{PACKAGE}.addon.overlay_data")

    def frame(_: object, region: bpy.types.Region, *__: object) -> object:
        return overlay_data.Frame(0.0, float(region.height), SCALE, SCALE)

    over_picture = importlib.import_module(f"{PACKAGE}.addon.operators.over_picture")
    monkeypatch.setattr(over_picture, "camera_frame", frame)
