"""Scores the visits of three shops."""

import argparse

from options import parse

from acme.core.spread import spread


def score(shop):
    from acme.io import read_visits
    from acme.models.linear import Linear

    model = Linear.default()
    return shop, model.score(read_visits(shop))


def main():
    arguments = parse(argparse.ArgumentParser())
    scores = spread(score, arguments.shops, local=arguments.local)
    print("SCORES", " ".join(f"{shop}={value:.1f}" for shop, value in scores))


main()
