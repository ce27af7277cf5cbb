from company.alpha import a
from company.beta import b

import report

print("BOTH", a.X + b.X)
report.everywhere("company.alpha.a", "company.beta.b")
