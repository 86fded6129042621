"""The table of commands, tests/programs/commands.txt: in Pith each prints what it prints on the host.

All rows run in one machine for each number of CPUs, and once on the host, in the same directory.
A row's command is sh's, and its result is both its streams and its status.
"""
import difflib
import json
import os
import shutil
import subprocess
import tempfile

import pytest

from machine import command
from pith import TREE
from program_table import read_table

SOAK = bool(os.environ.get('PITH_SOAK'))
PACKAGES = ['coreutils', 'findutils', 'grep', 'sed', 'gawk', 'tar', 'gzip', 'xz-utils', 'diffutils']
RUNNER = ['/usr/bin/python3', os.path.join(TREE, 'tests', 'programs', 'run_rows.py')]
LIMIT = 1500 if SOAK else 600

ALL_ROWS, EXCLUDED = read_table()
ROWS = {row.name: row for row in ALL_ROWS if SOAK or not row.soak}


def results(words):
    """Runs the rows by a runner; returns the results by name, as far as there are some."""
    rows = ''.join(json.dumps({'name': row.name, 'command': row.command}) + '\n'
                   for row in ROWS.values())
    run = subprocess.run(words, input=rows, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, errors='replace', timeout=LIMIT + 60)
    lines = [json.loads(line) for line in run.stdout.splitlines() if line.endswith('}')]
    return {line['name']: line for line in lines}, f'status {run.returncode}: {run.stderr[-500:]}'


@pytest.fixture(scope='session')
def runs():
    """The results on the host (key 0) and in Pith, by the number of CPUs, made when asked for."""
    directory = tempfile.mkdtemp(prefix='pith-commands-')
    place = os.path.join(directory, 'row')
    made = {0: results([*RUNNER, place])}

    def of_machine(cpus):
        if cpus not in made:
            options = ['--cpus', str(cpus), '--timeout', str(LIMIT)]
            made[cpus] = results(command(*RUNNER, place, options=options))
        return made[0], made[cpus]

    yield of_machine
    shutil.rmtree(directory, ignore_errors=True)


def difference(host, pith):
    lines = difflib.unified_diff(host.splitlines(), pith.splitlines(), 'host', 'Pith', n=0, lineterm='')
    return '\n'.join(list(lines)[:20])


@pytest.mark.parametrize('cpus', [1, 2], ids=['one_cpu', 'two_cpus'])
@pytest.mark.parametrize('name', ROWS)
def test_command_prints_what_it_prints_on_the_host(name, cpus, runs):
    (host, _), (pith, end) = runs(cpus)
    assert name in pith, f'the machine ended before: {end}'
    row, expected, answer = ROWS[name], host[name], pith[name]
    for stream in 'out', 'err':
        shown = difference(row.form(expected[stream]), row.form(answer[stream]))
        assert shown == '', f'{stream}: {row.command}\n{shown}'
    assert answer['status'] == expected['status']


def programs_of(package):
    """The names of a package's programs; none if it is not installed."""
    found = subprocess.run(['dpkg', '-L', package], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           text=True).stdout.split()
    return [os.path.basename(path) for path in found
            if os.path.dirname(path) in ('/bin', '/sbin', '/usr/bin', '/usr/sbin')]


def test_every_program_of_the_packages_and_every_applet_has_a_row_or_a_reason():
    named = {row.program for row in ALL_ROWS} | set(EXCLUDED)
    there = {program for package in PACKAGES for program in programs_of(package)}
    there |= {f'busybox {applet}' for applet in
              subprocess.run(['busybox', '--list'], stdout=subprocess.PIPE, text=True).stdout.split()}
    assert sorted(there - named) == []


def test_the_table_has_three_hundred_rows_which_run_what_they_are_named_for():
    assert len(ALL_ROWS) >= 300 and len({row.name for row in ALL_ROWS}) == len(ALL_ROWS)
    assert [row.name for row in ALL_ROWS if row.program not in row.command] == []
