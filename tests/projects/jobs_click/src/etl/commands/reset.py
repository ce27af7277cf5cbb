import click


@click.command()
def reset():
    """Forget everything."""
