"""The model behind HTTP."""

from churn.model import fit
from churn.serving.routes import ROUTES


class Server:
    routes = ROUTES
    train = staticmethod(fit)
