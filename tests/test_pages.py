"""The pages at the top of the repository: what they point to is there, and the benchmarks they name run."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.shared import REPOSITORY, needs_shared

PAGES = [path for path in sorted(REPOSITORY.glob("*.md")) if path.is_file()]
SECONDS = 900


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def modules(pattern: str) -> dict[str, str]:
    """The modules that the pages run by ``python -m``, and the options named with each."""
    found: dict[str, str] = {}
    for page in PAGES:
        for module, options in re.findall(rf"python -m ({pattern})\b([^`\n]*)", text_of(page)):
            found[module] = found.get(module, "") + options
    return found


def run_module(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_picture_is_there(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", text_of(page))
    assert not [t for t in targets if "://" not in t and not (REPOSITORY / t.partition("#")[0]).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`((?:assets|tests|tools|addon|lsr1_solver)/[\w./-]+)", text_of(page))
    assert not [path for path in named if not (REPOSITORY / path).exists()]


@needs_shared("mocap")
def test_every_benchmark_that_the_pages_name_runs(tmp_path: Path) -> None:
    """Two at a time, each on one thread."""
    pytest.importorskip("cv2")
    pytest.importorskip("smplx")
    names = sorted(modules(r"tests\.bench\.\w+"))
    assert names

    def run(name: str) -> subprocess.CompletedProcess[str]:
        return run_module(name, "--quick", "--json", str(tmp_path / f"{name}.json"))

    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip(names, pool.map(run, names), strict=True))
    for name, answer in answers.items():
        assert answer.returncode == 0, f"{name}\n{answer.stderr}"
        assert "Warning" not in answer.stderr, answer.stderr
        rows = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
        assert rows and all(isinstance(row, dict) for row in rows)


def test_every_option_that_the_pages_name_is_one() -> None:
    for module, named in modules(r"(?:tests\.bench|lsr1_solver\.training)[\w.]*").items():
        options = re.findall(r"--[a-z][a-z-]*", named)
        said = run_module(module, "--help").stdout if options else ""
        if module == "lsr1_solver.training":
            said += run_module(module, "all", "--help").stdout
        assert not [option for option in options if option not in said], module
