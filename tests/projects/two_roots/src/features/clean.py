from . import rules
from .deep.down import bottom
