"""Counts words."""

import re
from collections import Counter


def count_words(text):
    return Counter(re.findall(r"[a-z']+", text.lower()))


def merge(counts):
    return sum(counts, Counter())
