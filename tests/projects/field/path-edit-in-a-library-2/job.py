from engine import detect

print(detect())
