"""The environment of the nodes where it is not the one at hand: its tag, its distributions, and locks."""
