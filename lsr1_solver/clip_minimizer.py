"""L-BFGS for one large problem, with step sizes that a small network learned.

A clip has tens of thousands of unknowns of some seventy kinds. What a quasi-Newton method does not know yet,
such as that the base overrates the depth of the hands, is the same for all frames: so the network looks at
each kind of unknown as a whole, through lengths and angles of its vectors pooled over time, and says how far
to go along the L-BFGS direction for this kind. The idea is L-SR1's step-size generator (arXiv 2508.12270,
section 4), pooled; with untrained (zero) weights this *is* L-BFGS.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from math import log
from pathlib import Path

import numpy as np

from .clip_base import Whitened
from .clip_pairs import Pairs
from .minimizer import Energy
from .weight_files import read_weights

CLIP_STEPS = Path(__file__).resolve().parents[1] / "assets" / "clip_steps.npz"
# Log step sizes stay within this.
LARGEST_LOG_STEP = 1.0
# Frequencies, as shares of the highest, at which a kind of unknown is parted: drift, motion, tremor.
PARTINGS = (0.04, 0.2)
FEATURES = 10
# Of the frequencies of a part as many as this, or up to twice as many, are looked at.
SAMPLED_FREQUENCIES = 48
# A trial point that raises the energy shortens the next step to this; success lengthens it again.
SHRINK, GROWTH = 0.3, 3.0
# A pair says nothing about curvature when it is this close to orthogonal (Nocedal & Wright 2006, eq. 6.26).
DEGENERATE = 1e-6
_TINY = 1e-20
# The parts and the shape, as the network is told of them.
_PART = np.linspace(-1, 1, len(PARTINGS) + 2)

Weights = Mapping[str, np.ndarray]


def weight_shapes(hidden: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the trained arrays."""
    return {
        "encoder1": (FEATURES, hidden),
        "encoder1_bias": (hidden,),
        "encoder2": (hidden, hidden),
        "encoder2_bias": (hidden,),
        "step": (hidden, 1),
    }


def _parts(frames: int) -> list[tuple[int, int]]:
    """The first frequency of each part, and the one after its last."""
    inner = (min(frames, max(1, round(share * frames))) for share in PARTINGS)
    return list(itertools.pairwise((0, *inner, frames)))


@lru_cache(maxsize=16)
def _sample(frames: int) -> tuple[list[tuple[slice, slice]], np.ndarray]:
    """The frequencies of each part that are looked at, and their places among all F that are; what each of
    these counts in its part, [F, 3].

    Of long parts every so many-th frequency stands for its neighbours.
    """
    chosen = [range(i, j, max(1, (j - i) // SAMPLED_FREQUENCIES)) for i, j in _parts(frames)]
    edges = [0, *itertools.accumulate(map(len, chosen))]
    worth = np.zeros((edges[-1], len(chosen)), dtype=np.float32)
    slices = []
    for part, (own, (i, j)) in enumerate(zip(chosen, _parts(frames), strict=True)):
        place = slice(edges[part], edges[part + 1])
        worth[place, part] = (j - i) / max(1, len(own))
        slices.append((slice(own.start, own.stop, own.step), place))
    return slices, worth


@dataclass(frozen=True, eq=False)
class Kinds:
    """How a vector [N] of whitened unknowns falls into kinds: n coordinates, each parted by frequency, and
    the shape.
    """

    unknowns: int
    frames: int

    def products(self, vectors: Sequence[np.ndarray], pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        """The products of P pairs of vectors, by their numbers, kind by kind.

        -> [P, n, 4]: three parts, and the shape in every row.
        """
        count = self.unknowns * self.frames
        slices, worth = _sample(self.frames)
        rows = np.empty((len(vectors), self.unknowns, len(worth)), dtype=vectors[0].dtype)
        for row, v in zip(rows, vectors, strict=True):
            for frequencies, place in slices:
                row[:, place] = v[:count].reshape(self.unknowns, self.frames)[:, frequencies]
        products = np.empty((len(pairs), self.unknowns, len(PARTINGS) + 2))
        for own, (a, b) in zip(products, pairs, strict=True):
            own[:, :-1] = (rows[a] * rows[b]) @ worth
        products[..., -1] = np.array([vectors[a][count:] @ vectors[b][count:] for a, b in pairs])[:, None]
        return products

    def scale(self, v: np.ndarray, factor: np.ndarray) -> None:
        """Multiply a vector, in place, by a factor for each kind; ``factor`` [n, 4]."""
        count = self.unknowns * self.frames
        rows, factor = v[:count].reshape(self.unknowns, self.frames), factor.astype(v.dtype)
        for part, (i, j) in enumerate(_parts(self.frames)):
            rows[:, i:j] *= factor[:, part, None]
        v[count:] *= factor[:, 3].mean()


@dataclass(frozen=True, eq=False)
class ClipState:
    """Best point and its gradient [1, N]; the ``pairs``, of which the last is that of the last trial.

    ``shrink`` is 1 until a step fails.
    """

    z: np.ndarray
    energy: np.ndarray
    converged: np.ndarray
    gradient: np.ndarray
    pairs: Pairs = field(default_factory=Pairs)
    iteration: int = 0
    shrink: float = 1.0

    def on(self, objective: Energy) -> ClipState:
        """The same point on an energy that has changed a little: what is known of its curvature stays."""
        energy, gradient = objective.energy_and_gradient(self.z)
        return replace(self, energy=energy, gradient=gradient, converged=np.isnan(energy), shrink=1.0)


@dataclass(frozen=True, eq=False)
class LearnedLBFGS:
    """L-BFGS with learned steps for a clip; without ``weights``, L-BFGS.

    ``tolerance`` is the relative decrease that counts as converged.
    """

    weights: Weights | None = None
    memory: int = 8
    tolerance: float = 2e-3
    name: str = "lsr1"

    def init(self, objective: Energy, z: np.ndarray) -> ClipState:
        """Evaluate the start."""
        energy, gradient = objective.energy_and_gradient(z)
        return ClipState(z, energy, np.isnan(energy), gradient)

    def step(self, objective: Energy, state: ClipState) -> ClipState:
        """One evaluation: kept if it lowers the energy, and its pair in any case."""
        g = state.gradient[0]
        move = self.direction(state, g)
        if self.weights is not None and isinstance(objective, Whitened):
            kinds = Kinds(objective.base.unknowns, objective.base.frames)
            kinds.scale(move, np.exp(log_steps(self.weights, features(kinds, state, move))))
        if move @ g >= 0:
            move = -g
        if state.shrink < 1:
            move *= g.dtype.type(state.shrink)
        z = state.z + move
        energy, gradient = objective.energy_and_gradient(z)
        decrease = float(state.energy[0] - energy[0])
        better = decrease > 0
        settled = better and decrease <= self.tolerance * float(energy[0]) and state.shrink >= 1
        stuck = not better and state.shrink < 1e-3
        return ClipState(
            z if better else state.z,
            energy if better else state.energy,
            np.array([settled or stuck]),
            gradient if better else state.gradient,
            state.pairs.with_pair(move, g, gradient[0], self.memory),
            state.iteration + 1,
            min(1.0, GROWTH * state.shrink) if better else SHRINK * state.shrink,
        )

    @staticmethod
    def direction(state: ClipState, g: np.ndarray) -> np.ndarray:
        """``-H g`` by the two-loop recursion (Nocedal & Wright 2006, alg. 7.4), on products alone.

        The recursion only ever combines s_i, y_i and g: with their products known it runs on 2 m + 1
        numbers, and the vectors are summed once at the end (Chen, Wang, Zhou, *Large-scale L-BFGS using
        MapReduce*, NeurIPS 2014).
        """
        m, gram = len(state.pairs), state.pairs.gram
        if not m:
            return -g
        along = (state.pairs.vectors @ g).astype(np.float64)
        # Products of each step with its own y, and of each s and y with itself.
        curvature, square = gram[::2, 1::2].diagonal(), gram.diagonal()
        valid = curvature > DEGENERATE * np.sqrt(square[::2] * square[1::2])
        q, alpha = np.zeros(2 * m), np.zeros(m)  # q = g + sum of q_i v_i
        for i in reversed(range(m)):
            if valid[i]:
                alpha[i] = (along[2 * i] + gram[2 * i] @ q) / curvature[i]
                q[2 * i + 1] -= alpha[i]
        last = next((i for i in reversed(range(m)) if valid[i]), None)
        scale = 1.0 if last is None else curvature[last] / square[2 * last + 1]
        r = scale * q
        for i in range(m):
            if valid[i]:
                beta = (scale * along[2 * i + 1] + gram[2 * i + 1] @ r) / curvature[i]
                r[2 * i] += alpha[i] - beta
        out = (-r).astype(g.dtype) @ state.pairs.vectors
        out -= g.dtype.type(scale) * g
        return out


def features(kinds: Kinds, state: ClipState, direction: np.ndarray) -> np.ndarray:
    """What the network sees of every kind. -> [n, 4, FEATURES]."""
    g = state.gradient[0]
    known = 1.0 if len(state.pairs) else 0.0
    step = state.pairs[-1][0] if known else np.zeros_like(g)
    pairs = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    products = kinds.products((direction, g, step), pairs)
    squares = products[:3] + _TINY
    cosines = products[3:] / np.sqrt(squares[[0, 0, 1]] * squares[[1, 2, 2]])
    # How a kind's length compares with the mean over all kinds, and with that of the step before.
    lengths = np.log(squares)
    lengths[2] -= lengths[0]
    lengths[:2] -= np.log(squares[:2, :, :-1].mean(axis=(1, 2), keepdims=True))
    lengths = np.minimum(np.maximum(lengths / 4, -2), 2)
    seen = np.empty((*squares.shape[1:], FEATURES), dtype=np.float32)
    seen[..., 0], seen[..., 1], seen[..., 5] = lengths[0], lengths[1], known * lengths[2]
    seen[..., 2], seen[..., 3], seen[..., 4] = cosines[0], known * cosines[1], known * cosines[2]
    seen[..., 6] = _PART
    seen[..., 7:] = known, min(state.iteration, 8) / 8, log(state.shrink) / 2
    return seen


def log_steps(weights: Weights, seen: np.ndarray) -> np.ndarray:
    """The logarithm of each kind's step size. [n, 4, FEATURES] -> [n, 4]."""
    h = seen.reshape(-1, FEATURES)
    for layer in ("encoder1", "encoder2"):
        h = h @ weights[layer]
        h += weights[f"{layer}_bias"]
        np.maximum(h, 0, out=h)
    return LARGEST_LOG_STEP * np.tanh(h @ weights["step"]).reshape(seen.shape[:-1])


def load_clip_minimizer(path: str | Path = CLIP_STEPS) -> LearnedLBFGS:
    """Read trained steps; without a path, those that come with the product.

    Raises FitError where the file is missing, damaged or holds something else.
    """
    return _load(Path(path))


@cache
def _load(path: Path) -> LearnedLBFGS:
    what = "file of step sizes for clips"
    _, weights = read_weights(path, what, lambda metadata: int(metadata["hidden"]), weight_shapes)
    return LearnedLBFGS(weights)
