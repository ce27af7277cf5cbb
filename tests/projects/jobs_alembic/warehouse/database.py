import tempfile
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


@contextmanager
def upgraded():
    """A session of a new database that all migrations have been run on."""
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/warehouse.db"
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.set_main_option("sqlalchemy.url", url)
        command.upgrade(config, "head")
        engine = create_engine(url)
        with Session(engine) as session:
            yield session
        engine.dispose()
