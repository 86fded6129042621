"""How a run ends: exit statuses, streams apart, what the program inherits of its caller."""
import os
import signal
import subprocess

import pytest

from machine import command, output_of, run_program


@pytest.mark.parametrize('program, status', [
    (['/bin/true'], 0), (['/bin/false'], 1), (['sh', '-c', 'exit 42'], 42),
    (['sh', '-c', 'exit 255'], 255),
])
def test_exit_status_is_the_programs(program, status):
    result = run_program(*program)
    assert (result.returncode, result.stdout, result.stderr) == (status, b'', b'')


@pytest.mark.parametrize('name', ['KILL', 'TERM', 'HUP', 'SEGV'])
def test_death_by_signal_is_128_and_its_number(name):
    result = run_program('sh', '-c', f'kill -{name} $$')
    assert result.returncode == 128 + getattr(signal, f'SIG{name}')


def test_a_sentence_waits_for_the_reader_of_a_pipe_that_does_not_block():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    filled = 0
    try:
        while True:
            filled += os.write(writer, bytes(4096))
    except BlockingIOError:
        pass
    process = subprocess.Popen(command('true', options=['--no-such-option']), stderr=writer)
    os.close(writer)
    with os.fdopen(reader, 'rb') as pipe:
        assert b'no-such-option' in pipe.read()[filled:]
    assert process.wait() == 2


def test_missing_program_is_127():
    result = run_program('no-such-program')
    assert result.returncode == 127 and b'no-such-program' in result.stderr
    assert run_program('').returncode == 127


def test_missing_path_is_127():
    assert run_program('/nowhere/program').returncode == 127


def test_file_that_is_not_executable_is_126(tmp_path):
    path = tmp_path / 'file'
    path.write_text('#!/bin/sh\n')
    result = run_program(str(path))
    assert result.returncode == 126 and b'file' in result.stderr


def test_directory_is_126():
    assert run_program('/tmp').returncode == 126


def test_output_and_error_arrive_apart():
    result = run_program('sh', '-c', 'echo out; echo err >&2')
    assert (result.stdout, result.stderr) == (b'out\n', b'err\n')


def test_arguments_arrive_unchanged():
    arguments = ['', 'two words', 'line\nbreak', '$HOME', '\\', "'\"", 'ä€']
    result = output_of('printf', '<%s>', *arguments)
    assert result == ''.join(f'<{a}>' for a in arguments)


def test_environment_and_directory_are_the_callers(tmp_path):
    environment = dict(os.environ, PITH_TEST='a b=c')
    result = output_of('sh', '-c', 'echo "$PITH_TEST"; pwd; umask', env=environment, cwd=tmp_path)
    mask = os.umask(0o22)
    os.umask(mask)
    assert result == f'a b=c\n{tmp_path}\n{mask:04o}\n'


def test_script_runs_by_its_interpreter(tmp_path):
    path = tmp_path / 'script'
    path.write_text('#!/bin/sh\necho "$0 $1"\n')
    path.chmod(0o755)
    assert output_of(str(path), 'x') == f'{path} x\n'


def test_written_files_stay_in_the_machine(tmp_path):
    result = output_of('sh', '-c', 'echo new >file; cat file; rm -r /usr/share/doc; ls /usr/share',
                       cwd=tmp_path)
    assert result.startswith('new\n') and '\ndoc\n' not in result
    assert os.listdir(tmp_path) == [] and os.path.isdir('/usr/share/doc')


def test_host_files_are_seen_with_their_owners_and_times(tmp_path):
    (tmp_path / 'file').write_text('text')
    os.utime(tmp_path / 'file', (1000000000, 1000000000))
    os.chmod(tmp_path / 'file', 0o640)
    result = output_of('stat', '-c', '%a %u %s %Y', str(tmp_path / 'file'))
    assert result == f'640 {os.getuid()} 4 1000000000\n'


def test_closed_descriptors_stay_closed():
    line = ' '.join(f"'{word}'" for word in command('ls', '/proc/self/fd'))
    result = subprocess.run(['bash', '-c', f'{line} <&-'], stdout=subprocess.PIPE, timeout=150)
    names = result.stdout.split()
    assert b'1' in names and b'2' in names


def test_no_terminal_at_all():
    result = run_program('sh', '-c', 'tty; exec </dev/tty', start_new_session=True)
    assert result.stdout == b'not a tty\n' and result.returncode != 0


def test_poweroff_ends_the_run_with_status_0():
    result = run_program('python3', '-c',
                         'import ctypes; ctypes.CDLL(None).reboot(0x4321fedc)',
                         options=['--user', '0:0'])
    assert result.returncode == 0


def test_uname_says_linux_and_pith():
    assert output_of('uname', '-sr') == 'Linux 6.1.0-pith\n'
    assert output_of('uname', '-n') == os.uname().nodename + '\n'


def test_several_cpus_are_there():
    assert output_of('nproc', options=['--cpus', '4']) == '4\n'


def test_time_limit_is_124():
    result = run_program('sleep', '100', options=['--timeout', '3'])
    assert result.returncode == 124
