"""Freed memory stays with the process, seen by the pages that the next block has to fetch."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from siamjax.memory import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def fill():
    block = bytearray(256 << 20)
    block[::512] = bytes(len(block) // 512)

fill()
before = pages()
fill()
print(pages() - before)
"""


def fetched(how):
    """Pages that the second of two blocks of 256 MiB fetched."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_the_next_block_fetches_no_pages():
    assert fetched("keep") * 10 < fetched("leave")
