"""Finds the lines of a source that may name a file, so that all others need no evaluation."""

from __future__ import annotations

import re

from raybundle.resolve.evaluate.files.vocabulary import DIRECTORIES

_IN_QUOTES = re.compile(rb"(['\"])(?:[^'\"\s]*(?:/[^'\"\s]*|\.\w{1,10})|(?:(?<=/ .)|(?<=/.))\w[^'\"\s]*)\1")
"""A string that looks like a path, or follows a `/`."""
_READING_CALL = re.compile(
    rb"\((?:(?<=open\()|(?<=Path\()|(?<=path.join\()|(?<=listdir\()|(?<=scandir\()|(?<=walk\()|(?<=glob\())"
)
_MAKING = re.compile(
    rb"\((?:(?<=dirs\()|(?<=mkdir\()|(?<=_text\()|(?<=_bytes\()|(?<=save\()|(?<=savefig\()|(?<=_csv\()"
    rb"|(?<=_parquet\()|(?<=_json\()|(?<=dump\()|(?<=touch\()|(?<=Handler\())"
)
"""Begin with the bracket and look back from there, so that the search goes from bracket to bracket."""

_FORMS = {
    b"add_argument": re.compile(rb"type\s*=\s*[\w.]*Path\b"),
    b"__file__": re.compile(rb"__file__"),
    b"dotenv": re.compile(rb"dotenv"),
    b"chdir": re.compile(rb"chdir\("),
    b"Option": re.compile(rb"Option\("),
    b"Argument": re.compile(rb"Argument\("),
    b"environ": re.compile(rb"environ\["),
    b"ynaconf": re.compile(rb"ynaconf"),
    b"rgument": re.compile(rb"default\s*=\s*['\"]\w"),
    b"option": re.compile(rb"default\s*=\s*['\"]\w"),
    b"ataset": re.compile(rb"ataset\("),
    b"pipeline": re.compile(rb"pipeline\("),
    **{
        each: re.compile(each)
        for each in (
            *(b"_from_d", b"from_pretrained", b"Folder", b"DeltaTable", b"SystemLoader"),
            *(b"SentenceTransformer", b"PersistentClient"),
        )
    },
    **{
        each.encode(): re.compile(rb"%b['\"]?\s*[=:]" % each.encode())
        for each in (*sorted(DIRECTORIES), "dir", "folder", "root", "cwd")
    },
}
"""Stand in the lines that name other files, by a word in each source that has such a line."""


def lines_of_interest(source: bytes, words: bytes) -> list[int]:
    """Returns the lines that may name a file, in order. Statements without such a line are skipped."""
    places = [found.start() for form in (_IN_QUOTES, _READING_CALL) for found in form.finditer(source)]
    forms = [form for word, form in _FORMS.items() if word in words]
    places += [found.start() for form in forms for found in form.finditer(source)]
    places += [found.start() for found in (_MAKING.finditer(source) if places else ())]
    lines, line, position = [], 1, 0
    for place in sorted(places):
        line += source.count(b"\n", position, place)
        position = place
        lines.append(line)
    return lines
