"""`pith run --deterministic`: the same run again, event for event, however busy this machine is.

The kernel's word trace=hash makes one number of each system call with its result, each fault and
each switch of threads, all with the clock's value.
"""
import os, re, subprocess, sys

import pytest

from pith import PITH, run

RUN = ['run', '--deterministic', '--debug', '--append', 'trace=hash', '--timeout', '300', '--']
PYTHON = '''
import hashlib, os, random, threading, time
order = []
def work(number):
    for i in range(3000):
        order.append(number)
threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(hashlib.sha256(bytes(order)).hexdigest(), time.time(), time.perf_counter(), random.random(), os.urandom(4))
'''
SCRIPT = f"""sha256sum; date +%s.%N; sleep 3; python3 -c '{PYTHON}'; ls -l /proc/self /usr/bin | md5sum
for i in 1 2 3; do (echo $i $RANDOM) & done; wait; head -c 300000 /bin/bash"""


@pytest.fixture
def busy_host():
    """Programs that want every CPU, and the disk's names."""
    loads = [subprocess.Popen([sys.executable, '-c', 'while True: pass'])
             for _ in range(len(os.sched_getaffinity(0)))]
    loads.append(subprocess.Popen(['find', '/usr', '-xdev', '-newer', '/nowhere'],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    yield
    for load in loads:
        load.kill()
        load.wait()


def traced(stdin, script=SCRIPT):
    """The output, and the line with the number of all events."""
    with open(stdin, 'rb') as file:
        result = run(*RUN, 'bash', '-c', script, stdin=file, timeout=360)
    assert result.returncode == 0
    return result.stdout, re.search(rb'trace: \d+ events, hash \w+, at \d+ ns', result.stderr).group()


def test_deterministic_run_repeats_event_for_event_on_a_busy_host(tmp_path, busy_host):
    (tmp_path / 'input').write_bytes(bytes(range(256)) * 1500)
    first = traced(tmp_path / 'input')
    assert first == traced(tmp_path / 'input')
    assert len(first[0]) > 300000


def test_deterministic_run_is_another_with_another_input(tmp_path):
    (tmp_path / 'one').write_bytes(b'1')
    (tmp_path / 'two').write_bytes(b'22')
    assert traced(tmp_path / 'one', 'cat')[1] != traced(tmp_path / 'two', 'cat')[1]


def test_deterministic_counter_is_the_clock_without_the_hosts_time(tmp_path):
    """RDTSC in user mode: no more than the machine's own time has passed, and twice the same."""
    source = tmp_path / 'counter.c'
    source.write_text('#include <stdio.h>\n#include <x86intrin.h>\n'
                      'int main(void) { unsigned cpu; unsigned long first = __rdtsc();\n'
                      'printf("%lu %lu", first, __rdtscp(&cpu) - first); return cpu; }\n')
    subprocess.run(['gcc', '-o', tmp_path / 'counter', source], check=True)
    results = [run('run', '--deterministic', '--', str(tmp_path / 'counter')) for _ in range(2)]
    assert results[0].returncode == 0 and results[0].stdout == results[1].stdout


def test_deterministic_run_repeats_though_the_first_was_the_first_to_read_a_file(tmp_path):
    (tmp_path / 'input').write_bytes(b'')
    (tmp_path / 'new').write_bytes(b'new')
    script = f'cat {tmp_path}/new; stat -c "%X %Y" {tmp_path}/new'
    assert traced(tmp_path / 'input', script) == traced(tmp_path / 'input', script)


def test_deterministic_run_still_takes_signals():
    child = subprocess.Popen([PITH, 'run', '--deterministic', '--', 'sh', '-c',
                              'trap "exit 9" TERM; echo up; while :; do :; done'],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert child.stdout.readline() == b'up\n'
    child.terminate()
    assert child.wait(60) == 9


@pytest.mark.parametrize('options, stdin, status, word', [
    (['-c', '2'], subprocess.DEVNULL, 2, 'one CPU'),
    (['--accel', 'kvm'], subprocess.DEVNULL, 2, 'KVM'),
    ([], subprocess.PIPE, 125, 'standard input must be a file or empty'),
])
def test_deterministic_run_refuses_what_cannot_repeat(options, stdin, status, word):
    result = run('run', '--deterministic', *options, '--', 'true', stdin=stdin)
    assert result.returncode == status and word in result.stderr.decode()


def test_large_environment_reaches_the_program_whole():
    """The description of the run is beyond what the kernel keeps at once of it."""
    variables = {f'VARIABLE_{i}': str(i) * 2000 for i in range(10, 80)}
    for options in [], ['--deterministic']:
        result = run('run', '-q', *options, '--', 'env', env=dict(os.environ, **variables))
        assert result.returncode == 0
        assert {f'{name}={value}' for name, value in variables.items()} <= \
            set(result.stdout.decode().split('\n'))
