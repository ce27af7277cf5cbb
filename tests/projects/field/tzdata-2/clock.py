import os
from zoneinfo import ZoneInfo, reset_tzpath

reset_tzpath(to=[])
ZONE = ZoneInfo(os.environ.get("REPORT_ZONE", "Asia/Tokyo"))


def local(moment):
    return moment.astimezone(ZONE)
