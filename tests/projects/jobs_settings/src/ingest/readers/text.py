from ingest.readers.lines import read as lines


def read(feed):
    return [" ".join(lines(feed))]
