from kin.near import NAME as near
from kin.far import NAME as far

print(near, far)
