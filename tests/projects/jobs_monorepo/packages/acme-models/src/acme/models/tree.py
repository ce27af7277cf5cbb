from acme.models.base import Model


class Tree(Model):
    pass
