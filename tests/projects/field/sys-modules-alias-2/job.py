import core.legacy

from legacy_utils import clean
from legacy_utils.text import words
import legacy_utils.text as text

print(clean("a"), words("b c"), text.__name__)
