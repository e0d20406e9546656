"""The walls of the house: which part may know which."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shared import REPOSITORY

SOLVER = sorted((REPOSITORY / "lsr1_solver").rglob("*.py"))
# What the solver may import from outside: the rest of Python's own library is free.
RUN_TIME = {"numpy", "array_api_compat", "threadpoolctl"}
TRAINING = {*RUN_TIME, "torch"}
FORBIDDEN = {"bpy", "bpy_extras", "mathutils", "addon", "scipy", "smplx", "chumpy"}


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(top-level package, whether it is imported inside a function) of each absolute import."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        for name in names:
            yield name.split(".")[0], node not in tree.body


@pytest.mark.parametrize("path", SOLVER, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_the_solver_imports_only_what_blender_has(path: Path) -> None:
    allowed = TRAINING if "training" in path.parts else RUN_TIME
    for package, inside in imports(path):
        assert package not in FORBIDDEN, f"{path.name} imports {package}"
        assert package != "lsr1_solver", f"{path.name} imports its own package by name: use a relative import"
        if package in {"torch", "cv2"} and not inside:
            assert package in allowed, f"{path.name} imports {package} before it is needed"


@pytest.mark.parametrize("path", SOLVER, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_inference_does_not_know_training(path: Path) -> None:
    if "training" not in path.parts:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        relative = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level]
        assert not [n.module for n in relative if (n.module or "").startswith("training")]
