import os
import signal
import sys
import time

match sys.argv[1]:
    case "code":
        sys.exit(int(sys.argv[2]))
    case "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    case "raise":
        raise RuntimeError("on purpose")
    case "sleep":
        print("STARTED", flush=True)
        time.sleep(float(sys.argv[2]))
    case "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("STARTED", flush=True)
        time.sleep(float(sys.argv[2]))
