"""`pith run` with the real kernel: each option that reaches the guest, and make's targets about it."""
import os, shutil, signal, socket, subprocess, time

import pytest

import machine
from pith import PITH, TREE, run

FLAGS = ['-q', *machine.FLAGS]
MINUTE = 60


def pith(*words, options=(), **more):
    """Runs a program in Pith."""
    more.setdefault('timeout', 2 * MINUTE)
    return run('run', *FLAGS, *options, '--', *words, **more)


def sh(script, *arguments, options=(), **more):
    return pith('sh', '-c', script, 'sh', *arguments, options=options, **more)


def test_script_without_magic_is_run_by_the_shell(tmp_path):
    (tmp_path / 'script').write_text('echo "$1"\n')
    (tmp_path / 'script').chmod(0o755)
    assert pith('./script', 'word', cwd=tmp_path).stdout == b'word\n'


def test_background_process_does_not_hold_up_the_end():
    start = time.monotonic()
    assert sh('sleep 1000 & exit 5').returncode == 5
    assert time.monotonic() - start < MINUTE


def test_writer_without_a_reader_is_ended_by_sigpipe():
    child = subprocess.Popen([PITH, 'run', *FLAGS, '--', 'yes'], stdout=subprocess.PIPE)
    assert child.stdout.read(2) == b'y\n'
    child.stdout.close()
    assert child.wait(2 * MINUTE) == 128 + signal.SIGPIPE


@pytest.mark.parametrize('closing, script, status', [
    ('<&-', 'read line', 1), ('>&-', 'echo x', 1), ('2>&-', 'echo x >&2', 2),
    ('<&- >&- 2>&-', 'exit 6', 6), ('</dev/null', 'read line', 1),
    ('>/dev/null 2>/dev/null', 'echo x', 0),
])
def test_closed_descriptors_stay_closed(closing, script, status):
    """Each alone and all of them; the status is what the same script gives on Linux."""
    result = subprocess.run(['sh', '-c', f'exec "$@" {closing}', 'sh', PITH, 'run', *FLAGS, '--',
                             'sh', '-c', script], capture_output=True, timeout=2 * MINUTE)
    assert result.returncode == status


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


def test_date_is_the_hosts():
    before = int(time.time())
    assert before - 1 <= int(pith('date', '+%s').stdout) <= time.time() + 1


def test_cpus_are_as_asked():
    assert pith('nproc', options=['--cpus', '3']).stdout == b'3\n'


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
    # At the program's end init has waited for long.
    (tmp_path / 'commands').write_text('hbreak sys_exit_group\ncontinue\npith ps\npith stacks\nkill\n')
    result = make('gdb', 'CMD=/pith/bin/probe', f'GDB_FLAGS=-batch -x {tmp_path}/commands',
                  env=dict(os.environ, GDB_PORT=str(port), GDB_PITH_FLAGS='--root none --cpus 2'))
    output = result.stdout.decode()
    assert ' init\n' in output and ' probe\n' in output and 'WAITING for poll' in output
    assert 'sys_ppoll' in output


def test_make_with_clang_gives_a_kernel_that_boots():
    if not shutil.which('clang'):
        pytest.skip('there is no clang here')
    assert make('CC=clang', 'SAN=0', '-j2').returncode == 0
    result = subprocess.run([os.path.join(TREE, 'build/clang/pith'), 'run', *FLAGS, '--', 'echo', 'clang'],
                            capture_output=True, timeout=2 * MINUTE)
    assert result.stdout == b'clang\n'
