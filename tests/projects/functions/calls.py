"""Calls functions as jobs, and prints what comes back."""

import json
import sys
from pathlib import Path

import raybundle
import sibling

WORDS = Path("data/words.txt")


class Point:
    def __init__(self, x):
        self.x = x


def work(point, path):
    import late
    import ray

    @ray.remote
    def task(each):
        return sibling.double(each.x)

    return Point(ray.get(task.remote(point))), late.WORD, WORDS.read_text().strip(), Path(path).name, __file__


def fails(place):
    import late

    raise LookupError(f"{place} {late.WORD}")


def fails_oddly():
    import late

    raise late.NoSuchPlace("here", "its pickle cannot be read")


def pooled(number):
    return sibling.double(number)


def pools():
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(pooled, [1, 2])


async def waits():
    return "awaited"


exec("def typed():\n    import late\n    return late.WORD")


def say(name, value):
    print("REPORT " + json.dumps({name: value}), flush=True)


if __name__ == "__main__":
    jobs = {
        "good": raybundle.submit_function(work, [Point(4)], {"path": "late.py"}, submission_id=sys.argv[1]),
        "bad": raybundle.submit_function(fails, ["nowhere"]),
        "odd": raybundle.submit_function(fails_oddly),
        "typed": raybundle.job(typed, dependencies="cluster").submit(),
        "waits": raybundle.submit_function(waits),
        "pools": raybundle.submit_function(pools),
    }
    point, *rest = jobs["good"].result()
    say("good", [isinstance(point, Point), point.x, *rest])
    say("again", raybundle.attach(sys.argv[1]).result()[0].x)
    say("rerun", raybundle.rerun(sys.argv[1]).result()[0].x)
    for name in ("bad", "odd"):
        try:
            jobs[name].result()
        except Exception as error:
            cause = error.__cause__ if name == "bad" else error
            say(name, [type(error).__name__, str(error), type(cause).__name__, cause.traceback])
    shown = []
    say("typed", [jobs["typed"].result(shown.append), "raybundle: result" in "".join(shown)])
    say("in its log", "raybundle: result" in jobs["typed"].logs() and " log\n" in jobs["typed"].logs())
    say("waits", raybundle.job(waits).run.__name__ and jobs["waits"].result())
    say("pools", jobs["pools"].result())
    say("here", raybundle.job(sibling.double)(3))
