"""The checking build: allocations fail one by one, and what is in use at the end is told."""
import os
import subprocess

import pytest

from machine import run_program
from pith import BUILD

HERE = os.path.dirname(os.path.abspath(__file__))


pytestmark = pytest.mark.skipif('san' not in os.path.basename(BUILD),
                                reason='needs the build with SAN=1')


def run_allocation_failure(directory, *arguments, options=()):
    program = directory / 'allocation_failure'
    subprocess.run(['musl-gcc', '-static', '-O1', '-o', program,
                    os.path.join(HERE, 'allocation_failure.c')], check=True)
    return run_program('/allocation_failure', *arguments, options=[
        '--root', 'none', '--initramfs-file', f'{program}:/allocation_failure', *options])


def test_each_allocation_of_a_call_can_fail(tmp_path):
    result = run_allocation_failure(tmp_path)
    assert result.stdout.decode().endswith('right\n'), result.stdout.decode()
    assert result.returncode == 0


def test_what_is_in_use_at_the_end_is_reported_after_the_program(tmp_path):
    result = run_allocation_failure(tmp_path, 'exit', options=['--debug'])
    assert result.returncode == 0
    log = result.stderr.decode()
    assert 'objects of process' in log and log.rstrip().endswith('free'), log
