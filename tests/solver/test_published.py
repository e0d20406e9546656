"""The published networks of the benchmark: what is stored says what was trained."""

import numpy as np
import pytest
import torch

from tests.bench.published import from_arrays
from tests.bench.published_network import PublishedNetwork

INPUTS, HIDDEN, OUTPUTS = 7, 24, 3


@pytest.mark.parametrize("residual", [True, False])
def test_a_stored_network_says_what_the_trained_one_says(residual: bool) -> None:
    torch.manual_seed(0)
    network = PublishedNetwork(INPUTS, HIDDEN, OUTPUTS, residual=residual)
    for _ in range(30):  # batch norms get statistics of their own
        network(3 + 2 * torch.randn(64, INPUTS))
    network.eval()
    x = 3 + 2 * torch.randn(500, INPUTS)
    with torch.no_grad():
        said = network(x).numpy()
    stored = from_arrays(network.arrays("pose"), "pose", residual)
    # Weights are stored in bytes.
    assert np.abs(stored(x.numpy()) - said).mean() < 0.02 * said.std()
