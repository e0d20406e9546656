"""What the first table of `hmr.py` compares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from lsr1_solver import FitError, load_learned_sr1
from lsr1_solver.learned_sr1 import LearnedSR1
from lsr1_solver.minimizer import Adam, LevenbergMarquardt, Minimizer, MinimizerState
from lsr1_solver.quasi_newton import LBFGS, SR1
from tests.bench.hmr_bench import Bench
from tests.bench.published import (
    SEEDS,
    WEIGHTS,
    GradientDescent,
    LearnedGradientDescent,
    PublishedSR1,
    lgd_at_published_width,
    load_lgd,
    load_published_sr1,
    parameters,
    sr1_at_published_width,
)

AnyMinimizer = Minimizer[MinimizerState]
ADAM_RATES = (0.03, 0.05, 0.1, 0.2, 0.3, 0.5)
DESCENT_RATES = tuple(np.geomspace(2e-4, 0.02, 13))
FIRST_ORDER_STEPS = 100
PublishedMinimizer = LearnedGradientDescent | PublishedSR1
# The published networks at their authors' widths: the name of their files, how to read them, where to look.
WIDE: Mapping[str, tuple[str, Callable[[Path], PublishedMinimizer], tuple[int, ...]]] = {
    "LGD, width 1024": ("lgd", load_lgd, (1, 2, 3, 4, 8)),
    "LGD trained on the energy, width 1024": ("lgd-energy", load_lgd, (4, 8)),
    "L-SR1 as published, width 256": ("sr1", load_published_sr1, (4, 8)),
}


@dataclass(frozen=True, eq=False)
class Method:
    """A row or several: the seeds of a minimizer, after how many steps to look; None: when converged."""

    name: str
    seeds: tuple[AnyMinimizer, ...]
    looks: tuple[int | None, ...]
    most: int

    @property
    def size(self) -> int:
        """The number of trained parameters."""
        first = self.seeds[0]
        if isinstance(first, LearnedSR1):
            return sum(weight.size for weight in first.weights.values())
        return parameters(first) if isinstance(first, LearnedGradientDescent | PublishedSR1) else 0


def minimizer(one: object) -> AnyMinimizer:
    # Cast: each is only given states of its own making.
    return cast("AnyMinimizer", one)


def our_seeds() -> tuple[AnyMinimizer, ...]:
    """The L-SR1 that ships, then the further seeds; run to the last step asked for."""
    paths = [WEIGHTS / f"lsr1-{seed}.npz" for seed in SEEDS[1:]]
    loaded = [load_learned_sr1(), *(load_learned_sr1(path) for path in paths if path.exists())]
    return tuple(minimizer(replace(one, tolerance=0.0)) for one in loaded)


def adams() -> list[AnyMinimizer]:
    """At every rate that is tried."""
    return [minimizer(Adam(rate)) for rate in ADAM_RATES]


def tuned(bench: Bench, make: Callable[[float], AnyMinimizer], rates: tuple[float, ...]) -> AnyMinimizer:
    """The rate with the lowest mean energy after a hundred steps."""
    reached = []
    for rate in rates:
        energy = bench.trace(make(rate), FIRST_ORDER_STEPS, ()).energies[-1]
        reached.append(float(np.nan_to_num(energy.mean(), nan=np.inf)))
    best = float(rates[int(np.argmin(reached))])
    print(f"{make(best).name}: rate {best:.3g}, the best of {', '.join(f'{rate:.3g}' for rate in rates)}")
    return make(best)


def methods(validation: Bench) -> list[Method]:
    """What the first table compares."""
    lgd = tuple(minimizer(load_lgd(WEIGHTS / f"lgd-{seed}.npz")) for seed in SEEDS)
    on_energy = (minimizer(load_lgd(WEIGHTS / "lgd-energy-0.npz")),)
    published = tuple(minimizer(load_published_sr1(WEIGHTS / f"sr1-{seed}.npz")) for seed in SEEDS)
    adam = tuned(validation, lambda rate: minimizer(Adam(rate)), ADAM_RATES)
    descent = tuned(validation, lambda rate: minimizer(GradientDescent(rate)), DESCENT_RATES)
    return [
        Method("L-SR1", our_seeds(), (1, 2, 3, 4, 8), 8),
        Method("LM", (minimizer(LevenbergMarquardt()),), (1, 2, 3, 4, None), 60),
        Method("L-BFGS", (minimizer(LBFGS()),), (4, 8, None), 200),
        Method("SR1", (minimizer(SR1()),), (4, 8, None), 200),
        Method("Adam", (adam,), (FIRST_ORDER_STEPS,), FIRST_ORDER_STEPS),
        Method("gradient descent", (descent,), (FIRST_ORDER_STEPS,), FIRST_ORDER_STEPS),
        Method("LGD", lgd, (1, 2, 3, 4, 8), 8),
        Method("LGD trained on the energy", on_energy, (4, 8), 8),
        Method("L-SR1 as published", published, (4, 8), 8),
    ]


def label(method: Method, look: int | None) -> str:
    return f"{method.name}, {'converged' if look is None else f'{look} steps'}"


def wide_networks(bench: Bench) -> dict[str, PublishedMinimizer]:
    """At their authors' widths, untrained: for time and size."""
    return {
        "LGD, width 1024": lgd_at_published_width(bench.objective),
        "L-SR1 as published, width 256": sr1_at_published_width(),
    }


def wide_methods(folder: Path, bench: Bench) -> list[Method]:
    """Those that were trained at their authors' widths, with the seeds that the folder has.

    Raises FitError where it has none, or one of another width.
    """
    sizes = {type(network): parameters(network) for network in wide_networks(bench).values()}
    found = []
    for name, (stem, load, looks) in WIDE.items():
        paths = [path for seed in SEEDS if (path := folder / f"{stem}-{seed}.npz").exists()]
        trained = [load(path) for path in paths]
        for path, one in zip(paths, trained, strict=True):
            if parameters(one) != sizes[type(one)]:
                raise FitError(
                    f"{path}: {parameters(one)} parameters instead of {sizes[type(one)]}: train it with "
                    "--lgd-width 1024 --sr1-width 256"
                )
        if trained:
            found.append(Method(name, tuple(minimizer(one) for one in trained), looks, looks[-1]))
    if not found:
        raise FitError(f"{folder}: no lgd-0.npz and no sr1-0.npz, as tests.bench.published writes them")
    return found
