"""Programs of the machine: what they print in Pith is what they print on the host."""
import os
import re
import shutil
import subprocess

import pytest

from machine import output_of, run_program

TREE = '/usr/share/perl5'

# Programs whose whole output must be the host's.
SAME = {
    'ls': ['ls', '/etc'],
    'ls_long': ['ls', '-ln', '--time-style=full-iso', '/usr/bin'],
    'ls_recursive': ['ls', '-R', '/etc'],
    'find': ['find', '/usr/share/doc', '-maxdepth', '1', '-newermt', '2000-01-01'],
    'find_sizes': ['find', TREE, '-type', 'f', '-printf', '%p %s %m\n'],
    'sort': ['sort', '-k2', '/etc/passwd'],
    'grep': ['grep', '-rn', 'root', '/etc/passwd', '/etc/group'],
    'grep_tree': ['grep', '-rlc', 'sub', TREE],
    'awk': ['awk', '-F:', '{ n += $3 } END { print n, NR }', '/etc/passwd'],
    'gawk': ['gawk', 'BEGIN { printf "%.3f %s\n", atan2(0, -1), toupper("x") }'],
    'sed': ['sed', '-n', 's/root/ROOT/gp', '/etc/passwd'],
    'tar': ['sh', '-c', f'tar cf - -C {TREE} . --sort=name --mtime=@0 | tar tvf - | sort'],
    'tar_copy': ['sh', '-c', f'cd $(mktemp -d) && tar cf - -C {TREE} . | tar xf - && '
                             f'diff -r . {TREE} && echo same'],
    'sha256sum': ['sha256sum', '/bin/bash', '/bin/ls'],
    'wc': ['wc', '/etc/services'],
    'python': ['python3', '-c', 'print(1)'],
    'python_more': ['python3', '-c', 'import json, os, re, hashlib; print(json.dumps([len(os.listdir('
                    '"/etc")), hashlib.md5(open("/etc/passwd","rb").read()).hexdigest()]))'],
    'python_threads': ['python3', '-c', 'import threading as t; r = []; l = [t.Thread(target=r.append'
                       ', args=(i,)) for i in range(20)]; [x.start() for x in l];'
                       ' [x.join() for x in l]; print(sorted(r))'],
    'python_subprocess': ['python3', '-c', 'import subprocess as s;'
                          'print(s.run(["sh", "-c", "cat; exit 3"], input=b"x",'
                          ' stdout=s.PIPE))'],
    'perl': ['perl', '-e', 'print join(",", sort map { $_ * 2 } 1 .. 5), "\n"'],
    'perl_fork': ['perl', '-e', 'for (1 .. 5) { $p = fork; exit $_ unless $p; waitpid $p, 0;'
                  ' print $? >> 8, "\n" }'],
    'perl_unix_socket': ['perl', '-MIO::Socket::UNIX', '-e', 'my $p = "/tmp/perl.$$";'
                         ' my $s = IO::Socket::UNIX->new(Local => $p, Listen => 1) or die $!;'
                         ' if (!fork) { my $c = IO::Socket::UNIX->new(Peer => $p) or die $!;'
                         ' print $c "hi\\n"; print <$c>; exit }'
                         ' my $a = $s->accept; my $l = <$a>; print $a uc $l; close $a; wait;'
                         ' unlink $p; print "$?\\n"'],
    'python_socketserver': ['python3', '-c', """
import array, os, socket, socketserver, tempfile, threading
path = tempfile.mkdtemp() + '/s'
class Upper(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())
server = socketserver.ThreadingUnixStreamServer(path, Upper)
threading.Thread(target=server.serve_forever, daemon=True).start()
for i in range(5):
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    client.sendall(b'hello\\n')
    print(client.recv(100))
    client.close()
server.shutdown()
a, b = socket.socketpair()
socket.send_fds(a, [b'x'], [os.open('/etc/passwd', os.O_RDONLY)])
data, files, flags, address = socket.recv_fds(b, 10, 4)
print(data, os.read(files[0], 5), flags)
"""],
    'python_multiprocessing': ['python3', '-c', """
import multiprocessing as m
def square(x): return x * x
if __name__ == '__main__':
    with m.Pool(3) as pool: print(sum(pool.map(square, range(100))))
    manager = m.Manager(); d = manager.dict(); d['k'] = 5; print(dict(d)); manager.shutdown()
    q = m.Queue(); p = m.Process(target=q.put, args=(7,)); p.start(); print(q.get()); p.join()
"""],
    'socat': ['sh', '-c', 'socat UNIX-LISTEN:/tmp/socat.$$ EXEC:"tr a-z A-Z" & while ! test -S '
              '/tmp/socat.$$; do :; done; echo hello | socat -t5 - UNIX-CONNECT:/tmp/socat.$$; wait'],
    'dbus': ['sh', '-c', 'export DBUS_SESSION_BUS_ADDRESS=unix:path=/tmp/bus.$$; dbus-daemon --session '
             '--address=$DBUS_SESSION_BUS_ADDRESS --fork --print-pid=3 3>/tmp/pid.$$; dbus-send '
             '--session --print-reply=literal --dest=org.freedesktop.DBus / '
             'org.freedesktop.DBus.ListNames; kill $(cat /tmp/pid.$$)'],
    'tmux': ['sh', '-c', 'tmux -L $$ -f /dev/null new-session -d "echo in a window; tmux wait -S done;'
             ' sleep 100" && tmux -L $$ wait done && tmux -L $$ capture-pane -p | head -1;'
             ' tmux -L $$ kill-server'],
    'busybox': ['busybox', 'sh', '-c', 'for i in 1 2 3; do echo $i; done | busybox tac'],
    'busybox_applets': ['busybox', 'sh', '-c', 'busybox ls /etc | busybox wc -l'],
    'id': ['id', '-u'],
    'env': ['env', '-i', 'A=1', 'env'],
    'locale': ['locale'],
    'ldd': ['ldd', '/bin/true'],
    'file': ['file', '-L', '/bin/bash'],
    'dd': ['sh', '-c', 'dd if=/bin/bash bs=1000 count=3 2>/dev/null | md5sum'],
    'gzip': ['sh', '-c', 'gzip -c /bin/bash | gunzip | md5sum'],
    'bc_by_awk': ['sh', '-c', 'seq 1 1000 | awk "{ s += \\$1 * \\$1 } END { print s }"'],
}
UNSTABLE = {'ldd': r'0x[0-9a-f]+'}


@pytest.mark.parametrize('name', SAME)
def test_program_prints_what_it_prints_on_the_host(name):
    words = SAME[name]
    if not shutil.which(words[0]):
        pytest.skip(f'{words[0]} is not installed')
    host = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    pith = run_program(*words)
    pattern = UNSTABLE.get(name, r'(?!)').encode()
    assert pith.stderr == host.stderr and pith.returncode == host.returncode
    assert re.sub(pattern, b'', pith.stdout) == re.sub(pattern, b'', host.stdout)


def test_ps_lists_the_processes():
    lines = output_of('ps', '-ef').strip().split('\n')
    assert re.match(r'UID +PID +PPID +C STIME TTY +TIME CMD', lines[0])
    assert any(re.match(r'\S+ +1 +0 ', line) for line in lines)
    assert any('ps -ef' in line for line in lines)


def test_ps_aux_shows_memory_and_state():
    lines = output_of('ps', 'aux').strip().split('\n')
    own = [line.split() for line in lines if line.endswith('ps aux')][0]
    assert int(own[4]) > 1000 and int(own[5]) > 100 and own[7].startswith('R')


def test_free_and_uptime_answer():
    assert 'Mem:' in output_of('free', '-m')
    assert 'load average' in output_of('uptime')


def build(tmp_path, compiler, *flags):
    source = tmp_path / 'hello.c'
    source.write_text('#include <stdio.h>\n#include <stdlib.h>\n#include <math.h>\n'
                      'int main(int c, char **v) { printf("%s %d %.3f\\n", v[1], c, '
                      'sqrt(atof(v[2]))); return 7; }\n')
    program = tmp_path / 'hello'
    subprocess.run([*compiler, *flags, '-o', program, source, '-lm'], check=True)
    return str(program)


@pytest.mark.parametrize('compiler, flags', [
    (['musl-gcc'], ['-static']), (['gcc'], ['-static']), (['gcc'], []),
    (['gcc'], ['-static-pie']), (['gcc'], ['-no-pie']),
], ids=['static_musl', 'static_glibc', 'dynamic_glibc', 'static_pie', 'no_pie'])
def test_compiled_program_runs(tmp_path, compiler, flags):
    if not shutil.which(compiler[0]):
        pytest.skip(f'{compiler[0]} is not installed')
    result = run_program(build(tmp_path, compiler, *flags), 'word', '2')
    assert (result.returncode, result.stdout) == (7, b'word 3 1.414\n')


def test_compiler_runs_in_the_machine(tmp_path):
    (tmp_path / 'a.c').write_text('int main(void) { return 42; }\n')
    result = run_program('sh', '-c', 'gcc -o /tmp/a a.c && /tmp/a', cwd=tmp_path)
    assert result.returncode == 42


def test_make_runs_in_the_machine(tmp_path):
    (tmp_path / 'Makefile').write_text('all: a b\na b:\n\techo $@ >$@\n')
    assert output_of('sh', '-c', 'make -sj2 && cat a b', cwd=tmp_path) == 'a\nb\n'


def test_several_cpus_compute_at_once():
    text = 'for i in 1 2 3 4; do (seq 20000 | md5sum) & done; wait'
    result = output_of('sh', '-c', text, options=['--cpus', '4'])
    assert len(set(result.split('\n')) - {''}) == 1
