from dataclasses import dataclass

from ingest.loading import load
from ingest.settings import BACKENDS, Settings


@dataclass
class Service:
    settings: Settings
    backend: object

    @classmethod
    def from_settings(cls):
        settings = Settings()
        return cls(settings, load(BACKENDS[settings.backend])())

    def run(self, feed):
        rows = self.settings.reader(feed)
        for step in self.settings.steps:
            rows = step(rows)
        self.backend.put(rows)
        return len(self.backend)
