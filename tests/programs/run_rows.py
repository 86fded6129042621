#!/usr/bin/python3
"""Runs commands one after the other, each in a fresh directory with the same files and environment.

usage: run_rows.py DIRECTORY <ROWS >RESULTS

ROWS and RESULTS are lines of JSON: {"name", "command"}, and {"name", "out", "err", "status",
"seconds"}, written as soon as a command ended. It runs on the host and in the machine, and whoever
started it compares. DIRECTORY is made for each command at the same path, so a command that prints
where it is prints the same everywhere. A command is one of sh; one that has not ended after its
deadline is killed with all its group, and its status is "deadline".
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

DEADLINE = 100
ENVIRONMENT = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C.UTF-8', 'TZ': 'UTC0',
               'TERM': 'xterm', 'SHELL': '/bin/sh', 'USER': 'root', 'LOGNAME': 'root'}
# 2001-02-03 04:05:06 UTC, so that listings are the same.
MODIFIED = 981173106

FILES = {
    'lines': 'The first line\nsecond: one, two, three\n\n\tindented by a tab\nthe LAST word is end\n'
             'second: one, two, three\n',
    'numbers': '10\n9\n2\n33\n1\n-7\n4.5\n100\n2\n',
    'more': '4.5\n9\n10\n11\n12\n',
    'people': 'root:x:0:0:root:/root:/bin/bash\nann:x:1000:100:Ann:/home/ann:/bin/sh\n'
              'bob:x:1001:100:Bob:/home/bob:/bin/bash\ncyd:x:1002:200:Cyd:/home/cyd:/bin/dash\n',
    'ages': 'ann 33\nbob 41\neve 29\n',
    'paragraph': 'The quick brown fox jumps over the lazy dog, and then it sleeps the whole long '
                 'afternoon in the shade of a tree.\nA short line.\n\nAnother paragraph of words '
                 'that go on and on until the line is long enough to be folded twice or thrice.\n',
    'script': 'echo script got $# arguments: "$@"\n',
    'empty': '',
    'tree/one': 'one\n',
    'tree/two words': 'two\n',
    'tree/sub/deep/three.c': 'int three;\n',
    'tree/sub/four.h': 'int four(void);\n',
    'tree/.hidden': 'hidden\n',
}


def make_files(directory):
    os.mkdir(directory)
    os.chdir(directory)
    for path in 'tree/sub/deep', 'tree/void':
        os.makedirs(path)
    for path, text in FILES.items():
        with open(path, 'w') as file:
            file.write(text)
    with open('binary', 'wb') as file:
        file.write(bytes(range(256)) * 4)
    os.symlink('sub/deep', 'tree/link')
    os.chmod('script', 0o755)
    os.chmod('tree/one', 0o640)
    for top, directories, files in os.walk('.', topdown=False):
        for name in files + directories:
            os.utime(os.path.join(top, name), (MODIFIED, MODIFIED), follow_symlinks=False)


def run(command, outputs):
    """Returns the status of a command of sh; its output goes to the two files in outputs."""
    process = subprocess.Popen(['/bin/sh', '-c', command], stdin=subprocess.DEVNULL,
                               stdout=outputs[0], stderr=outputs[1], start_new_session=True,
                               env=dict(ENVIRONMENT, HOME=os.getcwd()))
    try:
        return process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return 'deadline'


def main():
    directory = sys.argv[1]
    os.umask(0o022)
    for line in sys.stdin:
        row = json.loads(line)
        make_files(directory)
        paths = [directory + '.out', directory + '.err']
        outputs = [open(path, 'wb') for path in paths]
        started = time.monotonic()
        status = run(row['command'], outputs)
        seconds = time.monotonic() - started
        for file in outputs:
            file.close()
        texts = []
        for path in paths:
            with open(path, errors='backslashreplace') as file:
                texts.append(file.read())
            os.unlink(path)
        os.chdir('/')
        subprocess.run(['chmod', '-R', 'u+rwx', directory]) if os.getuid() else None
        shutil.rmtree(directory)
        print(json.dumps({'name': row['name'], 'out': texts[0], 'err': texts[1], 'status': status,
                          'seconds': round(seconds, 2)}), flush=True)


main()
