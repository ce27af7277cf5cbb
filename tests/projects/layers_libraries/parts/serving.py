"""A deployment that is asked by its handle and over HTTP."""

import json
import urllib.request

from ray import serve

from parts.origin import origin


@serve.deployment
class Answers:
    async def __call__(self, request):
        return self.answer(request.query_params["question"])

    def answer(self, question):
        return {"value": question.upper(), "origin": origin()}


def run():
    serve.start(proxy_location="HeadOnly")
    handle = serve.run(Answers.bind(), name="answers", route_prefix="/answers")
    by_handle = handle.answer.remote("why").result()
    with urllib.request.urlopen("http://127.0.0.1:8000/answers?question=how") as answer:
        by_http = json.load(answer)
    serve.shutdown()
    answers = [by_handle, by_http]
    return {"value": [each["value"] for each in answers], "origins": [each["origin"] for each in answers]}
