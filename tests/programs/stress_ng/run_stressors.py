#!/usr/bin/python3
"""Runs stressors of stress-ng one after the other, in the machine, and says how each ended.

usage: run_stressors.py [--seconds N] [--deadline N] [--workers N] STRESSOR[,OPTION...]...

Standard output has one line for each event and nothing else: `start STRESSOR`, then `pass`, `skip` or
`FAIL STRESSOR: why`. What stress-ng itself prints goes to standard error.

A stressor runs as root; one that refuses to, as NOBODY. It passes when stress-ng says so with --verify, and when nothing of it is left: its processes
are gone soon after it. One that has not ended at its deadline is killed; what its threads then waited
for is printed first.
"""
import argparse
import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

STATUS_SKIPPED = 3, 4  # stress-ng(1): no resource, not implemented
SKIPPED = 'skipp', 'aborted early', 'finished prematurely'
FAILED = ' fail: '  # printed, though the status may be 0
NOTHING_STARTED = 'could not create any pthreads'
LONGER = 5  # times the seconds, for a stressor that did not get to work
NOT_AS_ROOT = 'without root privilege', 'must not run as root'
NOBODY = 65534
LEFT_SECONDS = 120  # until what a stressor started has ended
# `resources` of stress-ng 0.15 clears the first of its 2,048 process numbers only, and sends SIGALRM to
# whatever stood in that memory (what readdir found in /sys: small numbers); so malloc gives it zeros.
ENVIRONMENT = {'resources': {'GLIBC_TUNABLES': 'glibc.malloc.perturb=255'}}


def arguments_parse():
    parser = argparse.ArgumentParser(usage=__doc__)
    add = parser.add_argument
    add('--seconds', type=int, default=1)
    add('--deadline', type=int, default=120, help='seconds beyond those')
    add('--workers', type=int, default=2)
    add('stressors', nargs='+')
    return parser.parse_args()


def processes():
    """The numbers of all user processes: kernel threads have no command."""
    found = set()
    for path in glob.glob('/proc/[0-9]*'):
        try:
            with open(path + '/stat') as file:
                fields = file.read().rpartition(')')[2].split()
        except OSError:
            continue
        if fields[1] != '2' and path != '/proc/2':  # the parent of kernel threads
            found.add(int(path[6:]))
    return found


def describe(pid):
    """What each thread of a process does."""
    text = []
    for path in sorted(glob.glob(f'/proc/{pid}/task/*')):
        words = []
        for name in 'comm', 'wchan', 'syscall', 'stack':
            try:
                with open(f'{path}/{name}') as file:
                    words.append(' '.join(file.read().split()))
            except OSError:
                words.append('-')
        try:
            with open(f'{path}/stat') as file:
                words.insert(1, file.read().rpartition(')')[2].split()[0])
        except OSError:
            pass
        text.append(f'{os.path.basename(path)} ' + ', '.join(words))
    return text


def left_over(before):
    """Those who are there and were not before, after some patience."""
    limit = time.monotonic() + LEFT_SECONDS
    while (left := processes() - before) and time.monotonic() < limit:
        time.sleep(0.01)
    return left


def say(text):
    os.write(1, (text + '\n').encode())


class KernelLog:
    """What the kernel says from now on."""
    REPORTS = 'watchdog:', ' is broken', 'BUG:', 'WARNING:', 'Oops'

    def __init__(self):
        self.fd = os.open('/dev/kmsg', os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def report(self):
        """The first report since the last call, or ''."""
        found = ''
        while True:
            try:
                line = os.read(self.fd, 8192).decode(errors='replace').partition(';')[2].rstrip()
            except BlockingIOError:
                return found
            except BrokenPipeError:  # lines were lost
                continue
            if not found and any(words in line for words in self.REPORTS):
                found = line


def why_of(output, kinds):
    """The first line of stress-ng's output that says one of them, else the last."""
    lines = output.splitlines() or ['no output']
    found = [line for kind in kinds for line in lines if kind in line] + lines[-1:]
    return found[0].rpartition('] ')[2]


def kill_since(before):
    """Ends all who were not there before, and says what they did."""
    for pid in sorted(processes() - before):
        sys.stderr.write(''.join(line + '\n' for line in describe(pid)))
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def stress(stressor, more, options, seconds, as_user):
    """(status, output) of stress-ng; no status when it had to be killed."""
    before, limit = processes(), seconds + options.deadline
    directory = tempfile.mkdtemp(prefix='stress-')
    os.chmod(directory, 0o777)
    command = ['stress-ng', f'--{stressor}', str(options.workers), '--timeout', str(seconds),
               '--verify', '--pathological', '--temp-path', directory, *more]
    with tempfile.TemporaryFile('w+', errors='replace') as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   cwd=directory, start_new_session=True,
                                   env=os.environ | ENVIRONMENT.get(stressor, {}), **as_user)
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
            kill_since(before)
            process.wait()
        log.seek(0)
        output = log.read()
    sys.stderr.write(output)
    shutil.rmtree(directory, ignore_errors=True)
    return status, output


def judge(status, output):
    """(result, why) by stress-ng's own word."""
    if status is None:
        return 'FAIL', 'did not end in time'
    if FAILED in output:
        return 'FAIL', why_of(output, [FAILED])
    if status in STATUS_SKIPPED or any(words in output for words in SKIPPED):
        return 'skip', why_of(output, SKIPPED)
    if status != 0:
        return 'FAIL', f'status {status}: ' + why_of(output, ['error: '])
    return 'pass', ''


def run(stressor, more, options, log):
    """(result, why) of one stressor."""
    before = processes()
    as_user, seconds = {}, options.seconds
    status, output = stress(stressor, more, options, seconds, as_user)
    if any(words in output for words in NOT_AS_ROOT):
        as_user = {'user': NOBODY, 'group': NOBODY, 'extra_groups': []}
        status, output = stress(stressor, more, options, seconds, as_user)
    result, why = judge(status, output)
    if result == 'skip' or NOTHING_STARTED in output:
        # On a busy machine a worker's time can be over before it has begun.
        result, why = judge(*stress(stressor, more, options, seconds * LONGER, as_user))
    left, report = left_over(before), log.report()
    if report:
        return 'FAIL', f'the kernel reported: {report}'
    if left:
        lines = [line for pid in sorted(left) for line in describe(pid)]
        sys.stderr.write('\n'.join(lines) + '\n')
        return 'FAIL', f'left {len(left)} processes: {lines[0] if lines else left}'
    return result, why


def main():
    options, log = arguments_parse(), KernelLog()
    for words in options.stressors:
        stressor, *more = words.split(',')
        say(f'start {stressor}')
        sys.stderr.write(f'---- {stressor}\n')
        sys.stderr.flush()
        started = time.monotonic()
        result, why = run(stressor, more, options, log)
        sys.stderr.write(f'---- {stressor}: {result} after {time.monotonic() - started:.1f} s\n')
        say(f'{result} {stressor}: {why}')


main()
