import checks.finding

print(sorted(checks.finding.find()))
