from datetime import datetime, timezone

from clock import local

print(local(datetime(2024, 7, 1, tzinfo=timezone.utc)).isoformat())
