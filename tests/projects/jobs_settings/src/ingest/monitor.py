from ingest.settings import Settings

print(Settings())
