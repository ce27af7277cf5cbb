from pathlib import Path

import joblib

bundle = joblib.load(Path(__file__).resolve().parent / "artifacts" / "model.joblib")
print(bundle["name"], bundle["pipeline"].run(3))
