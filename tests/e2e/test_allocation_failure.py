"""In the checking build: each allocation on the paths of fork, exec, open, pipe and mmap fails."""
import os
import subprocess

import pytest

from machine import run_program
from pith import BUILD

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.mark.skipif('san' not in os.path.basename(BUILD), reason='needs the build with SAN=1')
def test_each_allocation_of_a_call_can_fail(tmp_path):
    program = tmp_path / 'allocation_failure'
    subprocess.run(['musl-gcc', '-static', '-O1', '-o', program,
                    os.path.join(HERE, 'allocation_failure.c')], check=True)
    result = run_program('/allocation_failure', options=[
        '--root', 'none', '--initramfs-file', f'{program}:/allocation_failure'])
    assert result.stdout.decode().endswith('right\n'), result.stdout.decode()
    assert result.returncode == 0
