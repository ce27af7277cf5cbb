"""Trains one model per region and prints how good they are together."""

import argparse

from churn.dataset import load, regions
from churn.evaluate import summarise
from churn.spread import spread


def train(region):
    from churn.model import fit

    return fit(load(region), region)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--local", action="store_true")
    arguments = parser.parse_args()
    models = spread(train, regions(), local=arguments.local)
    print("CHURN", summarise(models, load()))


if __name__ == "__main__":
    main()
