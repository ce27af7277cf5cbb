import transforms
from transforms import *

print([name for name in sorted(transforms.__all__)], blur.KERNEL, tensor.crop.SIZE)
