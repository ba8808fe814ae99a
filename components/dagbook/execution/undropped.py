"""Has an ipykernel drop none of its output.

An ipykernel publishes through a socket that keeps a thousand messages for a reader who is busy
and drops what comes then, without a word to anybody: a cell that flushes each line loses some of
them whenever the machine is busy for a tenth of a second. No option of ipykernel changes that,
so the kernel is asked to change it itself, once, before the first cell.

`IOPubThread`'s ``schedule`` and ``socket`` are not documented; a test fails when they move, and
a kernel that has them no more only answers with an error nobody listens to.
"""

from __future__ import annotations

#: An expression, so that it leaves no name behind; silent, so that it leaves no trace either.
KEEP_ALL_OUTPUT = (
    "(lambda thread: thread.schedule("
    "lambda: thread.socket.setsockopt(__import__('zmq').SNDHWM, 0)"
    "))(get_ipython().kernel.iopub_thread)"
)
