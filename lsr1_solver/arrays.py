"""The array type of the solver: numpy for inference, torch for training and GPUs.

The kinematics, the objective and the optimizers are written once against the Python array API standard
(https://data-apis.org/array-api), so both libraries run the same lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    # To a type checker every array is numpy's: the standard has no static type of its own yet.
    Array: TypeAlias = np.ndarray
else:
    Array = object
