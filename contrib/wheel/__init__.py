"""The programs of ucx-efa, which lie beside this file."""

import os
import sys


def _run(name):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", name)
    try:
        # The same process: signals and exit status are the program's
        os.execv(path, [path] + sys.argv[1:])
    except OSError as error:
        sys.exit("%s: cannot run %s: %s: reinstall ucx-efa" %
                 (name, path, error.strerror))


def efarun():
    _run("efarun")


def srdtool():
    _run("srdtool")
