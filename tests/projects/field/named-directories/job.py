import os
from pathlib import Path

import click
import yaml
from mako.lookup import TemplateLookup

HERE = Path(__file__).parent


def query(name: str) -> str:
    return (HERE / "queries" / "{}.sql".format(name)).read_text().strip()


def experiment(name: str) -> dict:
    settings = yaml.safe_load((HERE / "conf" / "exp" / ("%s.yaml" % name)).read_text())
    with open(HERE / "conf" / "exp" / settings["base"]) as file:
        return {**yaml.safe_load(file), **settings}


@click.command()
@click.option("--inputs", default="inputs", type=click.Path(exists=True, file_okay=False))
def main(inputs: str) -> None:
    settings = experiment("small")
    lookup = TemplateLookup(directories=["views"])
    print(sorted(os.listdir(inputs)), sorted(os.listdir(settings["shards"])), settings["lr"])
    print(lookup.get_template("/page.html").render(query=query("daily")).strip())


main()
