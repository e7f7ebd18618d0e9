#!/usr/bin/env python3
"""Runs pyverbs' own test modules on the first device; a line for each test.

usage: softefa-pyverbs.py [--no-skip] [--except REGEX] [--label WORD] MODULE...

--no-skip     a test that skips itself has failed
--label       a word in front of each test's name
--except      do not even start the tests whose names match

PYTHONPATH has the directory tests/ and the one above it.
"""
import argparse
import importlib
import re
import sys
import unittest

from args_parser import parser


class Lines(unittest.TestResult):
    """Prints what test/README.md asks for, with the reason in one line."""

    def __init__(self, label, no_skip):
        super().__init__()
        self.label = label
        self.no_skip = no_skip
        self.bad = 0

    @staticmethod
    def name(test):
        return '.'.join(test.id().split('.')[-3:])

    def line(self, kind, test, why=None):
        if kind == 'not ok':
            self.bad += 1
        why = '' if why is None else ': ' + ' '.join(str(why).split())
        print('{} pyverbs {}{}{}'.format(kind, self.label, self.name(test), why),
              flush=True)

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


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def main():
    options = argparse.ArgumentParser()
    options.add_argument('--label')
    options.add_argument('--no-skip', action='store_true')
    options.add_argument('--except', dest='left_out')
    options.add_argument('modules', nargs='+')
    args = options.parse_args()
    sys.argv = ['pyverbs', '--dev', 'efa_0', '--gid', '0']
    parser.parse_args()

    left_out = re.compile(args.left_out or '$^')
    suite = unittest.TestSuite()
    for module in args.modules:
        for test in flatten(unittest.defaultTestLoader.loadTestsFromModule(
                importlib.import_module('tests.' + module))):
            if not left_out.search(test.id()):
                suite.addTest(test)
    result = Lines(args.label + ' ' if args.label else '', args.no_skip)
    suite.run(result)
    return 1 if result.bad else 0


if __name__ == '__main__':
    sys.exit(main())
