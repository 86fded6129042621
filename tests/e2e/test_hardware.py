"""The same tests on other processors: models, features taken away or switched off, CPUs, memory.

The programs come in the initramfs, so that a boot is short.
"""
import os

import pytest

from machine import output_of
from pith import BUILD

TESTS = ['fork', 'memory', 'signal_frame', 'threads']
MODELS = ['qemu64', 'Nehalem', 'Haswell', 'Skylake-Server', 'EPYC', 'max']
TAKEN_AWAY = ['fsgsbase', 'xsave', 'smap', 'smep', 'umip', 'pdpe1gb', 'erms', 'pku', 'la57', 'rdtscp',
              'rdrand', 'xsaveopt', 'nx']
WORDS = ['nofsgsbase', 'noxsave', 'noxsaveopt', 'nosmap', 'nosmep', 'noumip', 'nonx', 'nopage1g',
         'noerms', 'nordtscp', 'nordrand', 'norandmaps']


def tests_without(feature):
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
    run_guest_tests(tests_without(feature), '--cpu', f'max,-{feature}')


@pytest.mark.parametrize('word', WORDS)
def test_feature_switched_off_by_a_word(word):
    run_guest_tests(tests_without(word), '--append', word)


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
