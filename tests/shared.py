"""Where the tests find data that is no part of the product: motion capture, detectors' files, cases.

The folder lies beside the checkout as `shared`, or where LSR1_SHARED says. Without it, tests that need it
are skipped.
"""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("LSR1_SHARED", REPOSITORY.parent / "shared"))


def needs_shared(folder: str) -> pytest.MarkDecorator:
    """Skip a test where `folder` of the shared data is absent."""
    return pytest.mark.skipif(
        not (SHARED / folder).is_dir(), reason=f"needs the data folder {SHARED / folder}"
    )
