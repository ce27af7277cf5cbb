import backends

print(backends.name(), backends.norm([3.0, 4.0]))
