import argparse

import ray
import yaml

from harbour.pipeline import by_port, port_names, run_steps
from harbour.report import report


def make_report(config):
    return report(by_port(run_steps(config)), port_names())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", default="configs/default.yaml")
    parser.add_argument("--remote", action="store_true")
    arguments = parser.parse_args()
    with open(arguments.config) as file:
        config = yaml.safe_load(file)
    if arguments.remote:
        print("REPORT", ray.get(ray.remote(make_report).remote(config)))
    else:
        print("REPORT", make_report(config))


if __name__ == "__main__":
    main()
