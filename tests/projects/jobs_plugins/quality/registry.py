"""Checks register themselves by name when their module is imported."""

CHECKS = {}


def register(name):
    def keep(function):
        CHECKS[name] = function
        return function

    return keep
