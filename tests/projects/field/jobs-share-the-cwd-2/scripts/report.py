from pathlib import Path

print("report", len(list(Path("results").iterdir())))
Path(__file__).unlink()
