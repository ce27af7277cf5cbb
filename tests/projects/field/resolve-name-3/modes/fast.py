RESULT = "fast result"
