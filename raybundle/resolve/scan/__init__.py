"""One source file at a time: bytes in, facts about its imports out."""
