import logging
import logging.config
import os

logging.config.fileConfig(
    os.path.join(os.path.dirname(os.path.abspath(__file__)), "etc", "logging.ini"),
    disable_existing_loggers=False,
)
logging.getLogger("etl").warning("late")
