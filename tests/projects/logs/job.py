"""Writes logs of all kinds."""

import os
import sys
import time


def write(data):
    os.write(1, data)


match sys.argv[1:]:
    case ["ticks", count, delay]:
        for number in range(int(count)):
            write(f"tick {number} of {count} \N{SAUROPOD}\n".encode())
            time.sleep(float(delay))
    case ["awkward"]:
        write(b"carriage\rreturn\r\nand \xff\xfe no text, \x1b[31mred\x1b[0m, nul \0\n")
        time.sleep(1.5)
        write(b"\n\r\n\rno end of line")
        time.sleep(1.5)
        write(b" and more \xf0\x9f")
        time.sleep(1.5)
        write(b"\xa6\x96")
    case ["large", megabytes]:
        line = b"x" * 99 + b"\n"
        for _ in range(int(megabytes)):
            write(line * 10_000)
        write(b"SENTINEL\n")
    case ["code", code]:
        write(b"ticks\n" * 20)
        time.sleep(3)
        sys.exit(int(code))
