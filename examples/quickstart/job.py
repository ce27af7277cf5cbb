"""Counts the words of two poems, one Ray task for each: `raybundle submit job.py`."""

import sys

import ray
from wordstat.counting import count_words, merge
from wordstat.poems import read_poem

TITLES = ("raven", "tyger")


@ray.remote
def count(title):
    return count_words(read_poem(title))


def main(longest):
    counts = merge(ray.get([count.remote(title) for title in TITLES]))
    print(f"{sum(counts.values())} words, {len(counts)} different; the most frequent:")
    for word, times in counts.most_common(longest):
        print(f"  {times:>3} {word}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
