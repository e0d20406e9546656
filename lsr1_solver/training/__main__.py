"""From motion capture to the weights that ship.

``python -m lsr1_solver.training all --mocap FOLDER --out FOLDER``, or some of the stages by name. The same
command goes on from the last checkpoint after an interruption.
``torchrun --nproc-per-node N -m lsr1_solver.training ...`` shares the work among N processes.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import FitError
from .config import read_config
from .processes import join_processes, leave
from .stages import ALL, STAGES, Workshop, run_stages

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lsr1_solver.training", description=__doc__)
    parser.add_argument("stages", nargs="+", choices=[*STAGES, ALL], metavar="STAGE",
                        help=f"{', '.join(STAGES)}, or {ALL}")  # fmt: skip
    parser.add_argument("--mocap", type=Path, required=True, help="the folder of the motion capture's zips")
    parser.add_argument("--out", type=Path, required=True, help="where weights and checkpoints go")
    parser.add_argument("--config", type=Path, help="JSON with what differs from the default configuration")
    parser.add_argument("--seed", type=int, help="in place of the configuration's")
    parser.add_argument("--threads", type=int, help="of every process, in place of the configuration's")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        config = read_config(options.config)
        given = {name: getattr(options, name) for name in ("seed", "threads")}
        config = dataclasses.replace(config, **{n: v for n, v in given.items() if v is not None})
        with join_processes() as processes:
            run_stages(options.stages, Workshop(config, options.mocap, options.out, processes))
    except FitError as error:
        _log.error("%s", error)
        return 2
    if processes.count > 1:
        leave(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
