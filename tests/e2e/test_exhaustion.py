"""Who uses up one thing without end is stopped, and the next program in the machine works."""
import os
import subprocess
import tempfile

import pytest

from machine import run_program

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT, USER = '0:0', '1000:1000'

STOPPED = {
    'memory': (137, ''),
    'memory-family': (0, 'all ended\n'),
    'file /tmp/full/it': (1, 'write: No space left on device\n'),
    'file /dev/shm/full/it': (1, 'write: No space left on device\n'),
    'links /tmp/full/it': (1, 'link: No space left on device\n'),
    'links /dev/shm/full/it': (1, 'link: No space left on device\n'),
    'texts /tmp/full/it': (1, 'symlink: No space left on device\n'),
    'texts /dev/shm/full/it': (1, 'symlink: No space left on device\n'),
    'attributes /tmp/full/it': (1, 'setxattr: No space left on device\n'),
    'processes': (1, 'fork: Resource temporarily unavailable\n'),
    'processes-bomb': (0, 'ended\n'),
}


@pytest.fixture(scope='module')
def exhaustion():
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)   # pytest's own directories let no other user in
        program = os.path.join(directory, 'exhaustion')
        subprocess.run(['musl-gcc', '-static', '-O1', '-o', program,
                        os.path.join(HERE, 'exhaustion.c')], check=True)
        yield program


def parts(cpus, user, program):
    """What each of the uses, one after the other in one machine, said before the next began."""
    script = ''.join('mkdir /tmp/full /dev/shm/full;'
                     f'{program} {what}; echo "status $?";'
                     'rm -r /tmp/full /dev/shm/full; echo next;'
                     for what in STOPPED)
    result = run_program('sh', '-c', script, options=[
        '--mem', '128M', '--cpus', str(cpus), '--user', user])
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode().split('next\n')


@pytest.mark.parametrize('cpus, user', [(1, ROOT), (2, USER)])
def test_each_use_without_end_is_stopped_and_the_next_program_runs(exhaustion, cpus, user):
    said = parts(cpus, user, exhaustion)
    assert said == [f'{text}status {status}\n' for status, text in STOPPED.values()] + ['']


def test_log_says_who_was_ended_and_why(exhaustion):
    result = run_program('sh', '-c', f'{exhaustion} memory; dmesg',
                         options=['--mem', '64M', '--user', ROOT])
    log = result.stdout.decode()
    assert '(exhaustion), the worst with score' in log and 'kB resident' in log


def test_process_that_must_not_be_ended_outlives_one_that_is_smaller(exhaustion):
    large = "python3 -c 'import sys; x = bytes(30 << 20); print(\"ready\", flush=True); sys.stdin.read()'"
    script = (f'(echo -1000 > /proc/self/oom_score_adj; exec {large}) <&3 &'
              f'{exhaustion} memory; echo "status $?"; kill -0 $! && echo alive; kill $!')
    result = run_program('bash', '-c', f'coproc cat; exec 3<&${{COPROC[0]}}; {script}', options=[
        '--mem', '128M', '--user', ROOT])
    assert b'status 137\n' in result.stdout and b'alive\n' in result.stdout


IDLE_KILLED = '''
import os, signal

def spin(policy=os.SCHED_OTHER):
    pid = os.fork()
    if pid == 0:
        os.sched_setscheduler(0, policy, os.sched_param(0))
        while True:
            pass
    return pid

busy = [spin() for _ in range(8)]
for _ in range(40):
    victim = spin(os.SCHED_IDLE)
    os.sched_yield()
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
for pid in busy:
    os.kill(pid, signal.SIGKILL)
print("all ended")
'''


def test_killed_process_of_the_idle_class_does_not_wait_for_busy_ones():
    result = run_program('python3', '-c', IDLE_KILLED, options=['--cpus', '2'])
    assert result.stdout == b'all ended\n', result.stderr.decode()
