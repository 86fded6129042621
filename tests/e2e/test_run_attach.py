"""`pith ps`, `pith attach` and `pith doctor`."""
import fcntl, os, pty, re, select, shutil, signal, struct, subprocess, termios, time

import pytest

from pith import PITH, run

MINUTE = 60


@pytest.fixture
def machine():
    """A machine whose program waits; its process."""
    child = subprocess.Popen([PITH, 'run', '-q', '--', 'sh', '-c', 'echo up; exec sleep 1000'],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert child.stdout.readline() == b'up\n'
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


def attach(machine, *program, **options):
    return run('attach', str(machine.pid), '--', *program, **options)


def ids():
    result = run('ps')
    assert result.returncode == 0 and result.stderr == b''
    lines = result.stdout.decode().splitlines()
    assert lines[0].split() == ['ID', 'RUNNING', 'COMMAND']
    return {int(line.split()[0]): line for line in lines[1:]}


def attached(machine, script, before=':'):
    """A client whose program has said that it runs."""
    child = subprocess.Popen([PITH, 'attach', str(machine.pid), '--', 'sh', '-c',
                              f'{before}; echo up; {script}'], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE)
    assert child.stdout.readline() == b'up\n'
    return child


def wait_until(condition):
    end = time.monotonic() + MINUTE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_ps_lists_a_machine_with_its_id_and_command(machine):
    assert 'exec sleep 1000' in ids()[machine.pid]


def test_attach_to_a_stopped_machine_says_so_and_the_machine_goes_on(machine):
    machine.send_signal(signal.SIGSTOP)
    result = attach(machine, 'true')
    machine.send_signal(signal.SIGCONT)
    assert result.returncode == 125 and b'does not answer' in result.stderr
    assert attach(machine, 'echo', 'on').stdout == b'on\n'


def test_ps_has_no_entry_of_a_killed_machine(machine):
    machine.kill()
    machine.wait()
    assert machine.pid not in ids()


def test_ps_shows_nothing_of_other_users(machine):
    if os.geteuid() != 0:
        pytest.skip('only root becomes another user')
    result = run('ps', preexec_fn=lambda: os.setresuid(12345, 12345, 12345), cwd='/')
    if result.returncode == 126 or b'Permission denied' in result.stderr:
        pytest.skip('the build is not readable by others')
    assert str(machine.pid) not in result.stdout.decode()


def test_attach_of_another_user_is_refused(machine):
    if os.geteuid() != 0:
        pytest.skip('only root becomes another user')
    code = (f'import os, socket; os.setresuid(12345, 12345, 12345); s = socket.socket(socket.AF_UNIX)\n'
            f's.connect("\\0pith/0/{machine.pid}"); print(s.recv(100))')
    assert subprocess.run(['python3', '-c', code], capture_output=True).stdout == b"b''\n"
    assert attach(machine, 'true').returncode == 0


def test_attach_to_a_machine_that_does_not_answer_can_be_ended(machine):
    machine.send_signal(signal.SIGSTOP)
    child = subprocess.Popen([PITH, 'attach', str(machine.pid), '--', 'true'])
    name = f'/proc/{child.pid}/fd'
    wait_until(lambda: any('signalfd' in os.readlink(f'{name}/{fd}') for fd in os.listdir(name)))
    child.terminate()
    assert child.wait(timeout=MINUTE) == 128 + signal.SIGTERM
    machine.send_signal(signal.SIGCONT)


def test_attach_has_streams_and_status_of_its_own(machine):
    data = os.urandom(1000000)
    result = attach(machine, 'sh', '-c', 'cat; echo error >&2; exit 5', input=data)
    assert (result.returncode, result.stdout, result.stderr) == (5, data, b'error\n')
    assert attach(machine, 'no-such-program').returncode == 127


def test_attach_program_has_its_callers_environment_directory_and_user(machine, tmp_path):
    result = attach(machine, 'sh', '-c', 'pwd; echo $MARK; id -u', cwd=tmp_path,
                    env=dict(os.environ, MARK='here'))
    assert result.stdout.decode().split() == [str(tmp_path), 'here', str(os.geteuid())]
    result = run('attach', '--env', 'MARK=1', '--cwd', '/usr', '--user', '12:34', str(machine.pid), '--',
                 'sh', '-c', 'pwd; echo $MARK; id -u; id -g')
    assert result.stdout.decode().split() == ['/usr', '1', '12', '34']


def test_attach_sees_what_the_others_in_the_machine_wrote(machine, tmp_path):
    assert attach(machine, 'sh', '-c', f'echo mark >{tmp_path}/file').returncode == 0
    assert attach(machine, 'cat', f'{tmp_path}/file').stdout == b'mark\n'
    assert os.listdir(tmp_path) == []


def test_attach_ends_while_its_background_processes_go_on(machine):
    for _ in range(3):
        result = attach(machine, 'sh', '-c', 'sleep 500 >/dev/null 2>&1 </dev/null & exit 4')
        assert result.returncode == 4
    assert attach(machine, 'pgrep', '-c', '-x', 'sleep').stdout == b'4\n'


def test_attach_many_times_at_once_and_again(machine):
    clients = [attached(machine, 'exec sleep 1000') for _ in range(7)]
    result = attach(machine, 'true')
    assert result.returncode == 125 and b'takes nobody more' in result.stderr
    for client in clients:
        client.terminate()
        assert client.wait(MINUTE) == 128 + signal.SIGTERM
        client.stdout.close()
    wait_until(lambda: attach(machine, 'true').returncode == 0)


def test_attach_passes_signals_on(machine):
    client = attached(machine, 'while :; do sleep 0.1; done', before='trap "exit 9" USR1')
    client.send_signal(signal.SIGUSR1)
    assert client.wait(MINUTE) == 9
    client.stdout.close()


def test_attach_that_is_killed_ends_its_program(machine):
    client = attached(machine, 'exec sleep 777')
    client.kill()
    client.wait()
    client.stdout.close()
    wait_until(lambda: attach(machine, 'pgrep', '-f', 'sleep 777').returncode == 1)


def test_attach_ends_with_its_machine(machine):
    client = attached(machine, 'exec sleep 1000')
    machine.terminate()
    assert client.wait(MINUTE) == 125
    client.stdout.close()


def test_attach_needs_an_id_where_several_machines_run(machine):
    other = subprocess.Popen([PITH, 'run', '-q', '--', 'sh', '-c', 'echo up; exec sleep 1000'],
                             stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    other.stdout.readline()
    result = run('attach', '--', 'true')
    other.kill()
    other.wait()
    other.stdout.close()
    assert result.returncode == 125 and b'pith ps lists them' in result.stderr


def test_attach_to_nothing_is_status_125():
    result = run('attach', '999999999', '--', 'true')
    assert result.returncode == 125 and b'pith ps' in result.stderr


def test_attach_has_a_terminal_of_its_own(machine):
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(PITH, [PITH, 'attach', str(machine.pid), '--', 'sh'])
    before = termios.tcgetattr(fd)

    def talk(line, answer):
        os.write(fd, line)
        seen = b''
        while answer not in seen:
            assert select.select([fd], [], [], MINUTE)[0], seen
            seen += os.read(fd, 4096)
        return seen

    talk(b'stty size; tty; echo a$((1 + 1))a\n', b'a2a')
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 33, 44, 0, 0))
    talk(b'while ! stty size | grep "33 44"; do sleep 0.1; done; echo b$((1 + 1))b\n', b'b2b')
    talk(b"sh -c 'echo c$((1 + 1))c; exec sleep 1000'\n", b'c2c')
    talk(b'\x03echo d$((1 + 1))d\n', b'd2d')
    assert b'/dev/pts/' in talk(b'tty; echo e$((1 + 1))e\n', b'e2e')
    os.write(fd, b'exit 7\n')
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert termios.tcgetattr(fd) == before
    os.close(fd)


@pytest.mark.parametrize('arguments, word', [
    (['attach', 'here'], "'here'"), (['attach', '1', 'ls'], '--'), (['attach', '1', '--'], 'program'),
    (['attach', '--mem', '1G', '1'], '--mem'), (['ps', 'all'], "'all'"), (['doctor', '--cpus', '1'], '--cpus'),
])
def test_attach_ps_and_doctor_refuse_what_has_no_meaning(arguments, word):
    result = run(*arguments)
    assert result.returncode == 2 and word in result.stderr.decode()


# ---- doctor ----

def test_doctor_finds_nothing_missing_here():
    result = run('doctor')
    assert result.returncode == 0, result.stdout
    assert result.stdout.decode().splitlines()[-1] == 'pith can run here'


@pytest.mark.parametrize('environment, name, fix', [
    ({'PATH': '/nowhere'}, 'QEMU', 'apt install qemu-system-x86'),
    ({'PITH_QEMU': '/etc/passwd'}, 'QEMU', 'PITH_QEMU'),
    ({'PITH_QEMU': '/bin/true'}, "QEMU's version", '7.0'),
    ({'PITH_QEMU': '/bin/echo'}, "QEMU's devices", 'qemu-system-x86'),
])
def test_doctor_names_what_is_missing_and_the_fix(environment, name, fix):
    result = run('doctor', env=dict(os.environ, **environment))
    lines = result.stdout.decode().splitlines()
    at = next(i for i, line in enumerate(lines) if re.match(rf'MISSING +{name} ', line))
    assert result.returncode == 125 and '->' in lines[at + 1] and fix in lines[at + 1]
    assert lines[-1] == 'pith cannot run here yet'


def test_doctor_names_a_missing_kernel(tmp_path):
    shutil.copy(PITH, tmp_path)
    result = subprocess.run([tmp_path / 'pith', 'doctor'], capture_output=True)
    assert result.returncode == 125 and b'pith.elf' in result.stdout and b'make install' in result.stdout
