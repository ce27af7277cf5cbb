import os

arch = os.environ.get("ARCH", "resnet")
module = __import__("models.%s_net" % arch, fromlist=["build"])
print(module.build(18))
