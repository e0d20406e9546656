"""Learning from motion capture: needs the `train` extra and is no part of the extension."""
