"""`pith run` with the real kernel: exit statuses, streams, and each option that reaches the guest.

PITH_FLAGS holds more options for every run here, such as "--machine q35" or "--cpus 4".
"""
import os, pwd, shutil, signal, socket, stat, subprocess, sys, time

import pytest

from pith import BUILD, PITH, TREE, run

FLAGS = ['-q', '--accel', 'tcg', *os.environ.get('PITH_FLAGS', '').split()]
MINUTE = 60


def pith(*words, options=(), **more):
    """Runs a program in Pith."""
    more.setdefault('timeout', 2 * MINUTE)
    return run('run', *FLAGS, *options, '--', *words, **more)


def sh(script, *arguments, options=(), **more):
    return pith('sh', '-c', script, 'sh', *arguments, options=options, **more)


# ---- Exit statuses ----

@pytest.mark.parametrize('words, status', [
    (['/bin/true'], 0), (['true'], 0), (['/bin/false'], 1), (['sh', '-c', 'exit 42'], 42),
    (['sh', '-c', 'kill -KILL $$'], 137), (['sh', '-c', 'kill -TERM $$'], 143),
    (['sh', '-c', 'kill -SEGV $$'], 139),
])
def test_exit_status_is_the_programs(words, status):
    result = pith(*words)
    assert (result.returncode, result.stdout, result.stderr) == (status, b'', b'')


@pytest.mark.parametrize('word', ['no-such-program', '/no/such/program', '/etc/passwd/below'])
def test_missing_program_is_127(word):
    result = pith(word)
    assert result.returncode == 127
    assert result.stderr.decode().startswith(f'pith: {word}: ') and result.stderr.count(b'\n') == 1


@pytest.mark.parametrize('word', ['/etc/passwd', '/etc', './plain'])
def test_file_that_is_not_executable_is_126(tmp_path, word):
    (tmp_path / 'plain').write_text('echo no\n')
    result = pith(word, cwd=tmp_path)
    assert result.returncode == 126 and result.stderr.decode().startswith(f'pith: {word}: ')


def test_script_without_magic_is_run_by_the_shell(tmp_path):
    (tmp_path / 'script').write_text('echo "$1"\n')
    (tmp_path / 'script').chmod(0o755)
    assert pith('./script', 'word', cwd=tmp_path).stdout == b'word\n'


def test_machine_that_powers_itself_off_is_status_0():
    result = sh('''python3 -c "import ctypes; ctypes.CDLL(None).syscall(169, 0xfee1dead, 672274793, 0x4321fedc, 0)"; exit 3''')
    assert result.returncode == (0 if os.geteuid() == 0 else 3)


def test_background_process_does_not_hold_up_the_end():
    start = time.monotonic()
    assert sh('sleep 1000 & exit 5').returncode == 5
    assert time.monotonic() - start < MINUTE


# ---- Streams ----

def test_standard_error_and_output_arrive_apart():
    result = sh('echo to stdout; echo to stderr >&2')
    assert (result.stdout, result.stderr) == (b'to stdout\n', b'to stderr\n')


def random_bytes(count):
    with open('/dev/urandom', 'rb') as file:
        return file.read(count)


@pytest.mark.parametrize('megabytes', [1, 100])
def test_bytes_pass_unchanged(tmp_path, megabytes):
    (tmp_path / 'input').write_bytes(random_bytes(megabytes << 20))
    with open(tmp_path / 'input', 'rb') as file, open(tmp_path / 'output', 'wb') as output:
        assert pith('cat', stdin=file, stdout=output, timeout=10 * MINUTE).returncode == 0
    assert (tmp_path / 'input').read_bytes() == (tmp_path / 'output').read_bytes()


def test_bytes_pass_unchanged_through_pipes():
    sent = random_bytes(3 << 20)
    assert pith('cat', input=sent, timeout=5 * MINUTE).stdout == sent


@pytest.mark.parametrize('script', ['yes | "$@" head -1', '"$@" yes | head -1'])
def test_pipe_ends_at_once_when_the_reader_leaves(script):
    result = subprocess.run(['sh', '-c', script, 'sh', PITH, 'run', *FLAGS, '--'],
                            capture_output=True, timeout=2 * MINUTE)
    assert result.stdout == b'y\n'


def test_writer_without_a_reader_is_ended_by_sigpipe():
    child = subprocess.Popen([PITH, 'run', *FLAGS, '--', 'yes'], stdout=subprocess.PIPE)
    assert child.stdout.read(2) == b'y\n'
    child.stdout.close()
    assert child.wait(2 * MINUTE) == 128 + signal.SIGPIPE


@pytest.mark.parametrize('words, rest', [
    (['true'], b'one\ntwo\nthree\n'), (['sh', '-c', 'read line'], b'two\nthree\n'),
    (['head', '-c', '5'], None),
])
def test_input_that_the_program_leaves_is_for_the_next_one(tmp_path, words, rest):
    (tmp_path / 'input').write_text('one\ntwo\nthree\n')
    with open(tmp_path / 'input', 'rb', buffering=0) as file:
        expected = rest
        if rest is None:  # what `head` leaves is its own affair; ask it
            subprocess.run(words, stdin=file, stdout=subprocess.DEVNULL)
            expected = file.read()
            file.seek(0)
        assert pith(*words, stdin=file).returncode == 0
        left = file.read()
    assert left == expected or (rest is None and left in (b'wo\nthree\n', b''))


@pytest.mark.parametrize('closing, script, status', [
    ('<&-', 'read line', 1), ('>&-', 'echo x', 1), ('2>&-', 'echo x >&2', 1), ('<&- >&- 2>&-', 'exit 6', 6),
    ('</dev/null', 'read line', 1), ('>/dev/null 2>/dev/null', 'echo x', 0),
])
def test_closed_descriptors_stay_closed(closing, script, status):
    result = subprocess.run(['sh', '-c', f'exec "$@" {closing}', 'sh', PITH, 'run', *FLAGS, '--', 'sh', '-c',
                             script], capture_output=True, timeout=2 * MINUTE)
    assert result.returncode == status


def test_many_lines_written_singly_arrive_in_order():
    result = sh('i=0; while [ $i -lt 500 ]; do echo $i; i=$((i+1)); done')
    assert result.stdout.split() == [b'%d' % i for i in range(500)]


# ---- Options ----

def test_environment_is_the_callers_with_additions():
    result = pith('env', options=['--env', 'NEW=1 2', '-e', 'OLD=new'],
                  env=dict(os.environ, OLD='old', KEPT='kept'))
    lines = result.stdout.decode().split('\n')
    assert {'NEW=1 2', 'OLD=new', 'KEPT=kept'} <= set(lines) and 'OLD=old' not in lines


def test_directory_is_the_callers(tmp_path):
    assert pith('pwd', cwd=tmp_path).stdout.decode().strip() == str(tmp_path)
    assert pith('pwd', options=['--cwd', '/usr/bin']).stdout == b'/usr/bin\n'


def test_missing_directory_is_status_125():
    result = pith('true', options=['--cwd', '/no/such/directory'])
    assert result.returncode == 125 and b'/no/such/directory' in result.stderr


def test_user_is_as_asked():
    result = pith('id', options=['--user', '12345:678'])
    assert result.stdout.decode().startswith('uid=12345 gid=678 groups=678')


def test_caller_is_the_user():
    result = sh('id -u; id -g; umask', preexec_fn=lambda: os.umask(0o27))
    assert result.stdout.decode().split() == [str(os.geteuid()), str(os.getegid()), '0027']


def test_resource_limits_are_the_callers():
    result = sh('ulimit -n; ulimit -f', preexec_fn=lambda: __import__('resource').setrlimit(7, (321, 321)))
    assert result.stdout.split()[0] == b'321'


def test_uname_is_linux_on_this_host():
    words = pith('uname', '-s', '-n', '-r').stdout.decode().split()
    assert words == ['Linux', os.uname().nodename, '6.1.0-pith']


def test_date_is_the_hosts():
    before = int(time.time())
    assert before - 1 <= int(pith('date', '+%s').stdout) <= time.time() + 1


def test_cpus_are_as_asked():
    assert pith('nproc', options=['--cpus', '3']).stdout == b'3\n'


def test_small_memory_is_enough():
    result = pith('busybox', 'sh', '-c', 'echo ok', options=['--mem', '32M'])
    assert result.stdout == b'ok\n'


def test_time_limit_is_status_124():
    result = pith('sleep', '1000', options=['--timeout', '2'])
    assert result.returncode == 124


def test_what_is_written_stays_in_the_machine(tmp_path):
    (tmp_path / 'file').write_text('old')
    result = sh('echo new >file; rm -f gone; echo more >other; cat file other', cwd=tmp_path)
    assert result.stdout == b'new\nmore\n'
    assert (tmp_path / 'file').read_text() == 'old' and not (tmp_path / 'other').exists()


def test_share_is_read_only_without_rw(tmp_path):
    (tmp_path / 'file').write_text('old')
    result = sh('cat file; echo new >file', cwd=tmp_path, options=['--share', str(tmp_path)])
    assert result.returncode != 0 and result.stdout == b'old'
    assert (tmp_path / 'file').read_text() == 'old'


def test_share_with_rw_changes_the_host(tmp_path):
    (tmp_path / 'file').write_text('old')
    result = sh('echo new >file && mkdir below && echo x >below/made && rm -f file2', cwd=tmp_path,
                options=['--share', f'{tmp_path}:rw'])
    assert result.returncode == 0, result.stderr
    assert (tmp_path / 'file').read_text() == 'new\n' and (tmp_path / 'below/made').read_text() == 'x\n'


def test_hidden_path_is_not_there(tmp_path):
    (tmp_path / 'secret').mkdir()
    (tmp_path / 'secret/key').write_text('key')
    (tmp_path / 'link').symlink_to('secret/key')
    result = sh('ls; cat secret/key; cat link', cwd=tmp_path, options=['--hide', str(tmp_path / 'secret')])
    assert result.returncode != 0 and b'key' not in result.stdout.replace(b'link', b'')


def test_other_root_is_the_programs(tmp_path):
    busybox = shutil.which('busybox')
    (tmp_path / 'bin').mkdir()
    shutil.copy(busybox, tmp_path / 'bin/busybox')
    (tmp_path / 'hello').write_text('hello')
    result = pith('/bin/busybox', 'cat', '/hello', options=['--root', str(tmp_path)])
    assert (result.returncode, result.stdout) == (0, b'hello')


def test_no_root_has_only_the_guests_own_programs():
    assert pith('/pith/bin/probe', options=['--root', 'none', '--cpus', '2']).returncode == 0


def test_file_put_into_the_first_file_system_runs_there():
    busybox = shutil.which('busybox')
    result = pith('/bin/sh', '-c', 'echo $0', options=['--root', 'none', '--initramfs-file', f'{busybox}:/bin/sh'])
    assert result.stdout == b'/bin/sh\n'


def test_shell_is_the_callers():
    result = run('shell', *FLAGS, input=b'echo in $0; exit 4', env=dict(os.environ, SHELL='/bin/sh'),
                 timeout=2 * MINUTE)
    assert (result.returncode, result.stdout) == (4, b'in /bin/sh\n')


def test_bare_command_is_the_shell():
    result = run(*FLAGS, input=b'exit 7', env=dict(os.environ, SHELL='/bin/sh'), timeout=2 * MINUTE)
    assert result.returncode == 7


def test_boot_time_is_printed():
    result = pith('true', options=['--boot-time'])
    assert result.returncode == 0 and b'until the program' in result.stderr


def test_kernels_log_comes_with_debug():
    result = run('run', '--accel', 'tcg', '--debug', '--', 'true', timeout=2 * MINUTE)
    assert result.returncode == 0 and b'[    0.' in result.stderr


def test_debugger_finds_the_machine_waiting():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    child = subprocess.Popen([PITH, 'run', *FLAGS, '--gdb', str(port), '--', 'true'])
    try:
        deadline = time.monotonic() + MINUTE
        while True:
            try:
                with socket.create_connection(('127.0.0.1', port), 1) as link:
                    link.sendall(b'$?#3f')
                    assert link.recv(1) == b'+'
                    break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
    finally:
        child.kill()
        child.wait()


# ---- Make's targets about the command ----

def make(*words, **more):
    return subprocess.run(['make', '-s', '-C', TREE, *words], capture_output=True, timeout=10 * MINUTE,
                          **more)


def test_make_run_runs_a_command():
    result = make('run', 'CMD=echo from the guest')
    assert result.returncode == 0 and b'from the guest\n' in result.stdout


def test_make_install_needs_no_tree(tmp_path):
    assert make('install', f'PREFIX={tmp_path}').returncode == 0
    result = subprocess.run([tmp_path / 'bin/pith', 'run', *FLAGS, '--', 'echo', 'installed'], cwd='/',
                            capture_output=True, timeout=2 * MINUTE)
    assert result.stdout == b'installed\n', result.stderr
    for path in ('share/man/man1/pith.1', 'share/bash-completion/completions/pith', 'lib/pith/pith.elf'):
        assert (tmp_path / path).exists()


def test_make_gdb_lists_processes_and_their_stacks(tmp_path):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    (tmp_path / 'commands').write_text('hbreak sys_getppid\ncontinue\npith ps\npith stacks\nkill\n')
    result = make('gdb', 'CMD=/pith/bin/probe', f'GDB_FLAGS=-batch -x {tmp_path}/commands',
                  env=dict(os.environ, GDB_PORT=str(port), GDB_PITH_FLAGS='--root none --cpus 2'))
    output = result.stdout.decode()
    assert ' init\n' in output and ' probe\n' in output and 'WAITING for child' in output
    assert 'sys_wait4' in output
