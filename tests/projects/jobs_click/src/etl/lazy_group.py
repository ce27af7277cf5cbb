import importlib

import click


class LazyGroup(click.Group):
    """Imports a command when it is called."""

    def __init__(self, *arguments, commands_in=None, **options):
        super().__init__(*arguments, **options)
        self.commands_in = commands_in or {}

    def list_commands(self, context):
        return sorted(self.commands_in)

    def get_command(self, context, name):
        if name not in self.commands_in:
            return None
        module, _, attribute = self.commands_in[name].replace(":", ".").rpartition(".")
        return getattr(importlib.import_module(module), attribute)
