import only_a, only_b
