"""What the tests of the `pith` command share: the command, and a guest that a test plays itself."""
import os, subprocess

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get('PITH_BUILD', os.path.join(TREE, 'build'))
PITH = os.path.join(BUILD, 'pith')
FAKE_QEMU = os.path.join(TREE, 'tests', 'e2e', 'fake_qemu')
DEADLINE = 60


def run(*arguments, command=PITH, **options):
    """Runs pith (or what takes its place); the result has returncode, stdout and stderr (bytes)."""
    options.setdefault('timeout', DEADLINE)
    if 'stdin' not in options and 'input' not in options:
        options['stdin'] = subprocess.DEVNULL
    options.setdefault('stdout', subprocess.PIPE)
    options.setdefault('stderr', subprocess.PIPE)
    return subprocess.run([command, *arguments], **options)


def fake_environment(tmp_path, script):
    """The environment in which pith runs `script` as its guest (see fake_qemu)."""
    path = tmp_path / 'guest.py'
    path.write_text(script)
    return dict(os.environ, PITH_QEMU=FAKE_QEMU, FAKE_GUEST=str(path))


def run_fake(tmp_path, script, *arguments, **options):
    options.setdefault('env', fake_environment(tmp_path, script))
    arguments = arguments or ('--root', 'none', '--', 'program')
    return run('run', '-q', '--accel', 'tcg', *arguments, **options)
