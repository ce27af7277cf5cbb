import os
from pathlib import Path

from dotenv import dotenv_values

HERE = Path(__file__).parent
config = {
    **dotenv_values(HERE / "config" / "shared.env"),
    **dotenv_values(".env.production"),
    **os.environ,
}
print("bucket", config.get("BUCKET", "MISSING"), "token", "API_TOKEN" in config)
