import model
from plugins import registry
