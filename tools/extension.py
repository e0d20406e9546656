"""The extension's zip: what is in it, its wheels, Blender's own validation, and the link for live editing."""

from __future__ import annotations

import hashlib
import os
import platform as computer
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tools.environments import BLENDERS, ROOT, UnavailableError

WHEELS = ROOT / "wheels"
PACKAGED = ("__init__.py", "blender_manifest.toml", "LICENSE", "addon", "assets", "lsr1_solver")
LEFT_OUT = {"__pycache__", "training", "pictures"}
# Blender's platform -> the platform tags that pip takes for it, oldest system first.
PLATFORMS = {
    "linux-x64": ("manylinux2014_x86_64", "manylinux_2_28_x86_64"),
    "windows-x64": ("win_amd64",),
    "macos-arm64": ("macosx_11_0_arm64", "macosx_13_0_arm64"),
    "macos-x64": ("macosx_11_0_x86_64", "macosx_13_0_x86_64"),
}
# Their wheels have compiled code and are in a platform's own zip alone.
COMPILED = ("opencv-python-headless",)
# The earliest date that a zip can hold: a file's own would make each checkout's zip another one.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)


def this_platform() -> str | None:
    """The one of `PLATFORMS` that this computer is, None for any other."""
    system = {"linux": "linux", "win32": "windows", "darwin": "macos"}.get(sys.platform, sys.platform)
    machine = {"amd64": "x64", "x86_64": "x64", "aarch64": "arm64"}.get(computer.machine().lower(), "arm64")
    name = f"{system}-{machine}"
    return name if name in PLATFORMS else None


def manifest() -> dict[str, object]:
    """`blender_manifest.toml` as a table."""
    return tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))


def package(platform: str | None, folder: Path) -> Path:
    """Write the zip for one of `PLATFORMS`, or the small one for every platform, into `folder`.

    The small one has no compiled code in it and cannot detect people. The same sources give the same bytes.
    Raises `UnavailableError` when a wheel cannot be downloaded.
    """
    facts = manifest()
    name = f"{facts['id']}-{facts['version']}" + (f"-{platform}" if platform else "")
    bundled = wheels(platform)
    entries = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in packaged_files()}
    entries |= {f"wheels/{path.name}": path.read_bytes() for path in bundled}
    text = entries["blender_manifest.toml"].decode("utf-8")
    entries["blender_manifest.toml"] = _for_platform(text, platform, bundled).encode("utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.zip"
    # Stored: what is large is compressed already, and compressors differ from one Python to the next.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for entry in sorted(entries):
            about = zipfile.ZipInfo(entry, ZIP_DATE)
            about.create_system = 3
            about.external_attr = 0o100644 << 16
            archive.writestr(about, entries[entry])
    return path


def packaged_files() -> list[Path]:
    """The files of the working tree that belong into a zip."""
    found = []
    for name in PACKAGED:
        top = ROOT / name
        found += [top] if top.is_file() else [path for path in top.rglob("*") if path.is_file()]
    return sorted(path for path in found if _belongs(path.relative_to(ROOT)))


def _belongs(path: Path) -> bool:
    made_by_hand = path.parts[0] != "assets" or path.suffix != ".py"
    return made_by_hand and not LEFT_OUT.intersection(path.parts) and not path.name.startswith(".")


def _for_platform(text: str, platform: str | None, bundled: list[Path]) -> str:
    """The manifest with the wheels that the zip has, and with its platform."""
    names = ", ".join(f'"./wheels/{path.name}"' for path in bundled)
    text = re.sub(r"(# A zip .*\n)?wheels = \[[^\]]*\]", f"wheels = [{names}]", text, count=1)
    if platform:
        text = text.replace("[permissions]", f'platforms = ["{platform}"]\n\n[permissions]', 1)
    return text


def wheels(platform: str | None) -> list[Path]:
    """The wheels of `wheels.txt` for a platform: downloaded once, each of a hash that the file names.

    Without a platform, those that run on all.
    """
    text = (ROOT / "wheels.txt").read_text(encoding="utf-8")
    wanted = re.findall(r"^([A-Za-z0-9_-]+)==((?:.*\\\n)*.*)$", text, re.MULTILINE)
    wanted = [(name, rest) for name, rest in wanted if platform or name not in COMPILED]
    hashes = set(re.findall(r"sha256:([0-9a-f]{64})", str(wanted)))
    tags = PLATFORMS[platform] if platform else ()
    found = _known(hashes, tags)
    if len(found) < len(wanted):
        _download("".join(f"{name}=={rest}\n" for name, rest in wanted), tags)
        found = _known(hashes, tags)
    return found


def _download(requirements: str, tags: Sequence[str]) -> None:
    """Have pip put wheels for a platform into `WHEELS`. Raises `UnavailableError`."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    only = ["--no-deps", "--only-binary=:all:", "--require-hashes", *(f"--platform={tag}" for tag in tags)]
    with tempfile.TemporaryDirectory() as temporary:
        listed = Path(temporary) / "wheels.txt"
        listed.write_text(requirements, encoding="utf-8")
        command = [*pip, *only, "--requirement", str(listed), "--dest", str(WHEELS)]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode:
        lines = (answer.stdout + answer.stderr).strip().splitlines() or ["no message"]
        raise UnavailableError(f"the wheels of wheels.txt cannot be downloaded: {lines[-1]}")


def _known(hashes: set[str], tags: Sequence[str]) -> list[Path]:
    """The wheels here that have one of the hashes and run on a platform with these tags."""
    files = [path for path in sorted(WHEELS.glob("*.whl")) if path.stem.endswith(("-any", *tags))]
    return [path for path in files if hashlib.sha256(path.read_bytes()).hexdigest() in hashes]


def validator() -> Path | None:
    """Blender's own `blender_ext.py`, from an environment that has a Blender, or None."""
    for blender in reversed(BLENDERS):
        folder = ROOT / f".venv-bpy-{blender.version}"
        for path in folder.glob("**/bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py"):
            return path
    return None


def validate(archive: Path) -> str | None:
    """What Blender's validator says against the zip; None when it is content.

    Raises `UnavailableError` where no Blender is installed by `build.py`.
    """
    script = validator()
    if script is None:
        raise UnavailableError("no Blender has been installed by build.py: run demo or test first")
    command = [sys.executable, str(script), "validate", str(archive)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout + answer.stderr if answer.returncode else None


def blender_folders() -> dict[str, Path]:
    """The user folders of the Blenders of this user that take extensions, oldest first: {"4.2": path}."""
    home = Path.home()
    places = {
        "nt": Path(os.environ.get("APPDATA", home)) / "Blender Foundation" / "Blender",
        "darwin": home / "Library" / "Application Support" / "Blender",
        "posix": Path(os.environ.get("XDG_CONFIG_HOME", home / ".config")) / "blender",
    }
    place = places["darwin" if sys.platform == "darwin" else os.name]
    versions = [path for path in place.glob("*.*") if re.fullmatch(r"\d+\.\d+", path.name)]
    versions.sort(key=lambda path: [int(part) for part in path.name.split(".")])
    return {path.name: path for path in versions if [int(part) for part in path.name.split(".")] >= [4, 2]}


def link(user_folder: Path) -> Path:
    """Make the working tree an extension of the Blender with this user folder; the link's path.

    Raises `FileExistsError` where the extension is installed from a zip.
    """
    wheels(this_platform())
    target = user_folder / "extensions" / "user_default" / str(manifest()["id"])
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.resolve() == ROOT:
        return target
    if target.exists():
        raise FileExistsError(f"{target} is installed from a zip: uninstall it in Blender first")
    if os.name == "nt":
        # A junction, unlike a symbolic link, needs no administrator.
        subprocess.run(["cmd", "/c", "mklink", "/J", str(target), str(ROOT)], check=True)
    else:
        target.unlink(missing_ok=True)
        target.symlink_to(ROOT, target_is_directory=True)
    return target
