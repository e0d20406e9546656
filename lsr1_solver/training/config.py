"""Everything that training may vary, in one frozen object that is saved inside the weights."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..errors import FitError
from ..sr1_network import LearnedSR1Config

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Config = TypeVar("Config", bound=DataclassInstance)


@dataclass(frozen=True)
class PoseConfig:
    """How the captured poses are widened.

    ``count`` poses, a ``strong`` share of them changed a lot; ``interpolated`` and ``mixed`` (upper body of
    one with the lower body of another) shares; ``exchanged`` the share of limbs that a strong change takes
    from other poses; noise in radians, from and to; ``tilted`` the share of the strong ones that lean by
    ``tilt`` radians; ``pelvis_tip`` radians by which people and sources differ in how level a pelvis is;
    ``posed`` the share of seated and kneeling poses. Poses less likely under the prior than all but
    ``implausible`` of the captured ones are rejected.
    """

    count: int = 600_000
    strong: float = 0.5
    interpolated: float = 0.2
    mixed: float = 0.3
    exchanged: float = 0.25
    mild_noise: tuple[float, float] = (0.06, 0.09)
    strong_noise: tuple[float, float] = (0.09, 0.16)
    tilted: float = 0.2
    tilt: float = 0.35
    pelvis_tip: float = 0.0
    posed: float = 0.06
    implausible: float = 0.001


@dataclass(frozen=True)
class ViewConfig:
    """The cameras before which the poses stand: degrees, metres, mm on a sensor 36 mm long.

    ``aspects`` are heights over widths of the pictures.
    """

    pitch: tuple[float, float] = (-30.0, 60.0)
    roll: float = 12.0
    distance: tuple[float, float] = (1.8, 12.0)
    lens: tuple[float, float] = (24.0, 135.0)
    aspects: tuple[float, ...] = (4 / 3, 3 / 4, 16 / 9, 9 / 16)


@dataclass(frozen=True)
class CorruptionConfig:
    """What happens to keypoints on their way through a detector; shares of the samples unless said.

    Noise in shares of the person's height: log-normal about ``noise`` with ``noise_spread``, at most
    ``noise_most``. ``missing`` is the greatest share of points lost at random. Outliers: one point in
    ``outlier_every`` moved by up to ``outlier_reach`` heights. ``formats`` the share without head top and
    upper neck, and that without feet, too; ``joints`` the share with SMPL's joints in place of COCO's.
    """

    noise: float = 0.01
    noise_spread: float = 0.4
    noise_most: float = 0.03
    missing: float = 0.4
    lower_body: float = 0.06
    limb: float = 0.04
    half: float = 0.01
    upper_body: float = 0.01
    outliers: float = 0.07
    outlier_every: int = 10
    outlier_reach: float = 0.5
    swapped: float = 0.02
    formats: tuple[float, float] = (0.08, 0.07)
    joints: float = 0.02


@dataclass(frozen=True)
class InitializerConfig:
    """The initializer's network and its training.

    ``steps`` of ``batch`` samples, shared among the processes. The loss: ``point_weight`` a metre of the
    joints, and ``landmark_weight`` of that for landmarks; ``rotation_weight``, with the factor ``unseen`` for
    joints whose bone's end is missing; ``shape_weight``. ``covariance_views`` cameras a pose measure the
    error.
    """

    steps: int = 30_000
    batch: int = 256
    width: int = 384
    blocks: int = 3
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.01
    warm_up: int = 200
    clip: float = 1.0
    average: float = 0.999
    bfloat16: bool = True
    point_weight: float = 10.0
    landmark_weight: float = 0.3
    rotation_weight: float = 0.3
    unseen: float = 0.3
    shape_weight: float = 0.05
    covariance_views: int = 2


@dataclass(frozen=True)
class OptimizerConfig:
    """L-SR1's network and its meta-training.

    ``problems`` are drawn from poses ``rate`` to the second; every meta-step unrolls ``unroll`` steps on
    ``batch`` of them, a share ``bad_starts`` of which begin up to a few standard deviations off. A step's
    loss is in units of the energy left to gain plus ``floor`` of the least; ``secant`` weighs the relative
    secant error ``|p - H q|^2 / |p|^2``.
    """

    network: LearnedSR1Config = field(default_factory=LearnedSR1Config)
    problems: int = 8000
    rate: float = 1.0
    steps: int = 1500
    batch: int = 64
    unroll: int = 6
    learning_rate: float = 3e-3
    warm_up: int = 50
    clip: float = 1.0
    bad_starts: float = 0.25
    floor: float = 0.01
    secant: float = 0.0


def _clip_network() -> InitializerConfig:
    """It begins as the initializer of stills: fewer steps, and smaller ones."""
    return InitializerConfig(steps=4_500, learning_rate=7e-4)


@dataclass(frozen=True)
class ClipInitializerConfig:
    """The clip initializer's training: as the stills' (``network``, but for its width and blocks, which are
    theirs), on windows of five frames.

    Shares of the samples: ``widened`` poses of the stills, moved as captured ones; of the others ``mixed``
    upper and lower bodies. Windows are slower or faster by up to exp(``pace``), frames off by up to
    ``jitter`` seconds; ``shake`` radians of joint noise, the same in all five frames. From one frame to the
    next ``noise_correlation`` of the noise stays, and ``gap_correlation`` of what hides points. Missing are
    the frames before the middle in ``borders`` of the windows, those after it as often, all of them in
    ``alone``, each by itself in ``dropped``. ``clips`` of so many ``clip_seconds`` measure the error.
    """

    network: InitializerConfig = field(default_factory=_clip_network)
    widened: float = 0.5
    mixed: float = 0.25
    pace: float = 0.25
    jitter: float = 0.02
    shake: float = 0.09
    noise_correlation: float = 0.37
    gap_correlation: float = 0.85
    borders: float = 0.15
    alone: float = 0.06
    dropped: float = 0.05
    clips: int = 240
    clip_seconds: float = 4.0


def _quadratic_optimizer() -> OptimizerConfig:
    """No base: quadratics come without a factorization. The floor is a share of the start's energy.

    Nothing learned is added to the classical vector: on quadratics it is exact already, and every learned one
    that was tried made the steps after the next worse. Only step sizes are learned.
    """
    network = LearnedSR1Config(memory=32, base=0, gamma=0.7, learned=0.0)
    return OptimizerConfig(network=network, steps=300, unroll=24, learning_rate=2e-3, floor=1e-10)


@dataclass(frozen=True)
class QuadraticsConfig:
    """Convex quadratics to meta-train on, and how.

    Dimensions from and to, every meta-step at one of them; condition numbers and largest eigenvalues from and
    to, log-uniform. Of the ``optimizer``'s settings, those of poses have no meaning here.
    """

    dimensions: tuple[int, int] = (2, 50)
    condition: tuple[float, float] = (10.0, 1e4)
    largest: tuple[float, float] = (0.1, 10.0)
    optimizer: OptimizerConfig = field(default_factory=_quadratic_optimizer)


@dataclass(frozen=True)
class ClipStepsConfig:
    """The learned steps of clips: ``clips`` of so many ``frames`` at ``rate`` hertz, a share ``bad_starts``
    of which begin off the reading; every one of ``steps`` meta-steps runs ``unroll`` iterations on ``batch``
    clips. A step counts in units of the energy left to gain plus ``floor`` of the least.
    """

    hidden: int = 24
    clips: int = 160
    rate: float = 30.0
    frames: tuple[int, int] = (60, 240)
    bad_starts: float = 0.15
    steps: int = 600
    batch: int = 4
    unroll: int = 18
    learning_rate: float = 6e-3
    floor: float = 0.003


@dataclass(frozen=True)
class TrainingConfig:
    """One training from motion capture to weights."""

    seed: int = 0
    threads: int = 1
    checkpoint_seconds: float = 30.0
    poses: PoseConfig = field(default_factory=PoseConfig)
    views: ViewConfig = field(default_factory=ViewConfig)
    corruption: CorruptionConfig = field(default_factory=CorruptionConfig)
    initializer: InitializerConfig = field(default_factory=InitializerConfig)
    clip_initializer: ClipInitializerConfig = field(default_factory=ClipInitializerConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    quadratics: QuadraticsConfig = field(default_factory=QuadraticsConfig)
    clip_steps: ClipStepsConfig = field(default_factory=ClipStepsConfig)


def read_config(path: Path | None) -> TrainingConfig:
    """The defaults, with what a JSON file says instead: ``{"initializer": {"steps": 4000}}``.

    Raises FitError where the file is no JSON or holds a name or a kind of value that is not in the config.
    """
    if path is None:
        return TrainingConfig()
    try:
        changes = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FitError(f"{path}: the config cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise FitError(f"{path} is no JSON: {error}") from None
    return changed(TrainingConfig(), changes, str(path))


def changed(config: Config, changes: object, place: str) -> Config:
    """``config`` with the values of a JSON object, checked by the kind of what they replace."""
    if not isinstance(changes, Mapping):
        raise FitError(f"{place}: an object with names and values belongs here")
    known = {entry.name: getattr(config, entry.name) for entry in dataclasses.fields(config)}
    values: dict[str, object] = {}
    for name, value in changes.items():
        if name not in known:
            raise FitError(f"{place}: there is no {name!r}; there are {', '.join(known)}")
        old = known[name]
        if dataclasses.is_dataclass(old) and not isinstance(old, type):
            values[name] = changed(old, value, f"{place}: {name}")
        elif isinstance(old, tuple) and isinstance(value, list):
            values[name] = tuple(value)
        elif isinstance(old, float) and type(value) is int:
            values[name] = float(value)
        elif type(value) is type(old):
            values[name] = value
        else:
            raise FitError(f"{place}: {name} must be like {json.dumps(old)}, not {json.dumps(value)}")
    return dataclasses.replace(config, **values)


def config_json(config: DataclassInstance) -> dict[str, object]:
    """The config as JSON's kinds of values."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def git_commit() -> str:
    """The commit of the checkout, with "+" where files were changed since; "" where git cannot tell."""
    folder = Path(__file__).resolve().parents[2]
    try:
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True, timeout=10
        )
        changes = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no", "--", "lsr1_solver", "assets"],
            cwd=folder, capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "")
