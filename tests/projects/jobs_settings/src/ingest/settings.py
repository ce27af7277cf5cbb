from pathlib import Path
from typing import Literal

from pydantic import ImportString
from pydantic_settings import BaseSettings, JsonConfigSettingsSource, SettingsConfigDict

BACKENDS = {
    "memory": "ingest.backends.memory.MemoryBackend",
    "file": "ingest.backends.file:FileBackend",
}


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="INGEST_", json_file=Path(__file__).with_name("defaults.json")
    )

    backend: Literal["memory", "file"] = "memory"
    steps: list[ImportString] = ["ingest.steps.strip.strip", "ingest.steps.distinct.distinct"]
    reader: ImportString = "ingest.readers.text.read"

    @classmethod
    def settings_customise_sources(cls, settings_cls, init_settings, env_settings, **_):
        return init_settings, env_settings, JsonConfigSettingsSource(settings_cls)
