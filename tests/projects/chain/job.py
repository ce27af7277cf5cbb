import pkg.first
