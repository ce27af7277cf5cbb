from warehouse.export import to_json
from warehouse.queries import warmest

ROUTES = {"/warmest": warmest, "/export": to_json}
