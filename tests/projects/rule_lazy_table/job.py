import shapes

print(shapes.area(2), shapes.lines)
