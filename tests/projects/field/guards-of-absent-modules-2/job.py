from attention import attend

print(attend([1, 2]))
