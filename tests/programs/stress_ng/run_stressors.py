#!/usr/bin/python3
"""Runs stressors of stress-ng one after the other, in the machine, and says how each ended.

usage: run_stressors.py [--seconds N] [--deadline N] [--workers N] STRESSOR...

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
SKIPPED = 'skipp'
NOT_AS_ROOT = 'without root privilege', 'must not run as root'
NOBODY = 65534
LEFT_SECONDS = 20  # until what a stressor started has ended


def arguments_parse():
    parser = argparse.ArgumentParser(usage=__doc__)
    add = parser.add_argument
    add('--seconds', type=int, default=1)
    add('--deadline', type=int, default=60, help='seconds beyond those')
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


def why_of(output):
    """The line of stress-ng's output that says most."""
    for kind in 'fail:', SKIPPED, 'error:':
        for line in output.splitlines():
            if kind in line:
                return line.partition('] ')[2]
    return (output.splitlines() or ['no output'])[-1]


def kill_since(before):
    """Ends all who were not there before, and says what they did."""
    for pid in sorted(processes() - before):
        sys.stderr.write(''.join(line + '\n' for line in describe(pid)))
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def stress(stressor, options, as_user, directory):
    """(status, output) of stress-ng; no status when it had to be killed."""
    before, limit = processes(), options.seconds + options.deadline
    command = ['stress-ng', f'--{stressor}', str(options.workers), '--timeout', str(options.seconds),
               '--verify', '--pathological', '--temp-path', directory]
    with tempfile.TemporaryFile('w+', errors='replace') as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   cwd=directory, start_new_session=True, **as_user)
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
            kill_since(before)
            process.wait()
        log.seek(0)
        output = log.read()
    sys.stderr.write(output)
    return status, output


def run(stressor, options):
    """(result, why) of one stressor."""
    before, directory = processes(), tempfile.mkdtemp(prefix='stress-')
    os.chmod(directory, 0o777)
    status, output = stress(stressor, options, {}, directory)
    if any(words in output for words in NOT_AS_ROOT):
        status, output = stress(stressor, options, {'user': NOBODY, 'group': NOBODY,
                                                    'extra_groups': []}, directory)
    shutil.rmtree(directory, ignore_errors=True)
    left = left_over(before)
    if left:
        lines = [line for pid in sorted(left) for line in describe(pid)]
        sys.stderr.write('\n'.join(lines) + '\n')
        return 'FAIL', f'left {len(left)} processes: {lines[0] if lines else left}'
    if status is None:
        return 'FAIL', f'did not end within {options.seconds + options.deadline} s'
    if status in STATUS_SKIPPED or (status == 0 and SKIPPED in output):
        return 'skip', why_of(output)
    if status != 0:
        return 'FAIL', f'status {status}: {why_of(output)}'
    return 'pass', ''


def main():
    options = arguments_parse()
    for stressor in options.stressors:
        say(f'start {stressor}')
        sys.stderr.write(f'---- {stressor}\n')
        sys.stderr.flush()
        started = time.monotonic()
        result, why = run(stressor, options)
        sys.stderr.write(f'---- {stressor}: {result} after {time.monotonic() - started:.1f} s\n')
        say(f'{result} {stressor}: {why}')


main()
