from app.common.dates import today
from app.schemas import Row

print(today(), Row.name)
