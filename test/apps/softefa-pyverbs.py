#!/usr/bin/env python3
"""Runs pyverbs' own test modules on the first device; a line for each test.

usage: softefa-pyverbs.py [--no-skip] MODULE...

PYTHONPATH has the directory tests/ and the one above it.
"""
import importlib
import sys
import unittest

from args_parser import parser


class Lines(unittest.TestResult):
    """Prints what test/README.md asks for, with the reason in one line."""

    def __init__(self, no_skip):
        super().__init__()
        self.no_skip = no_skip
        self.bad = 0

    @staticmethod
    def name(test):
        return '.'.join(test.id().split('.')[-3:])

    def line(self, kind, test, why=None):
        if kind == 'not ok':
            self.bad += 1
        why = '' if why is None else ': ' + ' '.join(str(why).split())
        print('{} pyverbs {}{}'.format(kind, self.name(test), why), flush=True)

    def addSuccess(self, test):
        self.line('ok', test)

    def addSkip(self, test, reason):
        self.line('not ok' if self.no_skip else 'skip', test, reason)

    def addError(self, test, err):
        self.line('not ok', test, err[1])
        sys.stderr.write(self._exc_info_to_string(err, test)
                         if isinstance(test, unittest.TestCase)
                         else repr(err[1]))

    addFailure = addError

    def addExpectedFailure(self, test, err):
        self.line('ok', test)

    def addUnexpectedSuccess(self, test):
        self.line('not ok', test, 'was expected to fail')

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.addError(test, err)


def main():
    args = sys.argv[1:]
    no_skip = '--no-skip' in args
    modules = [arg for arg in args if arg != '--no-skip']
    sys.argv = ['pyverbs', '--dev', 'efa_0', '--gid', '0']
    parser.parse_args()

    suite = unittest.TestSuite(
        unittest.defaultTestLoader.loadTestsFromModule(
            importlib.import_module('tests.' + module))
        for module in modules)
    result = Lines(no_skip)
    suite.run(result)
    return 1 if result.bad else 0


if __name__ == '__main__':
    sys.exit(main())
