"""The driver: `raybundle submit job.py`."""

import ray
from my_job.work import square


def main():
    numbers = ray.get([ray.remote(square).remote(number) for number in range(4)])
    print(sum(numbers))


if __name__ == "__main__":
    main()
