import torch

from .base import Model


class Neural(Model):
    network = torch.nn.Linear
