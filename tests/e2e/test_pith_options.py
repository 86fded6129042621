"""The command line of `pith`: what it takes, what it refuses, and with which status and sentence."""
import os, shutil, subprocess

import pytest

from pith import PITH, run


@pytest.mark.parametrize('arguments, word', [
    (['run'], 'give a program'),
    (['run', '--cpus', '0', '--', 'true'], '--cpus 0'),
    (['run', '--cpus', 'many', '--', 'true'], '--cpus many'),
    (['run', '--mem', '0', '--', 'true'], '--mem 0'),
    (['run', '--mem', '12Q', '--', 'true'], '--mem 12Q'),
    (['run', '--mem', '-1', '--', 'true'], '--mem -1'),
    (['run', '--timeout', '0', '--', 'true'], '--timeout 0'),
    (['run', '--timeout', 'soon', '--', 'true'], '--timeout soon'),
    (['run', '--env', 'NAME', '--', 'true'], 'NAME=VALUE'),
    (['run', '--user', 'nobody-of-that-name', '--', 'true'], 'UID'),
    (['run', '--user', '1:no-such-group', '--', 'true'], 'UID'),
    (['run', '--accel', 'magic', '--', 'true'], '--accel magic'),
    (['run', '--machine', 'pdp11', '--', 'true'], '--machine pdp11'),
    (['run', '--gdb', '0', '--', 'true'], '--gdb 0'),
    (['run', '--gdb', '70000', '--', 'true'], '--gdb 70000'),
    (['run', '--no-such-option', '--', 'true'], '--no-such-option'),
    (['run', '-x', '--', 'true'], '-x'),
    (['run', '--cpus'], '--cpus'),
    (['run', '--quiet=yes', '--', 'true'], '--quiet'),
    (['run', '--initramfs-file', 'nowhere', '--', 'true'], '--initramfs-file'),
    (['shell', 'ls'], 'pith run -- ls'),
    (['walk'], "'walk'"),
])
def test_what_can_never_be_valid_is_status_2(arguments, word):
    result = run(*arguments)
    sentence = result.stderr.decode()
    assert result.returncode == 2
    assert sentence.startswith('pith: ') and word in sentence and '--help' in sentence
    assert sentence.count('\n') == 1 and result.stdout == b''


@pytest.mark.parametrize('arguments, word', [
    (['run', '--mem', '1M', '--', 'true'], '16M'),
    (['run', '--cpus', '65', '--', 'true'], '64'),
    (['run', '--root', '/nowhere', '--', 'true'], '/nowhere'),
    (['run', '--root', '/etc/passwd', '--', 'true'], 'not a directory'),
    (['run', '--share', '/nowhere:rw', '--', 'true'], '/nowhere'),
    (['run', '--share', '/etc/passwd', '--', 'true'], 'not a directory'),
    (['run', '--hide', '/', '--', 'true'], '--hide /'),
    (['run', '--share', '/etc', '--hide', '/usr/../etc/', '--', 'true'], '/usr/../etc/'),
    (['run', '--initramfs-file', '/nowhere:/x', '--root', 'none', '--', 'true'], '/nowhere'),
])
def test_what_is_not_possible_here_is_status_125(arguments, word):
    result = run(*arguments[:1], '--accel', 'tcg', *arguments[1:])
    assert result.returncode == 125
    assert word in result.stderr.decode() and result.stdout == b''


@pytest.mark.parametrize('arguments', [
    ['run', '--net', '--', 'true'], ['run', '-p', '8080:80', '--', 'true'],
    ['run', '--swap', '1G', '--', 'true'], ['run', '--timeline', 'x.html', '--', 'true'],
])
def test_what_is_not_there_yet_says_so(arguments):
    result = run(*arguments)
    assert result.returncode == 125
    assert 'not available in this version' in result.stderr.decode()


def test_unreadable_root_is_status_125(tmp_path):
    if os.geteuid() == 0:
        pytest.skip('root may read everything')
    tmp_path.chmod(0)
    result = run('run', '--root', str(tmp_path), '--', 'true')
    tmp_path.chmod(0o700)
    assert result.returncode == 125 and str(tmp_path) in result.stderr.decode()


def test_missing_qemu_is_status_125_with_what_to_install():
    result = run('run', '--accel', 'tcg', '--', 'true', env={'PATH': '/nowhere'})
    assert result.returncode == 125 and b'apt install qemu-system-x86' in result.stderr


def test_pith_qemu_that_is_no_program_is_status_125():
    result = run('run', '--', 'true', env=dict(os.environ, PITH_QEMU='/etc/passwd'))
    assert result.returncode == 125 and b'PITH_QEMU' in result.stderr


def installed_copy(tmp_path):
    """A copy of the command with its guest programs and kernel, to break."""
    build = os.path.dirname(PITH)
    shutil.copy(PITH, tmp_path)
    shutil.copytree(os.path.join(build, 'guest'), tmp_path / 'guest')
    shutil.copy(os.path.join(build, 'pith.elf'), tmp_path)
    return [str(tmp_path / 'pith'), 'run', '--accel', 'tcg', '--root', 'none', '--', '/init']


@pytest.mark.parametrize('damage, word', [
    (lambda path: path.unlink(), 'No such file'),
    (lambda path: path.write_bytes(b''), 'not an x86-64 ELF image'),
    (lambda path: path.write_bytes(b'#!/bin/sh\n' * 100), 'not an x86-64 ELF image'),
    (lambda path: path.write_bytes(path.read_bytes()[:8192]), 'cut short'),
    (lambda path: (path.unlink(), path.mkdir()), 'pith.elf'),
])
def test_missing_or_broken_kernel_is_status_125(tmp_path, damage, word):
    command = installed_copy(tmp_path)
    damage(tmp_path / 'pith.elf')
    result = subprocess.run(command, capture_output=True, timeout=60)
    assert result.returncode == 125 and word in result.stderr.decode()


def test_missing_init_is_status_125(tmp_path):
    command = installed_copy(tmp_path)
    (tmp_path / 'guest' / 'init').unlink()
    result = subprocess.run(command, capture_output=True, timeout=60)
    assert result.returncode == 125 and b'guest/init' in result.stderr


@pytest.mark.parametrize('arguments', [['--help'], ['-h'], ['run', '--help'], ['help']])
def test_help_names_every_option(arguments):
    result = run(*arguments)
    assert result.returncode == 0 and result.stderr == b''
    for option in ('cpus', 'mem', 'timeout', 'env', 'cwd', 'user', 'root', 'share', 'hide', 'keep',
                   'diff', 'swap', 'timeline', 'net', 'publish', 'accel', 'machine', 'cpu', 'append',
                   'qemu-arg', 'dry-run', 'quiet', 'deterministic', 'boot-time', 'missing', 'debug',
                   'gdb'):
        assert f'--{option}' in result.stdout.decode()


def test_version_is_printed():
    result = run('--version')
    assert result.returncode == 0 and result.stdout.startswith(b'pith ')


def dry_run(*arguments):
    result = run('run', '--accel', 'tcg', '--dry-run', *arguments, '--', 'true')
    assert result.returncode == 0 and result.stderr == b''
    return result.stdout.decode()


def test_dry_run_prints_one_line_and_starts_nothing():
    line = dry_run('--qemu-arg', '-no-such-argument')
    assert line.count('\n') == 1 and line.rstrip().endswith('-no-such-argument')


@pytest.mark.parametrize('arguments, words', [
    ([], ['-machine microvm', '-smp 1 ', '-accel tcg', 'size=1073741824b']),
    (['--machine', 'q35'], ['-machine q35', 'vhost-user-fs-pci', 'virtio-serial-pci']),
    (['-c', '4'], ['-smp 4 ']),
    (['--cpus=64'], ['-smp 64 ']),
    (['-m', '64'], ['size=67108864b']),
    (['--mem', '32M'], ['size=33554432b']),
    (['--mem', '2g'], ['size=2147483648b']),
    (['--mem', '65536K'], ['size=67108864b']),
    (['--cpu', 'qemu64'], ['-cpu qemu64']),
    (['--append', 'nosmap nosmep'], ['nosmap nosmep']),
    (['--append', 'one', '--append', 'two'], ['one two']),
    (['--gdb', '1234'], ['-gdb tcp:127.0.0.1:1234', '-S']),
    (['--debug'], ['log=debugcon']),
    (['--qemu-arg', '-d', '--qemu-arg', 'int'], ['-d int']),
])
def test_option_reaches_qemu(arguments, words):
    line = dry_run(*arguments)
    for word in words:
        assert word in line


def test_no_file_server_without_root():
    assert 'vhost-user-fs' not in dry_run('--root', 'none')


def test_options_end_at_the_program():
    line = run('run', '--accel', 'tcg', '--dry-run', 'ls', '--no-such-option')
    assert line.returncode == 0


def test_panic_at_boot_is_status_255_with_names_of_functions():
    result = run('run', '-q', '--accel', 'tcg', '--root', 'none', '--append', 'panic=assert', '--',
                 '/init')
    assert result.returncode == 255
    assert b'panic: ' in result.stderr and b'panic_assert+0x' in result.stderr


@pytest.mark.parametrize('words, expected', [
    (['pith', 'sh'], 'shell'), (['pith', 'run', '--mach'], '--machine'),
    (['pith', 'run', '--machine', 'q'], 'q35'), (['pith', 'run', '--accel', 'tcg', '--cp'], '--cpus'),
])
def test_bash_completes_words(words, expected):
    tree = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    script = f'''PATH={os.path.dirname(PITH)}:$PATH; source {tree}/host/completion/pith
COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _pith; echo "${{COMPREPLY[@]}}"'''
    result = subprocess.run(['bash', '-c', script], capture_output=True, text=True, timeout=60)
    assert expected in result.stdout.split()
