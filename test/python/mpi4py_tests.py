"""mpi4py's own tests, with one line for each in a file of this rank.

    mpi4py_tests.py DIRECTORY OUTPUT [ARGUMENTS]

DIRECTORY is mpi4py's test/, OUTPUT.RANK the file, ARGUMENTS those of its main.py. A
line is a verdict and a name: ok, failed (with the reason behind the name), skip;
"begin" before each, so that it is known which test a process ended in; and "end" at
the end of all. The tests of futures/ are not among them.
"""

import os
import sys
import unittest

directory, output = sys.argv[1:3]
sys.argv[1:3] = []
sys.dont_write_bytecode = True
sys.path.insert(0, directory)
os.chdir(directory)
import main                                                    # noqa: E402


class Result(unittest.TextTestResult):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        from mpi4py import MPI
        rank = MPI.COMM_WORLD.Get_rank()
        self.lines = open(f"{output}.{rank}", "a", buffering=1)

    def line(self, verdict, test, why=""):
        # setUpClass (test_x.TestX)
        print(verdict, test.id().replace(" ", "_"), why, file=self.lines)

    def reason(self, error):
        return " ".join(f"{error[0].__name__}: {error[1]}".split())

    def startTest(self, test):
        self.line("begin", test)
        super().startTest(test)

    def addSuccess(self, test):
        self.line("ok", test)
        super().addSuccess(test)

    def addSkip(self, test, reason):
        self.line("skip", test, reason)
        super().addSkip(test, reason)

    def addError(self, test, error):
        self.line("failed", test, self.reason(error))
        super().addError(test, error)

    def addFailure(self, test, error):
        self.line("failed", test, self.reason(error))
        super().addFailure(test, error)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.line("failed", test, self.reason(error))
        super().addSubTest(test, subtest, error)

    def addExpectedFailure(self, test, error):
        self.line("ok", test)
        super().addExpectedFailure(test, error)

    def addUnexpectedSuccess(self, test):
        self.line("failed", test, "unexpected success")
        super().addUnexpectedSuccess(test)


try:
    main.main(module=None,
              testRunner=unittest.TextTestRunner(resultclass=Result, verbosity=0))
except SystemExit:
    pass
from mpi4py import MPI                                         # noqa: E402
with open(f"{output}.{MPI.COMM_WORLD.Get_rank()}", "a") as lines:
    print("end", file=lines)
