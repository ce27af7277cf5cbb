import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, "lib2")

import appended
import inserted
import report

report.everywhere("appended", "inserted", "report")
