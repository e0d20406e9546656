"""A Blender with its window, on a machine that has neither: Debian's, in a folder of its own, under Xvfb.

The folder is made once (not quite two gigabytes) in the user's cache, or where LSR1_CACHE says, and reused.
Each run has mounts and processes of its own, which end with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from tools.environments import ROOT, UnavailableError

SUITE = "trixie"
PACKAGES = ("blender", "python3-numpy", "xvfb", "libgl1-mesa-dri", "imagemagick")
SECONDS_TO_MAKE = 600
# Mounts and processes of its own: nothing of them is left when the command ends, however it ends.
APART = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
SIZE = (1280, 800)
# Arguments: the folder, the repository, a folder to work in, a driver, seconds. No window manager.
OUTSIDE = """set -eu
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
mount -t tmpfs tmpfs "$1/tmp"
mount --bind "$2" "$1/repository"
mount --bind "$3" "$1/work"
exec chroot "$1" sh -c "$INSIDE" inside "$4" "$5"
"""
INSIDE = f"""set -eu
Xvfb :1 -screen 0 {SIZE[0]}x{SIZE[1]}x24 +extension GLX +render -noreset -nolisten tcp >/work/xvfb.log 2>&1 &
for attempt in $(seq 100); do [ -e /tmp/.X11-unix/X1 ] && break; sleep 0.1; done
cd /repository
exec timeout "$2" blender --no-window-focus --window-geometry 0 0 {SIZE[0]} {SIZE[1]} \\
    --enable-event-simulate --python-exit-code 9 -P "/repository/$1"
"""


@cache
def debian_blender() -> Path:
    """The folder with Debian and its Blender. Raises `UnavailableError` where it cannot be made."""
    cache_folder = Path(os.environ.get("LSR1_CACHE", Path.home() / ".cache" / "lsr1-body-fit"))
    folder = cache_folder / f"{SUITE}-blender"
    stamp = folder / "installed.txt"
    if sys.platform != "linux" or os.geteuid() != 0:
        raise UnavailableError("Blender's window is tested on Linux by root only: it takes a chroot")
    _make(["true"])
    if stamp.exists() and stamp.read_text() == " ".join(PACKAGES):
        return folder
    print(f"Setting up {folder}: once, some minutes at most.", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    install = [
        "apt-get",
        "install",
        "-qq",
        "--no-install-recommends",
        "-o",
        "Dpkg::Options::=--force-unsafe-io",
    ]
    _make(["debootstrap", "--variant=minbase", SUITE, str(folder)])
    _make(["chroot", str(folder), "env", "DEBIAN_FRONTEND=noninteractive", *install, *PACKAGES])
    for mount_point in ("work", "repository"):
        (folder / mount_point).mkdir()
    stamp.write_text(" ".join(PACKAGES))
    return folder


def _make(command: list[str]) -> None:
    """Run a command apart from the rest of the machine; `UnavailableError` says what went wrong."""
    try:
        answer = subprocess.run(
            [*APART, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS_TO_MAKE,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise UnavailableError("Blender's window is tested where unshare is installed") from None
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{command[0]} takes more than {SECONDS_TO_MAKE} s") from None
    if answer.returncode:
        lines = (answer.stdout + answer.stderr).strip().splitlines() or ["no message"]
        raise UnavailableError(f"Blender's window is not tested: {command[0]} failed: {lines[-1]}")


def run_in_window(driver: Path, work: Path, *, seconds: int) -> subprocess.CompletedProcess[str]:
    """Start Blender with its window and run a driver of the repository in it.

    In there `work` is `/work` and the repository `/repository`. The driver ends Blender; after so many
    seconds it is ended, with code 124. Nothing that it starts outlives it.
    """
    folder = debian_blender()
    arguments = [str(folder), str(ROOT), str(work), driver.relative_to(ROOT).as_posix(), str(seconds)]
    (work / "home").mkdir(parents=True, exist_ok=True)
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "HOME": "/work/home",
        "BLENDER_USER_RESOURCES": "/work/resources",
        "DISPLAY": ":1",
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "INSIDE": INSIDE,
    }
    # A network of its own, as well: X displays of one network are one, whatever their folders.
    command = [*APART, "--net", "sh", "-c", OUTSIDE, "outside", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
