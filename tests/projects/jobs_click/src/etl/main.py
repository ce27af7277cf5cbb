"""The command line: `python -m etl extract transform load`."""

import click

from etl.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    chain=True,
    commands_in={
        "extract": "etl.commands.extract.extract",
        "transform": "etl.commands.transform.transform",
        "load": "etl.commands.load:load",
        "reset": "etl.commands.reset.reset",
    },
)
@click.option("--local", is_flag=True)
@click.pass_context
def cli(context, local):
    context.obj = {"local": local, "rows": []}
