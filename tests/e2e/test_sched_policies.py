"""The policies that `sched=` chooses at boot: each runs what a shell and threads do to its end beside
threads that never wait, and each shows its characteristic.

One CPU, so that everybody shares it. What is compared is CPU time that the kernel counts, and turns;
never a clock on the wall: on a loaded host all of it takes longer, in the same proportions.
"""
import functools
import json

import pytest

from machine import run_program

POLICIES = ('round_robin', 'mlfq', 'lottery', 'stride', 'sjf', 'stcf')

# The guest's part, one program for all policies: what it finds is printed as JSON.
PROGRAM = r'''
import json, os, signal, subprocess, sys, threading, time

def hog(nice):
    pid = os.fork()
    if pid == 0:
        os.nice(nice)
        while True:
            pass
    return pid

def ran(pid):
    """Seconds on the CPU, and turns, of a process with one thread."""
    ns, _, turns = open(f'/proc/{pid}/schedstat').read().split()
    return int(ns) / 1e9, int(turns)

def growth(pids, until):
    """What each ran from now on until all together ran for that many seconds, and turns."""
    before = [ran(pid) for pid in pids]
    while True:
        time.sleep(0.1)
        after = [ran(pid) for pid in pids]
        times = [a[0] - b[0] for a, b in zip(after, before)]
        if sum(times) >= until:
            return times, [a[1] - b[1] for a, b in zip(after, before)]

def share(pids):
    """The first one's part of what they run, in the middle of several looks: a pause of the host
    falls to whoever was running."""
    looks = [growth(pids, 0.25)[0] for _ in range(7)]
    return sorted(times[0] / sum(times) for times in looks)[3]

def end(pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

SCRIPT = """
trap 'echo trapped' USR1
kill -USR1 $$
(exit 3); echo status $?
seq 1 200 | sort -rn | head -1
for i in 1 2 3; do (echo child $i) & wait; done
sleep 100 & kill $!; wait $!; echo killed $?
"""

def threads():
    """Two threads hand a number to and fro; what it is in the end."""
    turn, value = threading.Condition(), [0]
    def count(own):
        for _ in range(50):
            with turn:
                turn.wait_for(lambda: value[0] % 2 == own)
                value[0] += 1
                turn.notify_all()
    both = [threading.Thread(target=count, args=(own,)) for own in (0, 1)]
    for thread in both: thread.start()
    for thread in both: thread.join()
    return value[0]

found = {}
hogs = [hog(0), hog(0)]
found['script'] = subprocess.run(['bash', '-c', SCRIPT], capture_output=True, text=True).stdout
found['threads'] = threads()
found['equal'], found['turns'] = growth(hogs, 1.5)
end(hogs)
hogs = [hog(0), hog(5)]
found['share'] = share(hogs)

# Somebody who waits for people: short waits, with hardly any work between them.
waiter = os.fork()
while waiter == 0:
    time.sleep(0.002)
before = ran(waiter)[1]
growth(hogs, 1)
found['wakes'] = ran(waiter)[1] - before
end(hogs + [waiter])
print(json.dumps(found))
'''


@functools.lru_cache(maxsize=None)
def findings(policy):
    """What the program found under a policy: one machine for all tests of it."""
    result = run_program('python3', '-c', PROGRAM,
                         options=['--cpus', '1', '--append', f'sched={policy}'])
    assert result.stderr == b''
    assert result.returncode == 0
    return json.loads(result.stdout)


@pytest.mark.parametrize('policy', POLICIES)
def test_shell_script_and_threads_reach_their_end_beside_endless_loops(policy):
    found = findings(policy)
    assert found['script'] == 'trapped\nstatus 3\n200\nchild 1\nchild 2\nchild 3\nkilled 143\n'
    assert found['threads'] == 100


@pytest.mark.parametrize('policy', POLICIES)
def test_nobody_starves_among_equals(policy):
    times = findings(policy)['equal']
    assert max(times) < 4 * min(times), times


@pytest.mark.parametrize('policy', ('lottery', 'stride'))
def test_shares_follow_the_nice_value(policy):
    assert 0.6 < findings(policy)['share'] < 0.88  # 1024 to 335 is 0.75


def test_round_robin_knows_no_nice_value():
    assert 0.36 < findings('round_robin')['share'] < 0.64


def test_round_robin_gives_turns_one_by_one():
    turns = findings('round_robin')['turns']
    assert abs(turns[0] - turns[1]) <= 0.2 * max(turns), turns


@pytest.mark.parametrize('policy', ('mlfq', 'stcf'))
def test_who_waits_often_comes_before_who_computes(policy):
    # sjf lets a loop's burst of 100 ms end before each; here the wait is cut short.
    assert findings(policy)['wakes'] > 1.5 * findings('sjf')['wakes']


def test_unknown_policy_is_refused_and_the_machine_boots():
    result = run_program('cat', '/proc/cmdline', options=['--append', 'sched=none'])
    assert result.returncode == 0
