"""The same tests on other processors: models, features taken away or switched off, CPUs, memory.

The programs come in the initramfs, so that a boot is short.
"""
import os
import socket
import subprocess
import threading

import pytest

from machine import output_of
from pith import BUILD, DEADLINE, PITH

TESTS = ['fork', 'memory', 'signal_frame', 'threads']
MODELS = ['qemu64', 'Nehalem', 'Haswell', 'Skylake-Server', 'EPYC', 'max']
TAKEN_AWAY = ['fsgsbase', 'xsave', 'smap', 'smep', 'umip', 'pdpe1gb', 'erms', 'pku', 'la57', 'rdtscp',
              'rdrand', 'xsaveopt', 'nx']
WORDS = ['nofsgsbase', 'noxsave', 'noxsaveopt', 'nosmap', 'nosmep', 'noumip', 'nonx', 'nopage1g',
         'noerms', 'nordtscp', 'nordrand', 'norandmaps']


def guest_tests_without(feature):
    """One of signal_frame's tests wants a fault where data is executed."""
    return [test for test in TESTS if feature not in ('nx', 'nonx') or test != 'signal_frame']


def run_guest_tests(tests, *options):
    folder = os.path.join(BUILD, 'tests/guest')
    files = [(os.path.join(folder, 'run_all'), '/t/run_all')]
    files += [(os.path.join(folder, f'test_{test}'), f'/t/test_{test}') for test in tests]
    files += [('/bin/busybox', f'/bin/{applet}') for applet in ('sh', 'true', 'echo', 'sleep')]
    words = ['--root', 'none', '--cwd', '/', '--user', '0:0', *options]
    words += [word for file, at in files for word in ('--initramfs-file', f'{file}:{at}')]
    output = output_of('/t/run_all', *[f'/t/test_{test}' for test in tests], options=words)
    assert [line for line in output.splitlines() if line.startswith('FAIL')] == []
    for test in tests:
        assert f'== /t/test_{test} ended with status 0' in output


@pytest.mark.parametrize('model', MODELS)
def test_cpu_model(model):
    run_guest_tests(TESTS, '--cpu', model)


@pytest.mark.parametrize('feature', TAKEN_AWAY)
def test_cpu_without_a_feature(feature):
    run_guest_tests(guest_tests_without(feature), '--cpu', f'max,-{feature}')


@pytest.mark.parametrize('word', WORDS)
def test_feature_switched_off_by_a_word(word):
    run_guest_tests(guest_tests_without(word), '--append', word)


@pytest.mark.parametrize('cpus', [2, 3, 5, 8, 16])
def test_number_of_cpus(cpus):
    run_guest_tests(['threads'], '--cpus', str(cpus))


@pytest.mark.parametrize('size', ['64M', '12G'])
def test_size_of_memory(size):
    # One test of fork touches more than the small machine has.
    run_guest_tests(['memory', 'signal_frame', 'threads'], '--mem', size)


def test_machine_without_acpi():
    """CPUs and interrupt lines from the MP table, devices from the command line."""
    run_guest_tests(['fork'], '--cpus', '2', '--qemu-arg', '-machine', '--qemu-arg', 'acpi=off')


def test_nmi_shows_where_each_cpu_is_and_programs_go_on(tmp_path):
    """In user mode it is taken on the thread's stack, and must leave by iret all the same."""
    path = str(tmp_path / 'monitor')
    words = ['--debug', '--cpus', '2', '--qemu-arg', '-monitor', '--qemu-arg', f'unix:{path},server,nowait']
    process = subprocess.Popen(
        [PITH, 'run', *words, '--', 'bash', '-c', 'echo begun; until read -t 0; do :; done; echo ended'],
        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    timer = threading.Timer(DEADLINE, process.kill)
    timer.start()
    try:
        assert process.stdout.readline() == 'begun\n'
        monitor = socket.socket(socket.AF_UNIX)
        monitor.connect(path)
        in_user_mode = 0
        while in_user_mode < 3:
            monitor.send(b'nmi\n')
            seen = set()
            while len(seen) < 2:
                line = process.stderr.readline()
                assert line, 'the machine ended'
                if 'in user mode' in line or 'in the kernel' in line:
                    seen.add(line.split('cpu ')[1][0])
                    in_user_mode += 'in user mode' in line
        assert process.communicate('\n')[0] == 'ended\n'
        assert process.returncode == 0
    finally:
        timer.cancel()
        process.kill()
