"""Trains one model for each region on the cluster and prints how good they are.

raybundle submit train.py [REGIONS]
"""

import argparse

import ray
from churn.customers import customers_of
from churn.model import accuracy_on


@ray.remote
def train(region):
    return region, accuracy_on(customers_of(region))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("regions", type=int, nargs="?", default=4, help="how many models to train")
    count = parser.parse_args().regions
    for region, accuracy in ray.get([train.remote(region) for region in range(count)]):
        print(f"region {region}: {accuracy:.1%} right")


if __name__ == "__main__":
    main()
