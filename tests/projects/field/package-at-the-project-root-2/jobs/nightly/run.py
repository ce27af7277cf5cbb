from common.io import read
import settings

print(read("a"), settings.REGION)
