"""What the tests about Blender share."""

import pytest

from tools import extension

# These run inside a Blender; `test_in_blender.py` starts them there.
collect_ignore = ["inside"]


@pytest.fixture(scope="session")
def extension_zip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The extension's zip for this computer, made from the working tree."""
    return str(extension.package(extension.this_platform(), tmp_path_factory.mktemp("dist")))
