import click


@click.group()
def main():
    pass


@main.command()
@click.option("--epochs", default=2)
def train(epochs):
    print("trained", epochs)


@main.command()
def upload():
    import absent_boto
    from absent_hub import HfApi

    HfApi().upload(absent_boto.session())


async def notify():
    import absent_slack.web.async_client

    await absent_slack.web.async_client.post("done")


if __name__ == "__main__":
    main()
