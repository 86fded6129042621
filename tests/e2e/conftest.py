"""Results by name, the sum at the end, and what is not yet there: skipped, by name, with a reason.

tests/e2e/not-yet.txt has a line `FILE::TEST: reason` for each test that Pith does not pass yet
(without the parameters in brackets: for all of them).
"""
import os
import re

import pytest

# Their assertions, too, say what they saw.
pytest.register_assert_rewrite('machine', 'pith')

HERE = os.path.dirname(os.path.abspath(__file__))
counts = {'ok': 0, 'FAIL': 0, 'skip': 0}
reporter = None


def not_yet():
    lines = {}
    with open(os.path.join(HERE, 'not-yet.txt')) as file:
        for line in file:
            found = re.match(r'(\S+::.+?): (.*)', line)
            if found and not line.startswith('#'):
                lines[found.group(1)] = found.group(2)
    return lines


def pytest_configure(config):
    global reporter
    reporter = config


def pytest_collection_modifyitems(items):
    excused = not_yet()
    for item in items:
        name = item.nodeid.split('/')[-1]
        reason = excused.get(name) or excused.get(name.split('[')[0])
        if reason:
            item.add_marker(pytest.mark.skip(reason=f'not yet: {reason}'))


def say(verdict, report, detail=''):
    counts[verdict] += 1
    terminal = reporter.pluginmanager.get_plugin('terminalreporter')
    name = report.nodeid.split('/')[-1]
    terminal.write_line(f'{verdict} {name}' + (f': {detail}' if detail else ''))


def pytest_report_teststatus(report, config):
    return (report.outcome if report.when == 'call' or not report.passed else ''), '', ''


def pytest_runtest_logreport(report):
    if report.skipped:
        say('skip', report, str(report.longrepr[2]).removeprefix('Skipped: '))
    elif report.failed:
        say('FAIL', report, report.longreprtext.strip().split('\n')[-1][:300])
    elif report.when == 'call':
        say('ok', report)


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(
        f"e2e: {counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
