"""Another user of the machine, who tries every port and file of a cluster: a program that prints JSON.

Arguments: the uid to become, the files, `--`, and the ports. KNOCKING_TOKEN has a token to show.
"""

from __future__ import annotations

import concurrent.futures
import encodings.idna
import http.client
import json
import os
import sys

import grpc  # type: ignore[import-untyped]
import grpc._channel  # type: ignore[import-untyped]

_LOADED = (concurrent.futures, encodings.idna, grpc._channel)
"""Loaded before the change of user, who may not read the interpreter's files."""
HTTP = (
    ("GET", "/"),
    ("GET", "/api/version"),
    ("GET", "/api/jobs/"),
    ("POST", "/api/jobs/"),
    ("POST", "/api/job_agent/jobs/"),
    ("GET", "/logs/"),
    ("GET", "/nodes?view=summary"),
    ("POST", "/get_runtime_envs_info"),
    ("POST", "/get_or_create_runtime_env"),
    ("GET", "/api/v0/tasks"),
)
GRPC = (
    "InternalKVGcsService/InternalKVKeys",
    "JobInfoGcsService/GetAllJobInfo",
    "NodeManagerService/GetNodeStats",
    "ObjectManagerService/Push",
    "RayletDriver/ClusterInfo",
    "ReporterService/CpuProfiling",
    "CoreWorkerService/GetCoreWorkerStats",
)
"""One method of each service of Ray."""
UNKNOWN = (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAVAILABLE)
"""Answers of a server without the service, and of one that does not speak gRPC."""


def ask_http(port: int, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """Returns status and the first words; 0 if the server does not speak HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    body = json.dumps({"entrypoint": "echo taken over"}) if "jobs" in path else None
    try:
        connection.request(method, path, body if method == "POST" else None, headers)
        response = connection.getresponse()
        return response.status, response.read(40).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


def ask_grpc(port: int, method: str, token: str) -> str:
    """Returns the name of the status."""
    metadata = [("authorization", f"Bearer {token}")] if token else None
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(f"/ray.rpc.{method}")
        try:
            call(b"", timeout=10, metadata=metadata)
        except grpc.RpcError as error:
            return "unknown" if error.code() in UNKNOWN else str(error.code().name)
    return "OK"


def knock(port: int, token: str) -> dict[str, str]:
    """Returns what each request to a port is answered."""
    headers = {"User-Agent": "knocking", **({"Authorization": f"Bearer {token}"} if token else {})}
    found = {}
    for method, path in HTTP:
        status, words = ask_http(port, method, path, headers)
        if status == 0:
            break
        found[f"{method} {path}"] = "metrics" if words.startswith("# HELP") else str(status)
    if not found:
        found = {method: ask_grpc(port, method, token) for method in GRPC}
    return {question: answer for question, answer in found.items() if answer not in ("404", "405", "unknown")}


def opened(path: str) -> bool:
    """Whether a file can be read, or a directory listed."""
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return False
    return True


def main() -> None:
    """Becomes the other user, tries everything, and prints the answers."""
    uid, *words = sys.argv[1:]
    files, ports = words[: words.index("--")], words[words.index("--") + 1 :]
    token = os.environ.pop("KNOCKING_TOKEN", "")
    os.setgroups([])
    os.setgid(int(uid))
    os.setuid(int(uid))
    answers = {port: knock(int(port), token) for port in ports}
    sys.stdout.write(json.dumps({"ports": answers, "files": [file for file in files if opened(file)]}))


if __name__ == "__main__":
    main()
