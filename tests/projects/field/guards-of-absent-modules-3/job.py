import argparse
import os

try:
    import absent_comet as comet
except Exception:
    comet = None

parser = argparse.ArgumentParser()
parser.add_argument("--tracker", choices=["none", "neptune"], default="none")
args = parser.parse_args()

if comet is not None:
    import absent_comet.integration as integration

if args.tracker == "neptune":
    import absent_neptune

match os.environ.get("SINK", "stdout"):
    case "kafka":
        from absent_kafka import Producer
    case _:
        write = print

tpu = "TPU_NAME" in os.environ
if tpu:
    import absent_xla.core as xm

write("ok")
