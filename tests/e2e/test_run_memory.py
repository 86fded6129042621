"""Small machines: what must still work in them, and what the kernel itself needs."""
import os
import re
import subprocess
import time

import pytest

from machine import command, output_of, run_program
from pith import BUILD


def test_busybox_runs_in_32_megabytes():
    assert output_of('busybox', 'sh', '-c', 'echo ok', options=['--mem', '32M']) == 'ok\n'


@pytest.mark.skipif('san' in os.path.basename(BUILD), reason='an eighth is the sanitizer\'s')
def test_kernel_needs_less_than_8_megabytes_of_256():
    text = output_of('cat', '/proc/meminfo', options=['--mem', '256M'])
    values = {name: int(kb) for name, kb in re.findall(r'(\w+): +(\d+) kB', text)}
    # The program and its files have some; the rest of what is not free is the kernel's.
    used = 256 * 1024 - values['MemFree'] - values['Cached'] - values.get('AnonPages', 0)
    assert used < 8 * 1024


def test_running_out_of_memory_ends_the_program_and_not_the_machine():
    result = run_program('sh', '-c', "python3 -c 'x = bytearray(1 << 30)' 2>/dev/null; echo status $?",
                         options=['--mem', '128M'])
    assert result.returncode == 0
    assert re.match(rb'status (1|137)\n', result.stdout)


def test_full_overlay_is_enospc_for_the_writer():
    result = run_program('sh', '-c', 'dd if=/dev/zero of=/tmp/big bs=1M count=200 2>&1; echo end',
                         options=['--mem', '128M'])
    assert b'No space left on device' in result.stdout and b'end\n' in result.stdout


def test_memory_is_given_back_after_use():
    text = ('for i in 1 2 3 4 5 6; do python3 -c "x = bytes(60 << 20)"; done; echo ok')
    assert output_of('sh', '-c', text, options=['--mem', '192M']) == 'ok\n'


def test_faults_that_wait_for_the_host_are_counted_as_major():
    text = 'import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_majflt > 0)'
    assert output_of('python3', '-c', text) == 'True\n'


def memory_of_children(pid):
    """KiB of shared memory that the machines of a `pith` have from the host."""
    total = 0
    for child in subprocess.run(['pgrep', '-P', str(pid)], capture_output=True, text=True).stdout.split():
        try:
            with open(f'/proc/{child}/status') as status:
                total += sum(int(line.split()[1]) for line in status if line.startswith('RssShmem'))
        except OSError:
            pass  # it ended
    return total


def test_memory_that_a_program_gave_back_goes_back_to_the_host():
    text = 'x = bytearray(200 << 20); del x; print("freed", flush=True); input()'
    with subprocess.Popen(command('python3', '-c', text, options=['--mem', '512M']),
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as machine:
        assert machine.stdout.readline() == b'freed\n'
        used = memory_of_children(machine.pid)
        assert used > 200 << 10
        until = time.monotonic() + 60
        while memory_of_children(machine.pid) > used - (150 << 10) and time.monotonic() < until:
            time.sleep(0.1)
        assert memory_of_children(machine.pid) <= used - (150 << 10)
        machine.stdin.write(b'\n')
