"""Standard streams of a machine: binary-clean, at any length, left alone when nobody reads."""
import hashlib
import os
import shlex
import subprocess

from machine import command, run_program



def shell(text, *options, **more):
    """Runs a line of the host's shell, in which RUN is `pith run OPTIONS --`."""
    run = ' '.join(shlex.quote(word) for word in command(options=options))
    return subprocess.run(['bash', '-c', text.replace('RUN', run)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=200, **more)


def test_100_megabytes_pass_through_cat_unchanged():
    data = os.urandom(100 << 20)
    result = run_program('cat', input=data)
    assert result.returncode == 0
    assert len(result.stdout) == len(data)
    assert hashlib.sha256(result.stdout).digest() == hashlib.sha256(data).digest()


def test_endless_input_ends_with_the_program():
    result = shell('yes | RUN head -1')
    assert result.stdout == b'y\n' and result.returncode == 0


def test_endless_output_ends_with_its_reader():
    result = shell('RUN yes | head -1')
    assert result.stdout == b'y\n'


def test_unread_input_is_left_for_the_next_program(tmp_path):
    (tmp_path / 'file').write_bytes(b'all of it\n' * 1000)
    result = shell('(RUN true; cat) <file', cwd=tmp_path)
    assert result.stdout == b'all of it\n' * 1000
    result = shell('(RUN true; cat) < <(cat file)', cwd=tmp_path)
    assert result.stdout == b'all of it\n' * 1000


def test_input_from_dev_null_is_empty():
    assert shell('RUN cat </dev/null').stdout == b''


def test_output_to_dev_full_is_an_error_for_the_program():
    result = shell('RUN sh -c "echo x" >/dev/full')
    assert result.returncode != 0


def test_standard_error_is_binary_clean_too():
    data = bytes(range(256)) * 100
    result = run_program('sh', '-c', 'cat >&2', input=data)
    assert result.stderr == data and result.stdout == b''


def test_output_to_a_file_and_to_a_pipe_are_the_same(tmp_path):
    shell('RUN seq 100000 >file', cwd=tmp_path)
    expected = ''.join(f'{i}\n' for i in range(1, 100001))
    assert (tmp_path / 'file').read_text() == expected
    assert shell('RUN seq 100000 | cat').stdout.decode() == expected


def test_lines_typed_late_are_read_as_they_come():
    result = shell('(echo one; sleep 1; echo two) | RUN sh -c "read a; read b; echo $b $a"')
    assert result.returncode == 0


def test_root_cannot_break_the_run_by_the_streams_devices():
    result = shell("""RUN sh -c '
for name in host/stdin host/stdout host/stderr host/control host/report console; do
    head -c0 /dev/$name
    echo x >/dev/$name
    stty -F /dev/$name raw
done
head -c1 /dev/host/stdin; head -c1 /dev/host/stdout
exit 3' 0</dev/null 1>/dev/null 2>&-""", '--user', '0:0')
    assert result.returncode == 3
