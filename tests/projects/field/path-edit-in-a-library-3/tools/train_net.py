import _init_paths

from model.net import build
from datasets_rcnn import factory

print(build(), factory.names())
