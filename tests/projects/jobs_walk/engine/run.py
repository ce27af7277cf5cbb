from engine.discover import all_rules
from engine.ledger import entries


def audit(year):
    rows = entries(year)
    return year, sorted(name for name, broken_by in all_rules() if any(map(broken_by, rows)))
