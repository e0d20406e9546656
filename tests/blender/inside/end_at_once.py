"""Runs a program in pip's bpy and ends the process with the program's answer.

Blender 4.2 as a module crashes while it tidies up, after Python's end, where a property has a callback; the
Blender that people start does not.

Usage: end_at_once.py PROGRAM ARGUMENTS, or end_at_once.py -m MODULE ARGUMENTS
"""

import os
import runpy
import sys
import traceback


def main(arguments: list[str]) -> int:
    """Run it; 0, or what it exits with, or 1 where it raises."""
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            sys.path[0] = ""
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            sys.path[0] = os.path.dirname(arguments[0])  # noqa: PTH120 - as Python itself sets it
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    answer = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(answer)
