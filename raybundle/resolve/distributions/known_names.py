"""Distributions whose modules have another name, for hints about what is not installed."""

from __future__ import annotations

from raybundle.resolve.distributions.installed import normalised_name

_DISTRIBUTIONS = {
    "Crypto": "pycryptodome",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyOpenSSL",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "fitz": "PyMuPDF",
    "git": "GitPython",
    "google.protobuf": "protobuf",
    "grpc": "grpcio",
    "hydra": "hydra-core",
    "jwt": "PyJWT",
    "kafka": "kafka-python",
    "magic": "python-magic",
    "psycopg2": "psycopg2-binary",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "umap": "umap-learn",
    "yaml": "PyYAML",
    "zmq": "pyzmq",
}
"""By module: the names that most people meet; a guess about any other may name a stranger's project."""


def distribution_of(module: str) -> str | None:
    """Returns the distribution that has a module, if it is well known."""
    parts = module.split(".")
    known = (_DISTRIBUTIONS.get(".".join(parts[:length])) for length in range(len(parts), 0, -1))
    return next(filter(None, known), None)


def module_of(distribution: str) -> str | None:
    """Returns the module that a well-known distribution has under another name."""
    name = normalised_name(distribution)
    return next((each for each, known in _DISTRIBUTIONS.items() if normalised_name(known) == name), None)


def install_text(module: str) -> str:
    """Returns ` (`pip install NAME`)` for a module of a well-known distribution, else nothing."""
    known = distribution_of(module)
    return f" (`pip install {known}`)" if known else ""
