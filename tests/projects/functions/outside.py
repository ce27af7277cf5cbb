"""A driver outside the Jobs API, whose workers have the bundle's path."""

import json
import os
import warnings

import raybundle

os.environ.update(raybundle.local.env())

import ray
import sibling

sibling.__file__ = "/elsewhere/sibling.py"
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    environment = raybundle.runtime_env(__file__)
ray.init(runtime_env=environment)


@ray.remote
def where():
    import late

    return [late.WORD, late.__file__]


said = [str(each.message) for each in caught if "this driver has" in str(each.message)]
print("REPORT " + json.dumps({"where": ray.get(where.remote()), "said": said}))
