import zoneinfo
from datetime import datetime

from dateutil.relativedelta import relativedelta


def zone(name):
    try:
        return zoneinfo.ZoneInfo(name)
    except zoneinfo.ZoneInfoNotFoundError:
        raise SystemExit(f"no zone {name}")


moment = datetime(2024, 1, 31, tzinfo=zone("America/New_York")) + relativedelta(months=1)
print(moment, "Europe/Vienna" in zoneinfo.available_timezones())
