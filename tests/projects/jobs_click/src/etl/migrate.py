from etl.legacy import VERSION

print(VERSION)
