from io import BytesIO

from fsspec import AbstractFileSystem


class ShelfFileSystem(AbstractFileSystem):
    protocol = "shelf"

    def _open(self, path, mode="rb", **kwargs):
        return BytesIO(f"shelf {path}".encode())

    def info(self, path, **kwargs):
        return {"name": path, "size": 10, "type": "file"}
