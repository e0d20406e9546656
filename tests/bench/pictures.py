"""Pictures of benchmarks; matplotlib is needed here alone, and only when pictures are asked for."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

# Problem -> method -> numbers.
Series = Mapping[str, Mapping[str, np.ndarray]]
COLUMNS = 3
# How many times the best method's evaluations the profile shows.
LARGEST_RATIO = 10.0


def convergence_curves(path: Path, medians: Series) -> None:
    """A panel for every problem, the median share left against evaluations, logarithmic."""
    from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]  # of the extra `dev`

    rows = -(-len(medians) // COLUMNS)
    figure = Figure(figsize=(4.5 * COLUMNS, 3.2 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).flat
    for panel, (problem, methods) in zip(panels, medians.items(), strict=False):
        for number, (name, curve) in enumerate(methods.items()):
            panel.semilogy(1 + np.arange(len(curve)), curve, color=f"C{number}", label=name)
        panel.set_title(problem)
        panel.set_ylim(max(1e-12, 0.3 * min(curve.min() for curve in methods.values())), 2.0)
        panel.grid(alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    figure.supxlabel("evaluations")
    figure.supylabel("(f - f*) / (f0 - f*), median")
    figure.savefig(path, dpi=110)


def performance_profile(path: Path, needed: Series, solved: str) -> None:
    """Dolan & Moré 2002: the share of problems that a method solves within tau times the best one's cost.

    ``needed`` holds evaluations to the solution [B], infinite where it was not found. Every class of problems
    weighs the same.
    """
    from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]  # of the extra `dev`

    taus = np.geomspace(1.0, LARGEST_RATIO, 200)
    figure = Figure(figsize=(7.5, 4.8), layout="constrained")
    panel = figure.subplots()
    for name in next(iter(needed.values())):
        panel.step(taus, profile(needed, name, taus), where="post", label=name)
    panel.set_xscale("log")
    panel.set(
        xlim=(1, LARGEST_RATIO),
        ylim=(0, 1),
        xlabel="times the evaluations of the best",
        ylabel="share solved",
    )
    panel.set_title(f"Solved: {solved}")
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def profile(needed: Series, name: str, taus: np.ndarray) -> np.ndarray:
    """The profile of one method at the ratios ``taus``."""
    curves = []
    for methods in needed.values():
        best = np.min(np.stack(list(methods.values())), axis=0)
        solved = np.isfinite(methods[name])
        curves.append(np.mean((methods[name] <= taus[:, None] * best) & solved, axis=1))
    return np.mean(curves, axis=0)
