import click

from etl.store import Store


@click.command()
@click.pass_obj
def load(state):
    """Put it into the store."""
    store = Store()
    store.put(state["rows"])
    click.echo(f"LOADED {store}")
