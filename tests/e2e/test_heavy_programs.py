"""Runtimes with their own threads and compilers, and Debian's package manager, in Pith.

The compilers for the programs of tests/programs/compiled are large: `make soak` installs them, and
elsewhere a test whose compiler is not there is skipped.
"""
import os
import shutil
import subprocess

import pytest

from machine import run_program
from pith import TREE

SOURCES = os.path.join(TREE, 'tests', 'programs', 'compiled')
# Debian's compilers, whatever else is on the path; the words that compile, and those that run.
LANGUAGES = {
    'java': (['/usr/bin/javac', '-d', '.', f'{SOURCES}/Sums.java'], ['/usr/bin/java', '-cp', '.', 'Sums']),
    'go': (['/usr/bin/go', 'build', '-o', 'sums', f'{SOURCES}/sums.go'], ['./sums']),
    'rust': (['/usr/bin/rustc', '-O', '-o', 'sums', f'{SOURCES}/sums.rs'], ['./sums']),
}
LIMIT = 140

GREETING = r'''
set -e
cd "$(mktemp -d)"
mkdir -p root/DEBIAN root/usr/bin
cat >root/DEBIAN/control <<'END'
Package: pith-greeting
Version: 1.0
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: says hello
END
printf '#!/bin/sh\necho "postinst $1"\n' >root/DEBIAN/postinst
printf '#!/bin/sh\necho hello\n' >root/usr/bin/pith-greeting
chmod 755 root/DEBIAN/postinst root/usr/bin/pith-greeting
dpkg-deb --root-owner-group -b root greeting.deb >/dev/null
dpkg -i greeting.deb | grep -v '^(Reading'
pith-greeting
dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n' pith-greeting
dpkg -V pith-greeting
dpkg --purge pith-greeting | grep -v '^(Reading'
[ ! -e /usr/bin/pith-greeting ]
'''


@pytest.mark.parametrize('cpus', ['1', '2'])
@pytest.mark.parametrize('language', LANGUAGES)
def test_program_with_many_threads_says_what_it_says_on_the_host(language, cpus, tmp_path):
    compile_it, run_it = LANGUAGES[language]
    if not os.path.exists(compile_it[0]):
        pytest.skip(f'{compile_it[0]} is not installed')
    environment = {**os.environ, 'GOCACHE': str(tmp_path / 'cache'), 'GO111MODULE': 'off'}
    subprocess.run(compile_it, cwd=tmp_path, env=environment, check=True, timeout=LIMIT)
    host = subprocess.run(run_it, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT)
    pith = run_program(*run_it, options=['--cpus', cpus], cwd=tmp_path)
    assert pith.stdout.decode() == host.stdout.decode()
    assert pith.stderr.decode() == host.stderr.decode()
    assert pith.returncode == host.returncode
    assert host.returncode == {'java': 0, 'go': 3, 'rust': 3}[language]


@pytest.mark.parametrize('cpus', ['1', '2'])
def test_dpkg_installs_and_purges_a_package_in_the_overlay(cpus):
    pith = run_program('bash', '-c', GREETING, options=['--cpus', cpus])
    assert pith.stderr.decode() == ''
    assert pith.stdout.decode().splitlines() == [
        'Selecting previously unselected package pith-greeting.',
        'Preparing to unpack greeting.deb ...',
        'Unpacking pith-greeting (1.0) ...',
        'Setting up pith-greeting (1.0) ...',
        'postinst configure',
        'hello',
        'pith-greeting 1.0 installed',
        'Removing pith-greeting (1.0) ...',
    ]
    assert pith.returncode == 0
    assert not shutil.which('pith-greeting')
