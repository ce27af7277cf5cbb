from alembic import context
from sqlalchemy import engine_from_config, pool

from warehouse.models import Base
from warehouse.naming import CONVENTION

Base.metadata.naming_convention = CONVENTION


def run():
    section = context.config.get_section(context.config.config_ini_section) or {}
    url = context.config.get_main_option("sqlalchemy.url")
    engine = engine_from_config({**section, "sqlalchemy.url": url}, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata)
        with context.begin_transaction():
            context.run_migrations()


run()
