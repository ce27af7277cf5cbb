import helper

print(helper.NAME, open("local.txt").read().strip())
