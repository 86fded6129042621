#!/usr/bin/python3
"""Runs modules of Python's own test suite, in the machine, and says how each single test ended.

usage: run_modules.py [--deadline SECONDS] [--only TEXT] [--done FILE] MODULE...

Standard output has one line for each event and nothing else: `module NAME COUNT`, `start TEST`, and
`ok`, `FAIL` or `skip TEST`. What the tests themselves print, and why one failed, goes to standard
error. A TEST is its unittest name from its module on (`test_os.FileTests.test_access`).

Each module runs in a process of its own (this program with --child), in a session and an empty
directory of its own. That process reports through a pipe; when a test takes longer than the deadline,
or the process dies, the test that ran has failed, and another process goes on behind it. --done names
the tests that need not run again: when a whole machine died, the next one goes on behind the test.
Tests that left-out.txt names, or whose class or module it names, do not run and are not counted.
"""
import argparse
import fnmatch
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import unittest

OPEN_FILES = 1024, 4096  # some tests open as many as they may, and skip when that takes too many
LEFT_OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'left-out.txt')


def names_read(path):
    with open(path) as file:
        return {line.split()[0] for line in file if line.strip() and not line.startswith('#')}


# ---- In the process of one module ----

MODULE = None  # the one that runs here


def qualified(name):
    """A module's tests can come from others: their names are put behind its own."""
    name = ''.join(name.removeprefix('test.').split())
    return name if name.startswith(MODULE + '.') else f'{MODULE}.{name}'


def name_of(test):
    return qualified(test.id())


def flatten(suite):
    for test in suite:
        if isinstance(test, unittest.BaseTestSuite):
            yield from flatten(test)
        else:
            yield test


class Reporter(unittest.TestResult):
    """Writes a line for each test that starts and ends, at once, to a pipe."""

    def __init__(self, pipe):
        super().__init__()
        self.pipe, self.result, self.left = pipe, None, {}

    def say(self, *words):
        os.write(self.pipe, (' '.join(words) + '\n').encode())

    def startTest(self, test):
        super().startTest(test)
        self.result = 'ok'
        self.say('start', name_of(test))

    def stopTest(self, test):
        super().stopTest(test)
        self.left.pop(name_of(test), None)
        self.say(self.result, name_of(test))

    def note(self, test, result, why):
        print(f'{result} {test.id()}: {why}', file=sys.stderr, flush=True)
        if isinstance(test, unittest.TestCase):
            self.result = result if self.result != 'FAIL' else self.result
        else:  # the set-up of a class or module: its id is `setUpClass (module.class)`
            scope = qualified(test.id().rpartition('(')[2].rstrip(')'))
            for name in [n for n in self.left if f'{n}.'.startswith(scope + '.')]:
                self.left.pop(name)
                self.say(result, name)

    def addError(self, test, error):
        self.note(test, 'FAIL', self._exc_info_to_string(error, test))

    addFailure = addError

    def addSubTest(self, test, subtest, error):
        if error:
            self.note(test, 'FAIL', f'{subtest}: {self._exc_info_to_string(error, test)}')

    def addSkip(self, test, reason):
        # A subtest that is skipped leaves its test's result alone.
        if not hasattr(test, 'test_case'):
            self.note(test, 'skip', reason)

    def addExpectedFailure(self, test, error):
        pass

    def addUnexpectedSuccess(self, test):
        self.note(test, 'FAIL', 'unexpected success')


def is_left_out(name, left_out):
    parts = name.split('.')
    prefixes = ['.'.join(parts[:i]) for i in range(1, len(parts) + 1)]
    return any(fnmatch.fnmatchcase(prefix, pattern) for prefix in prefixes for pattern in left_out)


def module_run(module, pipe, done, only):
    global MODULE
    MODULE = module
    os.set_inheritable(pipe, False)
    reporter = Reporter(pipe)
    from test import support
    support.use_resources = []
    support.verbose = False
    try:
        suite = unittest.defaultTestLoader.loadTestsFromName('test.' + module)
    except unittest.SkipTest as reason:
        print(f'skip {module}: {reason}', file=sys.stderr)
        reporter.say('module', module, '1')
        reporter.say('skip', module)
        return
    left_out = names_read(LEFT_OUT)
    tests = [t for t in flatten(suite) if not is_left_out(name_of(t), left_out) and only in t.id()]
    reporter.say('module', module, str(len({name_of(test) for test in tests})))
    tests = [test for test in tests if name_of(test) not in done]
    reporter.left = dict.fromkeys(map(name_of, tests))
    unittest.TestSuite(tests).run(reporter)
    for name in reporter.left:
        reporter.say('skip', name)
    reporter.say('end', module)


# ---- In the process that watches ----

class Watched:
    """One module: its processes, one after the other until all tests have a result."""

    def __init__(self, module, options, done):
        self.module, self.options, self.done = module, options, done
        self.current, self.ended, self.rest = None, False, b''

    def start(self, directory, done_path):
        reader, writer = os.pipe()
        words = [sys.executable, os.path.abspath(__file__), '--child', str(writer), '--done',
                 done_path, '--only', self.options.only, self.module]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=2, cwd=directory,
                                   pass_fds=[writer], start_new_session=True)
        os.close(writer)
        return process, reader

    def line(self, text):
        kind, _, name = text.partition(' ')
        if kind == 'end':
            self.ended = True
            return
        print(text, flush=True)
        if kind == 'start':
            self.current = name
        elif kind != 'module':
            self.done.add(name)
            self.current, self.ended = None, self.ended or name == self.module

    def read(self, process, reader):
        """Reads what the process reports until it ends or says nothing until the deadline."""
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        while poll.poll(self.options.deadline * 1000):
            data = os.read(reader, 65536)
            if not data:
                return 'died'
            *lines, self.rest = (self.rest + data).split(b'\n')
            for line in lines:
                self.line(line.decode())
            if self.ended:
                return 'ended'
        return 'ran into the deadline'

    def run(self):
        while not self.ended:
            with tempfile.TemporaryDirectory(prefix='libpython-',
                                             ignore_cleanup_errors=True) as directory:
                done_path = os.path.join(directory, 'done')
                with open(done_path, 'w') as file:
                    file.writelines(name + '\n' for name in self.done)
                work = os.path.join(directory, 'work')
                os.mkdir(work)
                self.current = None
                process, reader = self.start(work, done_path)
                how = self.read(process, reader)
                if how == 'ended' and self.wait(process):
                    os.close(reader)
                    continue
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                status = process.wait()
                os.close(reader)
            if not self.ended:
                self.died(how, status)

    def wait(self, process):
        try:
            process.wait(self.options.deadline)
        except subprocess.TimeoutExpired:
            print(f'{self.module}: does not end after its tests', file=sys.stderr, flush=True)
            return False
        return True

    def died(self, how, status):
        name = self.current
        print(f'FAIL {name or self.module}: the process {how}, status {status}', file=sys.stderr,
              flush=True)
        self.ended = name is None  # between tests: going on could go on for ever
        self.line(f'FAIL {name or self.module}')


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('--deadline', type=float, default=200)
    parser.add_argument('--only', default='')
    parser.add_argument('--done', default=os.devnull)
    parser.add_argument('--child', type=int)
    parser.add_argument('modules', nargs='+')
    options = parser.parse_args()
    done = names_read(options.done)
    resource.setrlimit(resource.RLIMIT_NOFILE, OPEN_FILES)
    if options.child is not None:
        module_run(options.modules[0], options.child, done, options.only)
        return
    for module in options.modules:
        Watched(module, options, done).run()


if __name__ == '__main__':
    main()
