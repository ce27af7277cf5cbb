import ops.kernels
from ops.generated import TABLE

print(ops.kernels.NAME, TABLE)
