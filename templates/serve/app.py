"""An application of Ray Serve: `raybundle serve deploy serve.yaml` runs it."""

from ray import serve


@serve.deployment
class Shout:
    """Changes a text."""

    def __call__(self, text):
        return text.upper()


@serve.deployment
class Greeter:
    """Takes requests: http://HOST:8000/greet?name=you."""

    def __init__(self, greeting, shout):
        self.greeting = greeting
        self.shout = shout

    async def __call__(self, request):
        name = request.query_params.get("name", "you")
        return f"{self.greeting}, {await self.shout.remote(name)}"


def build(args):
    """Returns the application; `args` are those of serve.yaml."""
    return Greeter.bind(args["greeting"], Shout.bind())
