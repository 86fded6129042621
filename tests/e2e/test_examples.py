"""The programs under examples/: each runs in Pith and shows what its comment says is to be seen."""
import os

from pith import BUILD, run


def example(name, *arguments, memory='512M'):
    program = os.path.join(BUILD, 'examples', name)
    result = run('run', '-q', '-m', memory, '--', program, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout.decode()


def test_fork_charges_shows_what_fork_copies_and_spawn_does_not():
    assert example('fork_charges') == """\
threads         fork: the lock of another thread is held for ever
threads         spawn: no memory, so no lock
buffered output fork: a line that was printed once is in the file 2 times
buffered output spawn: no memory, so no buffer
security        fork: the secret in memory is the child's, too
security        fork: 1 descriptors leaked into the program
security        spawn: 0 descriptors, and no secret
overcommit      fork: two thirds of memory were copied as a promise
overcommit      spawn: nothing was promised
"""


def test_spawn_costs_starts_a_program_in_four_ways_from_a_large_parent():
    lines = example('spawn_costs', '2', memory='2G').splitlines()[2:]
    ways = [(line.split()[0], line.split()[2]) for line in lines]
    assert ways == [(size, way) for size in ('1', '256', '1024')
                    for way in ('fork+exec', 'vfork+exec', 'posix_spawn', 'spawn')]
    assert all(line.split()[3].isdigit() for line in lines)
