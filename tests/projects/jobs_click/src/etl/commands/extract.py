import click

from etl.sources import SOURCES, fetch
from etl.spread import spread


@click.command()
@click.pass_obj
def extract(state):
    """Fetch every source, each from another node."""
    for rows in spread(fetch, SOURCES, local=state["local"]):
        state["rows"] += rows
