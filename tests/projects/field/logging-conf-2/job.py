import logging.config
from pathlib import Path

import yaml

config = yaml.safe_load((Path(__file__).parent / "config" / "logging.yaml").read_text())
logging.config.dictConfig(config)
logging.getLogger("train").info("hello")
