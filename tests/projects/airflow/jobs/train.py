"""Prints what it was given; then does what its first argument says."""

import json
import os
import sys
import time

import model

print("REPORT", json.dumps({"argv": sys.argv[1:], "who": os.environ.get("WHO"), "layers": model.LAYERS}))
match sys.argv[1]:
    case "fail":
        for number in range(30):
            print("epoch", number)
        raise SystemExit(7)
    case "stop":
        from ray.job_submission import JobSubmissionClient

        own = json.loads(os.environ["RAY_JOB_CONFIG_JSON_ENV_VAR"])["metadata"]["job_submission_id"]
        JobSubmissionClient(sys.argv[2]).stop_job(own)
        time.sleep(60)
    case "wait":
        while not os.path.exists(sys.argv[2]):
            time.sleep(0.1)
