"""Two published learned optimizers, and plain gradient descent, behind the product's protocol.

- LGD: Song, Chen, Hilliges, *Human Body Model Fitting by Learned Gradient Descent*, ECCV 2020. One network
  reads all keypoints, parameters and gradients at once and answers with the update.
- L-SR1 as published: Lifshitz, Zuler, Fouks, Raviv, ICML 2026 (arXiv 2508.12270): no skip connection to
  classical SR1, no Gauss-Newton base, raw features, next to constant step sizes, H u rescaled to |u|.

Written from the papers and their settings; none of them keeps the best point. Here they run on numpy in
single precision, batch norm folded into the layers. ``python -m tests.bench.published --mocap FOLDER`` trains
them (torch), and further seeds of our L-SR1, on the same problems from the same starts. At their authors'
widths, a quarter of an hour a seed: ``--methods lgd lgd-energy sr1 --lgd-width 1024 --sr1-width 256 --out
FOLDER``.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from lsr1_solver.arrays import Array, at_most, namespace
from lsr1_solver.kinematics import BETAS_START
from lsr1_solver.minimizer import Energy
from lsr1_solver.objective import Objective

WEIGHTS = Path(__file__).parent / "weights"
SEEDS = (0, 1, 2)
# LGD's update is a tenth of what its network says; L-SR1's first step size, its exponent's factor and bound.
LGD_RATE = 0.1
ALPHA1, ALPHA2, LARGEST_STEP = 0.1, 0.001, 10.0
MEMORY = 4
INNER_LAYERS = 4

Network = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class UnguardedState:
    """Where B problems are, whether or not the last step was a good one.

    Evaluated when first asked: k steps cost k evaluations. ``previous`` is the point and gradient before,
    None at the start; ``vectors`` up to L of [B, n].
    """

    objective: Energy
    z: Array
    previous: tuple[Array, Array] | None = None
    vectors: tuple[Array, ...] = ()

    @cached_property
    def evaluated(self) -> tuple[Array, Array]:
        """Energy [B] and gradient [B, n]."""
        return self.objective.energy_and_gradient(self.z)

    @property
    def energy(self) -> Array:
        """[B]."""
        return self.evaluated[0]

    @property
    def converged(self) -> Array:
        """[B]: none of these methods knows."""
        return namespace(self.z).isnan(self.energy)


@dataclass(frozen=True)
class GradientDescent:
    """``z <- z - rate g``."""

    rate: float
    name: str = "gradient descent"

    def init(self, objective: Energy, z: Array) -> UnguardedState:
        """The start."""
        return UnguardedState(objective, z)

    def step(self, objective: Energy, state: UnguardedState) -> UnguardedState:
        """One evaluation."""
        return UnguardedState(objective, state.z - self.rate * state.evaluated[1])


@dataclass(frozen=True, eq=False)
class LearnedGradientDescent:
    """LGD with a network for the pose (and place) and one for the shape.

    Both read the keypoints in heights, 0 where missing, the parameters and their gradient times ``scale``.
    """

    pose: Network
    shape: Network
    scale: float
    name: str = "lgd"

    def init(self, objective: Objective, z: Array) -> UnguardedState:
        """The start."""
        return UnguardedState(objective, z)

    def step(self, objective: Objective, state: UnguardedState) -> UnguardedState:
        """One evaluation, one update."""
        xp = namespace(state.z)
        seen = xp.astype(objective.confidence > 0, state.z.dtype)
        target = objective.target * (seen / (100 * objective.unit[:, None]))[..., None]
        gradient = self.scale * state.evaluated[1]
        features = xp.concat([xp.reshape(target, (len(target), -1)), state.z, gradient], axis=-1)
        update = xp.concat([self.pose(features), self.shape(features)], axis=-1)
        return UnguardedState(objective, state.z + LGD_RATE * update)


@dataclass(frozen=True, eq=False)
class PublishedSR1:
    """L-SR1 as published, one network for all coordinates; gradients are taken ``scale`` times.

    The scale is the weight of the inner loss, which the authors set to suit their constant step size; here
    it makes the first step that of tuned gradient descent.
    """

    encoder: Network
    vector: Network
    step_size: Network
    scale: float
    name: str = "lsr1 as published"

    def init(self, objective: Energy, z: Array) -> UnguardedState:
        """The start."""
        return UnguardedState(objective, z)

    def step(self, objective: Energy, state: UnguardedState) -> UnguardedState:
        """One evaluation, one new vector, one step."""
        g = self.scale * state.evaluated[1]
        p, q = self.pair(state)
        xp = namespace(g)
        columns = xp.stack([state.z, p, self.multiply(state.vectors, q), g, q], axis=-1)
        hidden = self.encoder(xp.reshape(columns, (-1, 5)))
        v = xp.reshape(self.vector(hidden), g.shape)
        vectors = (*state.vectors, v)[-MEMORY:]
        step = ALPHA1 * xp.exp(ALPHA2 * xp.reshape(self.step_size(hidden), g.shape))
        z = state.z - at_most(step, LARGEST_STEP) * self.multiply(vectors, g)
        return UnguardedState(objective, z, (state.z, g), vectors)

    def pair(self, state: UnguardedState) -> tuple[Array, Array]:
        """The last step and gradient change; at the start, the point and the gradient themselves."""
        g = self.scale * state.evaluated[1]
        if state.previous is None:
            return state.z, g
        return state.z - state.previous[0], g - state.previous[1]

    @staticmethod
    def multiply(vectors: tuple[Array, ...], u: Array) -> Array:
        """``H u`` with ``H = I + sum v v^T``, as long as u is."""
        xp = namespace(u)
        Hu = u
        for v in vectors:
            Hu = Hu + v * xp.sum(v * u, axis=-1)[:, None]
        if not vectors:
            return u
        length = xp.sum(u * u, axis=-1) / (xp.sum(Hu * Hu, axis=-1) + 1e-30)
        return Hu * xp.sqrt(length)[:, None]


@dataclass(frozen=True, eq=False)
class FoldedNetwork:
    """A trained network of linear layers, batch norm folded in, and parametric ReLUs; numpy.

    ``layers`` of weight [in, out], bias [out] and the ReLU's slope; the last has none. ``residual``: each
    pair of inner layers is added to what it read.
    """

    layers: tuple[tuple[np.ndarray, np.ndarray, float], ...]
    residual: bool

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """[N, in] -> [N, out], single precision."""
        h = self._layer(0, x.astype(np.float32))
        for first in range(1, 1 + INNER_LAYERS, 2):
            inner = self._layer(first + 1, self._layer(first, h))
            h = h + inner if self.residual else inner
        weight, bias, _ = self.layers[-1]
        return h @ weight + bias

    def _layer(self, index: int, x: np.ndarray) -> np.ndarray:
        weight, bias, slope = self.layers[index]
        h = x @ weight + bias
        return np.maximum(h, slope * h) if slope <= 1 else np.minimum(h, slope * h)

    @property
    def size(self) -> int:
        """The number of parameters."""
        return sum(weight.size + bias.size + 1 for weight, bias, _ in self.layers) - 1


def network_sizes(inputs: int, hidden: int, outputs: int) -> list[tuple[int, int]]:
    """[in, out] of every layer."""
    return [(inputs, hidden), *[(hidden, hidden)] * INNER_LAYERS, (hidden, outputs)]


def from_arrays(arrays: Mapping[str, np.ndarray], name: str, residual: bool) -> FoldedNetwork:
    """The network stored as ``name.0.weight`` in bytes times ``.unit``, ``.bias``, ``.slope``, and so on."""
    layers = []
    for index in range(INNER_LAYERS + 2):
        weight, unit, bias = (
            arrays[f"{name}.{index}.{part}"].astype(np.float32) for part in ("weight", "unit", "bias")
        )
        layers.append((weight * unit, bias, float(arrays.get(f"{name}.{index}.slope", np.array(1.0)))))
    return FoldedNetwork(tuple(layers), residual)


def untrained(inputs: int, hidden: int, outputs: int, residual: bool) -> FoldedNetwork:
    """A network of the given size that says next to nothing: for its time alone."""
    random = np.random.default_rng(0)
    layers = []
    for rows, columns in network_sizes(inputs, hidden, outputs):
        weight = random.standard_normal((rows, columns)) / (10 * np.sqrt(rows))
        layers.append((weight.astype(np.float32), np.zeros(columns, np.float32), 0.25))
    return FoldedNetwork(tuple(layers), residual)


def load_lgd(path: Path) -> LearnedGradientDescent:
    """A trained LGD."""
    with np.load(path, allow_pickle=False) as arrays:
        pose, shape = (from_arrays(arrays, name, residual=True) for name in ("pose", "shape"))
        return LearnedGradientDescent(pose, shape, float(arrays["scale"]))


def load_published_sr1(path: Path) -> PublishedSR1:
    """A trained L-SR1 as published."""
    with np.load(path, allow_pickle=False) as arrays:
        encoder, vector, step = (from_arrays(arrays, name, False) for name in ("encoder", "vector", "step"))
        return PublishedSR1(encoder, vector, step, float(arrays["scale"]))


def lgd_at_published_width(objective: Objective) -> LearnedGradientDescent:
    """LGD 1024 wide, untrained: for its time and its parameters."""
    inputs = 2 * objective.target.shape[1] + 2 * objective.dimension
    pose, shape = (
        untrained(inputs, 1024, outputs, residual=True)
        for outputs in (BETAS_START, objective.dimension - BETAS_START)
    )
    return LearnedGradientDescent(pose, shape, 0.1)


def sr1_at_published_width() -> PublishedSR1:
    """L-SR1 with 128 features and 256 hidden units, untrained: for its time and its parameters."""
    head = untrained(128, 256, 1, residual=False)
    return PublishedSR1(untrained(5, 256, 128, residual=False), head, head, 0.1)


def parameters(minimizer: LearnedGradientDescent | PublishedSR1) -> int:
    """The number of trained parameters."""
    networks = [value for value in vars(minimizer).values() if isinstance(value, FoldedNetwork)]
    return sum(network.size for network in networks)


def main() -> None:
    """Train and store."""
    # Imported here: the benchmark runs without torch.
    from tests.bench.published_training import TRAINERS, Settings, train_all

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mocap", type=Path, required=True, help="the folder of the motion capture")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="where the weights go")
    parser.add_argument("--methods", nargs="+", choices=list(TRAINERS), default=list(TRAINERS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    for setting in fields(Settings):
        name = "--" + setting.name.replace("_", "-")
        parser.add_argument(name, type=int, default=setting.default, help="default: %(default)s")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    settings = Settings(**{setting.name: getattr(options, setting.name) for setting in fields(Settings)})
    train_all(options.mocap, options.out, options.methods, options.seeds, settings)


if __name__ == "__main__":
    main()
