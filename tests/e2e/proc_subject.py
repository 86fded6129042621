"""Runs in the guest, as standard input of Python behind a line that sets COMMANDS: prints, as JSON, what /proc tells of a process in a known state, and what the
tools that read /proc print.

The process sleeps with a file, a pipe, a socket, an epoll and an event descriptor open, holds a lock
and has a timer; its directory stands as /proc/PID in what is printed.
"""
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys

TREES = ['/proc', '/proc/tty', '/proc/PID', '/proc/PID/task/PID', '/proc/sys/kernel', '/proc/sys/vm', '/proc/sys/fs']
UNREAD = {'kmsg', 'kcore', 'kallsyms', 'pagemap', 'mem', 'keys', 'timer_list', 'vmallocinfo', 'exe',
          'kpagecount', 'kpageflags', 'kpagecgroup', 'stat_refresh', 'auxv', 'modules', 'crypto'}
TEXT_MOST = 200000


def subject(ready):
    """The process that is looked at."""
    os.chdir('/')
    name = f'/tmp/subject-{os.getpid()}'
    keep = [open(name, 'w'), os.pipe(), socket.socketpair(), select.epoll()]
    fcntl.flock(keep[0], fcntl.LOCK_EX)
    keep[3].register(keep[1][0], select.EPOLLIN)
    timer = ctypes.c_void_p()
    ctypes.CDLL(None).timer_create(0, None, ctypes.byref(timer))
    os.write(ready, b'x')
    signal.pause()


def attributes(path, pid):
    real = path.replace('PID', str(pid))
    found = os.lstat(real)
    entry = {'mode': stat.filemode(found.st_mode)}
    if stat.S_ISREG(found.st_mode) and found.st_mode & 0o444 and os.path.basename(path) not in UNREAD:
        try:
            with open(real, 'rb', buffering=0) as file:
                entry['text'] = file.read(TEXT_MOST).decode(errors='replace')
        except OSError as error:
            entry['error'] = error.strerror
    return entry


def tree(path, pid):
    names = sorted(os.listdir(path.replace('PID', str(pid))))
    entries = {}
    for name in names:
        if not (path == '/proc' and name.isdigit()):
            entries[f'{path}/{name}'] = attributes(f'{path}/{name}', pid)
    return entries


def tool(command, pid):
    environment = dict(os.environ, LC_ALL='C', COLUMNS='200', LINES='50', TERM='xterm')
    result = subprocess.run(command.replace('PID', str(pid)), shell=True, env=environment,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, timeout=60, check=False)
    return {'status': result.returncode, 'text': result.stdout.decode(errors='replace')}


def main():
    told, ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        subject(ready)
    os.read(told, 1)
    files = {}
    for path in TREES:
        files.update(tree(path, pid))
    for folder in ('fdinfo',):
        files.update(tree(f'/proc/PID/{folder}', pid))
    tools = {command: tool(command, pid) for command in COMMANDS}
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    json.dump({'files': files, 'tools': tools}, sys.stdout)


main()
