from kit import clipboard

print(clipboard.copy())
