import click

from ..cleaning import clean


@click.command()
@click.pass_obj
def transform(state):
    """Clean what was fetched."""
    state["rows"] = [clean(row) for row in state["rows"]]
