import outside.core

import report

print("OUTSIDE", outside.core.VALUE)
report.everywhere("outside.core")
