"""The name "flow.decoy" in a docstring takes nothing."""

import logging

STEPS = ["flow.clean:run", "flow.score:run"]
SINK = "flow.sinks.disk.write"
LOG = logging.getLogger("flow.decoy")
HOME = "flow.example.com"
