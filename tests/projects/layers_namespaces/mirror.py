"""Makes clients of two clouds on the driver and on every node; `google` and `azure` are namespaces of several distributions."""

import json
import socket

import ray
from azure.identity import ClientSecretCredential
from azure.storage.blob import BlobServiceClient
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

NODES = ("n0", "n1", "n2")


def clients():
    import azure.identity
    import azure.storage.blob
    import google.cloud.storage
    import google.protobuf

    modules = (azure.identity, azure.storage.blob, google.cloud.storage, google.protobuf)
    bucket = storage.Client(project="none", credentials=AnonymousCredentials()).bucket("photos")
    secret = ClientSecretCredential("00000000-0000-0000-0000-000000000000", "client", "secret")
    blobs = BlobServiceClient("https://account.blob.core.windows.net", credential=secret)
    return {
        "host": socket.gethostname(),
        "urls": [bucket.path, blobs.get_container_client("photos").url],
        "files": [module.__file__ for module in modules],
    }


if __name__ == "__main__":
    ray.init(log_to_driver=False)
    task = ray.remote(num_cpus=0)(clients)
    nodes = ray.get([task.options(resources={node: 1}).remote() for node in NODES])
    print("REPORT " + json.dumps({"driver": clients(), "nodes": nodes}))
