import tomllib

import click


@click.command()
@click.option("-c", "--config", type=click.Path(exists=True, dir_okay=False), default="settings/dev.toml")
@click.option("--schema", type=click.File("r"), default="settings/schema.sql")
def main(config, schema):
    with open(config, "rb") as stream:
        print("LR", tomllib.load(stream)["optim"]["lr"], schema.read().strip())


if __name__ == "__main__":
    main()
