"""The host's side of the protocol: `pith` with a guest that the test plays (fake_qemu).

Each test's guest is a few lines of Python; what it asserts makes it end, and pith exit with 125.
"""
import os, pty, select, signal, struct, subprocess, termios, time

import pytest

from pith import FAKE_QEMU, PITH, fake_environment, run_fake

ARGUMENTS = ('run', '-q', '--accel', 'tcg', '--root', 'none', '--')


def start_fake(tmp_path, script, **options):
    options.setdefault('env', fake_environment(tmp_path, script))
    return subprocess.Popen([PITH, *ARGUMENTS, 'program'], **options)


@pytest.mark.parametrize('status', [0, 1, 42, 127, 137, 255])
def test_exit_status_is_the_programs(tmp_path, status):
    assert run_fake(tmp_path, f'guest.start(); guest.exit({status})').returncode == status


def test_streams_arrive_apart_and_unchanged(tmp_path):
    result = run_fake(tmp_path, '''
guest.start()
guest.send(DATA, STDOUT, bytes(range(256)))
guest.send(DATA, STDERR, b'to stderr')
guest.exit(0)''')
    assert (result.returncode, result.stdout, result.stderr) == (0, bytes(range(256)), b'to stderr')


def test_output_beyond_the_window_waits_for_credit(tmp_path):
    result = run_fake(tmp_path, '''
guest.start()
window, block = 131072, bytes(range(256)) * 16
for _ in range(100):
    while window < len(block):
        window += struct.unpack('<I', guest.expect(CREDIT, STDOUT))[0]
    guest.send(DATA, STDOUT, block)
    window -= len(block)
guest.exit(0)''')
    assert result.returncode == 0 and result.stdout == bytes(range(256)) * 1600


@pytest.mark.parametrize('frame', [
    "for _ in range(6): guest.send(DATA, STDOUT, bytes(65536))",
    "guest.send(99, STDOUT, b'')",
    "guest.send(DATA, 99, b'x')",
    "guest.send(DATA, STDIN, b'x')",
    "guest.send(DATA, STDOUT, b'')",
    "guest.link.sendall(struct.pack('<BBHI', DATA, STDOUT, 0, 1 << 30))",
    "guest.link.sendall(struct.pack('<BBHI', DATA, STDOUT, 7, 1) + b'x')",
    "guest.send(EXIT, CONTROL, b'1')",
    "guest.send(HELLO, CONTROL, struct.pack('<I', 1))",
    "guest.credit(STDOUT, 1)",
    "guest.credit(STDIN, 1 << 30)",
    "guest.credit(CONTROL, 1 << 20); guest.credit(CONTROL, 1 << 20)",
])
def test_guest_that_breaks_the_protocol_ends_the_run(tmp_path, frame):
    # Standard output nobody reads, so that no credit comes back.
    read_end, write_end = os.pipe()
    result = run_fake(tmp_path, f'guest.start()\n{frame}\nwhile guest.receive(): pass',
                      stdout=write_end)
    os.close(read_end), os.close(write_end)
    assert result.returncode == 125 and b'protocol' in result.stderr


def test_streams_that_the_caller_has_not_are_as_dev_null(tmp_path):
    result = run_fake(tmp_path, '''
guest.start()
for channel in STDOUT, STDERR, TERMINAL:
    guest.send(DATA, channel, b'x' * 65536)
    guest.expect(CREDIT, channel)
guest.send(POLL, STDIN, b'')
guest.expect(READY, STDIN)
guest.credit(STDIN, 1)
guest.expect(END, STDIN)
guest.credit(TERMINAL, 1)
guest.exit(5)''', stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert result.returncode == 5


def test_other_version_of_the_protocol_is_refused(tmp_path):
    result = run_fake(tmp_path, '''
guest.send(HELLO, CONTROL, struct.pack('<I', 2))
while guest.receive(): pass''')
    assert result.returncode == 125 and b'version 2' in result.stderr


def test_standard_input_is_read_only_as_far_as_the_guest_asks(tmp_path):
    """What is left in a file is for the next reader of the same description."""
    (tmp_path / 'input').write_bytes(b'0123456789')
    with open(tmp_path / 'input', 'rb', buffering=0) as file:
        result = run_fake(tmp_path, "guest.start(); assert guest.read(4) == b'0123'; guest.exit(0)",
                          stdin=file)
        assert result.returncode == 0 and file.read() == b'456789'


def test_input_never_asked_for_is_left_in_the_pipe(tmp_path):
    read_end, write_end = os.pipe()
    os.write(write_end, b'untouched')
    result = run_fake(tmp_path, 'guest.start(); guest.exit(0)', stdin=read_end)
    assert result.returncode == 0 and os.read(read_end, 100) == b'untouched'
    os.close(read_end), os.close(write_end)


def test_end_of_input_is_told_at_each_read(tmp_path):
    result = run_fake(tmp_path, '''
guest.start()
assert guest.read(100) == b'abc' and guest.read(100) == b'' and guest.read(100) == b''
guest.exit(0)''', input=b'abc')
    assert result.returncode == 0


def test_withdrawn_request_takes_nothing(tmp_path):
    child = start_fake(tmp_path, '''
guest.start()
guest.credit(STDIN, 10)
guest.credit(STDIN, 0)
guest.send(DATA, STDOUT, b'.')
assert guest.is_silent(0.3)
guest.exit(0)''', stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout.read(1) == b'.'
    child.stdin.write(b'abc')
    child.stdin.flush()
    assert child.wait(60) == 0


def test_poll_says_ready_and_takes_nothing(tmp_path):
    result = run_fake(tmp_path, '''
guest.start()
guest.send(POLL, STDIN)
guest.expect(READY, STDIN)
assert guest.read(100) == b'abc'
guest.exit(0)''', input=b'abc')
    assert result.returncode == 0


def test_poll_waits_for_input(tmp_path):
    child = start_fake(tmp_path, '''
guest.start()
guest.send(POLL, STDIN)
assert guest.is_silent(0.2)
guest.send(DATA, STDOUT, b'.')
guest.expect(READY, STDIN)
guest.exit(0)''', stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout.read(1) == b'.'
    child.stdin.write(b'x')
    child.stdin.flush()
    assert child.wait(60) == 0


def test_reader_that_leaves_is_told_to_the_guest(tmp_path):
    child = start_fake(tmp_path, '''
guest.start()
guest.send(DATA, STDOUT, b'y')
while True:
    guest.send(DATA, STDOUT, b'y')
    if not guest.is_silent(0.01):
        break
guest.expect(GONE, STDOUT)
guest.exit(141)''', stdout=subprocess.PIPE)
    assert child.stdout.read(1) == b'y'
    child.stdout.close()
    assert child.wait(60) == 141


def test_callers_pipe_keeps_its_flags(tmp_path):
    read_end, write_end = os.pipe()
    assert run_fake(tmp_path, "guest.start(); guest.send(DATA, STDOUT, b'x'); guest.exit(0)",
                    stdin=read_end, stdout=write_end).returncode == 0
    assert os.get_blocking(read_end) and os.get_blocking(write_end)
    os.close(read_end), os.close(write_end)


def test_slow_reader_gets_everything_after_the_end(tmp_path):
    child = start_fake(tmp_path, '''
guest.start()
for _ in range(16): guest.send(DATA, STDOUT, bytes(4096))
guest.exit(7)''', stdout=subprocess.PIPE)
    time.sleep(0.5)
    assert len(child.stdout.read()) == 65536 and child.wait(60) == 7


def closed_streams_are_described(tmp_path, closed):
    kinds = [0 if fd in closed else 3 for fd in range(3)]
    script = f'''
guest.start()
kinds = dict(struct.unpack('<II', entry) for entry in guest.entries(STREAM))
guest.exit(0 if kinds == {dict(enumerate(kinds))} else 1)'''
    redirections = ' '.join(f'{fd}{"<" if fd == 0 else ">"}' +
                            ('&-' if fd in closed else ' /dev/null') for fd in range(3))
    return subprocess.run(['sh', '-c', f'exec "$@" {redirections}', 'sh', PITH, *ARGUMENTS, 'program'],
                          env=fake_environment(tmp_path, script), timeout=60).returncode


@pytest.mark.parametrize('closed', [(), (0,), (1,), (2,), (0, 1, 2)])
def test_closed_descriptors_and_dev_null_are_described(tmp_path, closed):
    assert closed_streams_are_described(tmp_path, closed) == 0


def described(tmp_path, expression, *arguments, **options):
    """What `expression` over the description gives, as the guest prints it."""
    result = run_fake(tmp_path, f'''
guest.start()
guest.send(DATA, STDOUT, repr({expression}).encode())
guest.exit(0)''', *arguments, **options)
    assert result.returncode == 0, result.stderr
    return eval(result.stdout)


def test_arguments_arrive_as_they_are(tmp_path):
    words = ['a b', '', '--', '\u00e4', '*']
    got = described(tmp_path, 'guest.entries(ARGUMENT)', '--root', 'none', '--', 'name', *words)
    assert got == [b'name'] + [word.encode() for word in words]


def test_environment_is_the_callers_with_what_is_set_last(tmp_path):
    environment = dict(fake_environment(tmp_path, ''), KEPT='1', CHANGED='old')
    got = described(tmp_path, 'guest.entries(ENVIRONMENT)', '--root', 'none', '-e', 'CHANGED=mid',
                    '--env', 'NEW=', '--env', 'CHANGED=new', '--', 'program', env=environment)
    assert b'KEPT=1' in got and b'NEW=' in got
    assert [entry for entry in got if entry.startswith(b'CHANGED=')] == [b'CHANGED=new']


def test_big_environment_arrives_whole(tmp_path):
    environment = dict(fake_environment(tmp_path, ''), **{f'BIG{i}': 'x' * 100000 for i in range(10)})
    got = described(tmp_path, 'sum(map(len, guest.entries(ENVIRONMENT)))', env=environment)
    assert got > 1000000


@pytest.mark.parametrize('user, ids', [('12345', (12345, 12345)), ('12345:678', (12345, 678)),
                                       ('root', (0, 0)), ('0:0', (0, 0))])
def test_user_is_described(tmp_path, user, ids):
    got = described(tmp_path, "struct.unpack('<II', guest.entries(USER)[0])", '--root', 'none',
                    '--user', user, '--', 'program')
    assert got == ids


def test_caller_is_described(tmp_path):
    got = described(tmp_path, "(guest.entries(USER), guest.entries(DIRECTORY), guest.entries(UMASK))",
                    '--', 'program', cwd=tmp_path, preexec_fn=lambda: os.umask(0o27))
    assert got == ([struct.pack('<II', os.geteuid(), os.getegid())], [str(tmp_path).encode()],
                   [struct.pack('<I', 0o27)])


def test_directory_is_relative_to_the_callers(tmp_path):
    got = described(tmp_path, 'guest.entries(DIRECTORY)', '--cwd', 'below', '--', 'program',
                    cwd=tmp_path)
    assert got == [str(tmp_path).encode() + b'/below']


def test_shares_are_described(tmp_path):
    (tmp_path / 'shared').mkdir()
    got = described(tmp_path, 'guest.entries(SHARE)', '--share', str(tmp_path / 'shared'), '--share',
                    str(tmp_path) + ':rw', '--', 'program')
    assert got == [struct.pack('<II', 0, 0) + b'/',
                   struct.pack('<II', 1, 0) + str(tmp_path / 'shared').encode(),
                   struct.pack('<II', 2, 1) + str(tmp_path).encode()]


def test_ignored_signals_and_limits_are_described(tmp_path):
    def prepare():
        import resource
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    ignored, limits = described(
        tmp_path, "(guest.entries(IGNORED)[0], guest.entries(LIMIT))", preexec_fn=prepare)
    assert struct.unpack('<Q', ignored)[0] & 1 << signal.SIGHUP - 1
    assert struct.pack('<IIQQ', 1, 0, 4096, 2**64 - 1) in limits


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signal_reaches_the_running_program(tmp_path, number):
    child = start_fake(tmp_path, '''
guest.start()
guest.send(DATA, STDOUT, b'.')
guest.exit(struct.unpack('<I', guest.expect(SIGNAL, CONTROL))[0])''', stdout=subprocess.PIPE)
    assert child.stdout.read(1) == b'.'
    child.send_signal(number)
    assert child.wait(60) == number


def test_signal_before_the_program_runs_ends_pith(tmp_path):
    child = start_fake(tmp_path, f'''
open({str(tmp_path / "up")!r}, 'w')
while guest.receive(): pass''')
    while not (tmp_path / 'up').exists():
        time.sleep(0.01)
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 128 + signal.SIGTERM


def test_time_limit_is_status_124(tmp_path):
    result = run_fake(tmp_path, 'guest.start()\nwhile guest.receive(): pass', '--root', 'none',
                      '--timeout', '0.3', '--', 'program')
    assert result.returncode == 124


def test_panic_is_status_255_with_its_text(tmp_path):
    result = run_fake(tmp_path, '''
guest.start()
guest.send(DATA, LOG, b'panic: all is lost\\n')
guest.send(PANIC, LOG)
while guest.receive(): pass''')
    assert result.returncode == 255 and result.stderr == b'panic: all is lost\n'


def test_early_panic_comes_over_the_debug_port(tmp_path):
    result = run_fake(tmp_path, '''
guest.debug.sendall(b'panic: no memory\\n\\x04')
while guest.receive(): pass''')
    assert result.returncode == 255 and result.stderr == b'panic: no memory\n'


def test_machine_that_ends_too_early_is_status_125(tmp_path):
    result = run_fake(tmp_path, 'sys.exit(0)')
    assert result.returncode == 125 and b'reset itself' in result.stderr


def test_what_qemu_says_is_passed_on(tmp_path):
    result = run_fake(tmp_path, "sys.stderr.write('qemu-system-x86_64: no such CPU'); sys.exit(1)")
    assert result.returncode == 125
    assert result.stderr == b'pith: QEMU could not run the machine: no such CPU\n'


@pytest.mark.parametrize('words', ['KVM internal error. Suberror: 1', 'error: kvm run failed Bad address',
                                   'KVM: entry failed, hardware error 0x80000021'])
def test_machine_that_kvm_gave_up_is_status_125(tmp_path, words):
    """QEMU says it and stands still for ever."""
    result = run_fake(tmp_path, f'guest.start()\nprint({words!r}, "\\nRAX=0", sep="", file=sys.stderr, flush=True)\n'
                                'guest.receive()\n')
    assert result.returncode == 125
    assert words in result.stderr.decode() and '--accel tcg' in result.stderr.decode()


def test_what_kvm_says_after_much_else_is_heard(tmp_path):
    result = run_fake(tmp_path, 'guest.start()\nfor i in range(2000): print("warning", i, file=sys.stderr)\n'
                                'print("KVM internal error. Suberror: 1", file=sys.stderr, flush=True)\n'
                                'guest.receive()\n')
    assert result.returncode == 125 and b'KVM internal error' in result.stderr


def test_output_before_the_machine_died_is_not_lost(tmp_path):
    result = run_fake(tmp_path, "guest.start(); guest.send(DATA, STDOUT, b'x' * 60000); os._exit(3)")
    assert result.returncode == 125 and len(result.stdout) == 60000


def process_is_there(pid):
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def children_of(pid):
    with open(f'/proc/{pid}/task/{pid}/children') as file:
        return [int(child) for child in file.read().split()]


def test_killed_pith_leaves_no_process(tmp_path):
    child = start_fake(tmp_path, 'guest.start()\nguest.send(DATA, STDOUT, b".")\nwhile guest.receive(): pass',
                       stdout=subprocess.PIPE)
    assert child.stdout.read(1) == b'.'
    children = children_of(child.pid)
    assert children
    child.kill()
    child.wait()
    wait_until(lambda: not any(map(process_is_there, children)))


def test_killed_qemu_is_status_125(tmp_path):
    child = start_fake(tmp_path, 'guest.start()\nguest.send(DATA, STDOUT, b".")\nwhile guest.receive(): pass',
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout.read(1) == b'.'
    os.kill(children_of(child.pid)[0], signal.SIGKILL)
    assert child.wait(60) == 125 and b'signal 9' in child.stderr.read()


def test_killed_file_server_is_status_125(tmp_path):
    child = subprocess.Popen([PITH, 'run', '-q', '--accel', 'tcg', '--', 'program'],
                             env=fake_environment(tmp_path, 'guest.start()\nguest.send(DATA, STDOUT, b".")\nwhile guest.receive(): pass'),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout.read(1) == b'.'
    os.kill(children_of(child.pid)[1], signal.SIGKILL)
    assert child.wait(60) == 125 and b'file server ended' in child.stderr.read()


def test_boot_time_prints_a_table(tmp_path):
    result = run_fake(tmp_path, 'guest.stamp(1); guest.start(); guest.stamp(4); guest.exit(0)', '--root',
                      'none', '--boot-time', '--', 'program')
    assert result.returncode == 0
    for word in (b'until QEMU starts', b'until the kernel', b'until the program'):
        assert word in result.stderr


# ---- Terminals ----

def start_on_terminal(tmp_path, script, size=(24, 80)):
    """pith with a pty as its terminal: (process, master)."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(master, size)

    def become_leader():
        os.setsid()
        import fcntl
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    child = start_fake(tmp_path, script, stdin=slave, stdout=slave, stderr=slave,
                       preexec_fn=become_leader)
    return child, master, slave


def read_until(master, mark):
    got = b''
    while mark not in got:
        assert select.select([master], [], [], 30)[0], got
        got += os.read(master, 4096)
    return got


def is_raw(fd):
    return not termios.tcgetattr(fd)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)


def test_terminal_is_described_with_its_size(tmp_path):
    child, master, slave = start_on_terminal(tmp_path, '''
guest.start()
kinds = [struct.unpack('<II', entry)[1] for entry in guest.entries(STREAM)]
size = struct.unpack('<HH', guest.entries(WINSIZE)[0][:4])
guest.exit(0 if kinds == [2, 2, 2] and size == (33, 99) and len(guest.entries(TERMIOS)[0]) == 36 else 1)
''', (33, 99))
    assert child.wait(60) == 0


def test_terminal_is_left_alone_until_the_guest_reads_it(tmp_path):
    child, master, slave = start_on_terminal(tmp_path, '''
guest.start()
guest.send(DATA, TERMINAL, b'ready')
guest.expect(SIGNAL, CONTROL)
guest.exit(0)''')
    os.write(master, b'typed ahead\n')
    read_until(master, b'ready')
    assert not is_raw(slave)
    child.send_signal(signal.SIGUSR1)
    assert child.wait(60) == 0
    assert os.read(slave, 100) == b'typed ahead\n'


def test_terminal_is_raw_while_the_guest_reads_and_restored_at_the_end(tmp_path):
    child, master, slave = start_on_terminal(tmp_path, '''
guest.start()
guest.credit(TERMINAL, 100)
guest.send(DATA, TERMINAL, b'ready')
assert guest.expect(DATA, TERMINAL) == b'\\x03'
guest.exit(9)''')
    before = termios.tcgetattr(slave)
    read_until(master, b'ready')
    assert is_raw(slave)
    os.write(master, b'\x03')
    assert child.wait(60) == 9
    assert termios.tcgetattr(slave) == before


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGSEGV])
def test_terminal_is_restored_when_pith_is_killed(tmp_path, number):
    child, master, slave = start_on_terminal(tmp_path, '''
guest.start()
guest.credit(TERMINAL, 100)
guest.send(DATA, TERMINAL, b'ready')
while guest.receive(): pass''')
    before = termios.tcgetattr(slave)
    read_until(master, b'ready')
    assert is_raw(slave)
    child.send_signal(number)
    child.wait()
    wait_until(lambda: termios.tcgetattr(slave) == before)


def test_new_window_size_is_told(tmp_path):
    child, master, slave = start_on_terminal(tmp_path, '''
guest.start()
guest.send(DATA, TERMINAL, b'ready')
guest.exit(0 if struct.unpack('<HH', guest.expect(WINDOW, TERMINAL)) == (50, 132) else 1)''')
    read_until(master, b'ready')
    termios.tcsetwinsize(master, (50, 132))
    assert child.wait(60) == 0


def test_terminal_that_hangs_up_is_told(tmp_path):
    child, master, slave = start_on_terminal(tmp_path, f'''
guest.start()
guest.credit(TERMINAL, 100)
guest.send(DATA, TERMINAL, b'ready')
frames = set()
while len(frames) < 2:
    frames |= {{guest.receive()[:2]}} & {{(GONE, TERMINAL), (SIGNAL, CONTROL)}}
open({str(tmp_path / "told")!r}, 'w')
guest.exit(0)''')
    os.close(slave)
    read_until(master, b'ready')
    os.close(master)
    child.wait(60)
    assert (tmp_path / 'told').exists()


def test_output_that_cannot_be_written_is_not_a_success(tmp_path):
    with open('/dev/full', 'wb') as full:
        result = run_fake(tmp_path, "guest.start(); guest.send(DATA, STDOUT, b'x'); guest.exit(0)",
                          stdout=full)
    assert result.returncode == 125 and b'No space left' in result.stderr


def process_state(pid):
    with open(f'/proc/{pid}/stat') as file:
        return file.read().rsplit(')', 1)[1].split()[0]


def test_stopped_pith_stops_the_machine_and_gives_the_terminal_back(tmp_path):
    child, master, slave = start_on_terminal(tmp_path, '''
guest.start()
guest.credit(TERMINAL, 100)
guest.send(DATA, TERMINAL, b'ready')
while guest.receive()[0] != DATA: pass
guest.exit(3)''')
    before = termios.tcgetattr(slave)
    read_until(master, b'ready')
    machine = children_of(child.pid)[0]
    child.send_signal(signal.SIGTSTP)
    wait_until(lambda: process_state(child.pid) == 'T' and process_state(machine) == 'T')
    assert termios.tcgetattr(slave) == before
    child.send_signal(signal.SIGCONT)
    wait_until(lambda: is_raw(slave) and process_state(machine) != 'T')
    os.write(master, b'x')
    assert child.wait(60) == 3
    assert termios.tcgetattr(slave) == before
