from contextlib import suppress

Tracker = None
with suppress(ImportError):
    from tracking.wandb_tracker import Tracker

with suppress(ModuleNotFoundError):
    from tracking import mlflow_tracker

print("tracker", Tracker)
