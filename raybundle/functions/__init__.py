"""Functions as jobs: a pickled call, the script that carries it out, and the way back of its result."""
