from kit.files import copy_all

print(copy_all())
