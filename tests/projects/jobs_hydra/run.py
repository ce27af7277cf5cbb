"""Runs the pipeline that conf/ describes."""

import hydra
from omegaconf import DictConfig, OmegaConf

from pipeline.spread import spread
from pipeline.worker import run


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(config: DictConfig) -> None:
    plain = OmegaConf.to_container(config, resolve=True)
    parts = [(plain, seed) for seed in plain["seeds"]]
    answers = spread(run, parts, local=plain["mode"] == "local")
    print("PIPELINE", " ".join(f"{answer:.1f}" for answer in answers))


if __name__ == "__main__":
    main()
