"""Programs in a machine of their own. PITH_RUN_FLAGS adds options to each `pith run` (--cpus 4).

With PITH_REFEREE=linux61 the machine is Debian's Linux 6.1 in the same QEMU (tools/linux-run): what
a test asks of Pith must hold there too.
"""
import os
import shlex

from pith import PITH, TREE, run

LINUX_RUN = os.path.join(TREE, 'tools', 'linux-run')
COMMAND = LINUX_RUN if os.environ.get('PITH_REFEREE') == 'linux61' else PITH
FLAGS = shlex.split(os.environ.get('PITH_RUN_FLAGS', ''))


def command(*program, options=()):
    return [COMMAND, 'run', '-q', '--timeout', '120', *FLAGS, *options, '--', *program]


def run_program(*program, options=(), **more):
    """Runs a program in Pith; returncode, stdout and stderr (bytes)."""
    more.setdefault('timeout', 150)
    return run(*command(*program, options=options)[1:], command=COMMAND, **more)


def output_of(*program, **more):
    """The standard output of a program that must succeed and say nothing else."""
    result = run_program(*program, **more)
    assert result.stderr.decode(errors='replace') == ''
    assert result.returncode == 0
    return result.stdout.decode(errors='replace')


def script(text, **more):
    """What a bash script prints."""
    return output_of('bash', '-c', text, **more)
