"""Programs at work: the scripts of tests/programs/scripts say in Pith what they say on the host.

A script runs in an empty directory, on the host and then in a machine, and must print the same with the
same status. So a script prints no path, no process number and no time.
"""
import glob
import os
import shutil
import subprocess

import pytest

from machine import run_program
from pith import TREE

INTERPRETERS = {'.sh': 'bash', '.py': '/usr/bin/python3', '.pl': 'perl', '.js': 'node'}
SCRIPTS = {os.path.basename(path): path
           for path in sorted(glob.glob(os.path.join(TREE, 'tests', 'programs', 'scripts', '*')))}
LIMIT = 140


@pytest.fixture(scope='session')
def on_the_host(tmp_path_factory):
    """The script's result on the host, made once."""
    made = {}

    def result_of(script, words):
        if script not in made:
            made[script] = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True,
                                          cwd=tmp_path_factory.mktemp('host'), timeout=LIMIT)
        return made[script]
    return result_of


@pytest.mark.parametrize('cpus', ['1', '2'])
@pytest.mark.parametrize('script', SCRIPTS)
def test_script_says_what_it_says_on_the_host(script, cpus, tmp_path, on_the_host):
    words = [INTERPRETERS[os.path.splitext(script)[1]], SCRIPTS[script]]
    program = {'acl.sh': 'setfacl', 'git.sh': 'git', 'sqlite.sh': 'sqlite3'}.get(script, words[0])
    if not shutil.which(program):
        pytest.skip(f'{program} is not installed')
    if script == 'jemalloc.sh' and not glob.glob('/usr/lib/*/libjemalloc.so.2'):
        pytest.skip('libjemalloc2 is not installed')
    if script == 'postgres.sh' and not glob.glob('/usr/lib/postgresql/*/bin/initdb'):
        pytest.skip('postgresql is not installed')
    host = on_the_host(script, words)
    pith = run_program(*words, options=['--cpus', cpus], cwd=tmp_path)
    assert pith.stdout.decode() == host.stdout.decode()
    assert pith.stderr.decode() == host.stderr.decode()
    assert (host.returncode, pith.returncode) == (0, 0)
