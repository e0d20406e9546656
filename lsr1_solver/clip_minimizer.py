"""L-BFGS for one large problem, with steps that a small network learned.

A clip has tens of thousands of unknowns of some seventy kinds. What a quasi-Newton method does not know yet,
such as that the base overrates the depth of the hands, is the same for all frames: so the network looks at
each kind of unknown as a whole, through lengths and angles of its vectors pooled over time, and says for this
kind how far to go along the L-BFGS direction, and how much of the gradient and of the last step to add. The
idea is L-SR1's generators of steps and vectors (arXiv 2508.12270, section 4), pooled; with untrained (zero)
weights this *is* L-BFGS.
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
# Log step sizes stay within this, and what is added of the gradient and of the last step within that.
LARGEST_LOG_STEP, MOST_ADDED = 1.0, 0.25
# Steps are learned where curvature is some ten times the base's at most. What holds or draws parts of a body
# is far stiffer, and of the gradient nothing may be added then: L-BFGS finds that scale by itself.
STIFFEST = 30.0
# Frequencies, as shares of the highest, up to which a kind of unknown is parted: drift and motion. Of the way
# to the minimum hardly anything is faster: tremor goes along the L-BFGS direction as it is.
PARTINGS = (0.04, 0.2)
FEATURES = 10
# Of the frequencies of a part as many as this, or up to twice as many, are looked at.
SAMPLED_FREQUENCIES = 24
# A trial point that raises the energy shortens the next step to this; success lengthens it again.
SHRINK, GROWTH = 0.3, 3.0
# A pair says nothing about curvature when it is this close to orthogonal (Nocedal & Wright 2006, eq. 6.26).
DEGENERATE = 1e-6
_TINY = 1e-20
# The parts and the shape, as the network is told of them.
_PART = np.linspace(-1, 1, len(PARTINGS) + 1)

Weights = Mapping[str, np.ndarray]


def weight_shapes(hidden: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the trained arrays."""
    return {
        "encoder1": (FEATURES, hidden),
        "encoder1_bias": (hidden,),
        "encoder2": (hidden, hidden),
        "encoder2_bias": (hidden,),
        "shares": (hidden, 3),
    }


def _parts(frames: int) -> list[tuple[int, int]]:
    """The first frequency of each part, and the one after its last."""
    inner = (min(frames, max(1, round(share * frames))) for share in PARTINGS)
    return list(itertools.pairwise((0, *inner)))


@lru_cache(maxsize=16)
def _sample(frames: int) -> tuple[list[tuple[slice, slice]], np.ndarray]:
    """The frequencies of each part that are looked at, and their places among all F that are; what each of
    these counts in its part, [F, 2].

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
    """How a vector [N] of whitened unknowns falls into kinds: n coordinates, each parted by frequency up to
    the fastest of `PARTINGS`, and the shape.
    """

    unknowns: int
    frames: int

    def products(self, vectors: Sequence[np.ndarray], pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        """The products of P pairs of vectors, by their numbers, kind by kind.

        -> [P, n, 3]: two parts, and the shape in every row.
        """
        count = self.unknowns * self.frames
        slices, worth = _sample(self.frames)
        rows = np.empty((len(vectors), self.unknowns, len(worth)), dtype=vectors[0].dtype)
        for row, v in zip(rows, vectors, strict=True):
            spectrum = v[:count].reshape(self.unknowns, self.frames)
            for frequencies, place in slices:
                row[:, place] = spectrum[:, frequencies]
        multiplied = np.empty((len(pairs), *rows.shape[1:]), dtype=rows.dtype)
        products = np.empty((len(pairs), self.unknowns, len(PARTINGS) + 1), dtype=rows.dtype)
        for i, (first, second) in enumerate(pairs):
            np.multiply(rows[first], rows[second], out=multiplied[i])
            products[i, :, -1] = vectors[first][count:] @ vectors[second][count:]
        np.matmul(multiplied, worth, out=products[..., :-1])
        return products

    def mixed(self, vectors: Sequence[np.ndarray], shares: np.ndarray) -> np.ndarray:
        """The sum of V vectors, of each a share for every kind, and of what is of no kind the first.

        ``shares`` [n, 3, V].
        """
        count, shares = self.unknowns * self.frames, shares.astype(vectors[0].dtype, copy=False)
        out = vectors[0].copy()
        rows = [v[:count].reshape(self.unknowns, self.frames) for v in vectors]
        mixed = out[:count].reshape(self.unknowns, 1, self.frames)
        for part, (i, j) in enumerate(_parts(self.frames)):
            own = np.stack([row[:, i:j] for row in rows], axis=1)
            np.matmul(shares[:, None, part], own, out=mixed[..., i:j])
        out[count:] = shares[:, -1].mean(axis=0) @ np.stack([v[count:] for v in vectors])
        return out


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
        weights = None if state.pairs.is_stiff(STIFFEST) else self.weights
        if weights is not None and isinstance(objective, Whitened):
            kinds, vectors = Kinds(objective.base.unknowns, objective.base.frames), mixed_of(state, move)
            move = kinds.mixed(vectors, shares(weights, features(kinds, state, vectors)))
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


def mixed_of(state: ClipState, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a learned step is made of, [N] each: the L-BFGS direction, the gradient, the last step."""
    g = state.gradient[0]
    return direction, g, state.pairs[-1][0] if len(state.pairs) else np.zeros_like(g)


def features(kinds: Kinds, state: ClipState, vectors: Sequence[np.ndarray]) -> np.ndarray:
    """What the network sees of every kind, of the vectors of `mixed_of`. -> [n, 3, FEATURES]."""
    known = 1.0 if len(state.pairs) else 0.0
    pairs = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    products = kinds.products(vectors, pairs)
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


def shares(weights: Weights, seen: np.ndarray) -> np.ndarray:
    """Of the vectors of `mixed_of` each kind's share in the step. [n, 3, FEATURES] -> [n, 3, V]."""
    h = seen.reshape(-1, FEATURES)
    for layer in ("encoder1", "encoder2"):
        h = h @ weights[layer]
        h += weights[f"{layer}_bias"]
        np.maximum(h, 0, out=h)
    out = np.tanh(h @ weights["shares"])
    out[:, 0] = np.exp(LARGEST_LOG_STEP * out[:, 0])
    out[:, 1:] *= MOST_ADDED
    return out.reshape(*seen.shape[:-1], 3)


def load_clip_minimizer(path: str | Path = CLIP_STEPS) -> LearnedLBFGS:
    """Read trained steps; without a path, those that come with the product.

    Raises FitError where the file is missing, damaged or holds something else.
    """
    return _load(Path(path))


@cache
def _load(path: Path) -> LearnedLBFGS:
    what = "file of steps for clips"
    _, weights = read_weights(path, what, lambda metadata: int(metadata["hidden"]), weight_shapes)
    return LearnedLBFGS(weights)
