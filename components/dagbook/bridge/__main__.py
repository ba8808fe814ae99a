"""``python -m dagbook.bridge FOLDER``: answer questions on standard input until it ends."""

import os

# Before anything else is loaded: what anybody prints from here on goes to the standard error, and
# whoever reads gets nothing of our questions.
_answers = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
_questions = os.fdopen(os.dup(0), encoding="utf-8", errors="replace", newline="\n")
os.dup2(2, 1)
_nothing = os.open(os.devnull, os.O_RDONLY)
os.dup2(_nothing, 0)
os.close(_nothing)


def main() -> None:
    """Serve one project."""
    import argparse
    import signal
    from pathlib import Path

    from dagbook.bridge.front import Front

    parser = argparse.ArgumentParser(prog="python -m dagbook.bridge", description=__doc__)
    parser.add_argument("folder", type=Path, help="the project, or the folder to become one")
    parser.add_argument("--python-from", default="", help="where this interpreter was found")
    args = parser.parse_args()
    # The owner's terminal or kernel is interrupted, not we.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    front = Front(args.folder.absolute(), _answers, python_from=args.python_from)

    def end(*_: object) -> None:
        front.end()
        # Threads that still wait for somebody's code must not keep us.
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    try:
        front.serve(_questions)
    finally:
        end()


main()
