"""The programs under examples/: each command of its README's table shows on Linux, and then in Pith,
what is to be seen.

All commands run in one machine, each in a directory of its own. What is the machine's own (process
numbers, addresses) is replaced by its form before the comparison; where the order of lines is open,
both outputs must be allowed by the program's process graph.
"""
import glob
import os
import re
import subprocess

import pytest

from pith import BUILD, TREE, run
from process_graph import WAIT, allows, fork

README = os.path.join(TREE, 'examples', 'README.md')
PROGRAMS = os.path.join(BUILD, 'examples')
LIMIT_SECONDS = 150  # of all commands


def read_table():
    """{name: command}; the second command of an example is called NAME-2."""
    commands, example = {}, None
    for line in open(README):
        row = re.fullmatch(r'\| (?:\[(\w+)\]\(\w+\.c\) )?\| .* \| `(.*)` \|\n', line)
        if row:
            example = row.group(1) or example
            count = sum(name.split('-')[0] == example for name in commands)
            commands[f'{example}-{count + 1}' if count else example] = row.group(2)
    return commands


# For a person there is `sleep`; a test waits for the event.
COMMANDS = read_table()
PS = 'ps -o stat=,comm= --ppid'
COMMANDS['fork7'] = f'''
    fork7 > out & parent=$!
    until {PS} $parent | grep -q Z; do :; done
    sort out; {PS} $parent; kill $parent; wait; {PS} $parent; echo and no child is left'''
COMMANDS['fork8'] = '''
    fork8 > out
    until grep -q Child out; do :; done
    child=$(sed -n 's/Running Child, PID = //p' out)
    sort out; ps -o stat=,comm= $child; kill $child
    while ps $child > /dev/null; do :; done; echo it is gone'''
del COMMANDS['spawn_costs'], COMMANDS['fork_charges']  # have tests of their own, below

NUMBERS = [(r'\b(PID =|process|Child|child is|is) \d+', r'\1 N')]
RULES = {
    'fork1': NUMBERS, 'fork7': NUMBERS + [(r' +', ' ')], 'fork8': NUMBERS + [(r'R[+sl]*', 'R')],
    'fork10': NUMBERS, 'fork11': NUMBERS, 'fork': NUMBERS,
    'prog': [(r'= \d+', '= N')],
    'address_space': [('^[0-9a-f]+', 'N')],
    'myval-2': [('0x[0-9a-f]+', 'N')],
    'process_control_block': [(r'^(.{22}  \S+) +.*[^?\n].*$', r'\1 some')],
    'procstat': [(r'^ *(self|PID) +\S+ +\S+', r'\1'), (r' +\d+ (?=[-CD])', ' '), (r'^.*\[v.*\n', '')],
    'procstat-3': [('0x.*', 'N')],
    'loading': [('(after one access +)(a part|all)', r'\1some')],
}



def in_both(*steps):
    """What both processes do after a fork."""
    return (fork(steps), *steps)


GRAPHS = {
    'fork': (fork(('Child of fork is N',)), 'My child is N'),
    'fork1': (fork(('Child has x = 2', 'Bye from process N with x = 2')),
              'Parent has x = 0', 'Bye from process N with x = 0'),
    'fork2': ('L0', *in_both('L1', *in_both('Bye'))),
    'fork3': ('L0', *in_both('L1', *in_both('L2', *in_both('Bye')))),
    'fork4': ('L0', fork(['Bye']), 'L1', fork(['Bye']), 'L2', *in_both('Bye')),
    'fork5': ('L0', fork(('L1', fork(('L2', *in_both('Bye'))), 'Bye')), 'Bye'),
    'fork6': in_both('cleaning up'),
    'fork9': (fork(('HC: hello from child', 'Bye')), 'HP: hello from parent', WAIT,
              'CT: child has terminated', 'Bye'),
    'fork10': [fork([f'Child N terminated with exit status {100 + i}']) for i in range(5)],
    'fork_server': [fork([f'client {i}, I am a process for you alone']) for i in range(3)],
}


def script():
    """A shell script that runs all commands; before each output stands a line `== NAME`. It starts
    as few programs of its own as it can."""
    lines = [f'PATH={PROGRAMS}:$PATH', 'LC_ALL=C.UTF-8', 'export PATH LC_ALL',
             'mkdir ' + ' '.join(COMMANDS)]
    for name, command in COMMANDS.items():
        # The output is whole when its last writer has ended, which need not be the first process.
        lines += [f'output=$(exec 2>&1; cd {name}', f'{command})', f'echo "== {name}"; echo "$output"']
    return '\n'.join([*lines, 'echo "== end"']) + '\n'


def sections(text):
    parts = re.split(r'^== (.*)\n', text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


@pytest.fixture(scope='session')
def on_linux(tmp_path_factory):
    result = subprocess.run(['bash', '-c', script()], cwd=tmp_path_factory.mktemp('linux'),
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    return sections(result.stdout)


@pytest.fixture(scope='session', params=['1', '2'])
def in_pith(request, tmp_path_factory):
    result = run('run', '-q', '-m', '512M', '--cpus', request.param, '--', 'bash', '-c', script(),
                 cwd=tmp_path_factory.mktemp('pith'), timeout=LIMIT_SECONDS)
    return sections(result.stdout.decode())


def form(name, output):
    for pattern, replacement in RULES.get(name, []):
        output = re.sub(pattern, replacement, output, flags=re.M)
    return output


@pytest.mark.parametrize('name', COMMANDS)
def test_example_shows_in_pith_what_it_shows_on_linux(name, on_linux, in_pith):
    linux, pith = (form(name, outputs.get(name, 'nothing ran\n')) for outputs in (on_linux, in_pith))
    if name in GRAPHS:
        assert allows(GRAPHS[name], linux.splitlines()), f'on Linux:\n{linux}'
        assert allows(GRAPHS[name], pith.splitlines()), pith
    else:
        assert pith == linux
    assert pith


def addresses(output):
    return re.findall('loc (0x[0-9a-f]+)', output)


def test_two_instances_have_one_address_or_two_as_the_layout_is_random(on_linux, in_pith):
    for outputs in on_linux, in_pith:
        assert len(set(addresses(outputs['myval']))) == 1
        assert len(set(addresses(outputs['myval-2']))) == 2


@pytest.mark.skipif('san' in os.path.basename(BUILD),
                    reason='the build with SAN=1 switches where nobody asked')
def test_both_orders_of_parent_and_child_happen_at_will(tmp_path):
    setting = '/proc/sys/kernel/sched_child_runs_first'
    command = f'for first in 0 1 0 1; do echo $first > {setting}; {PROGRAMS}/fork; done'
    result = run('run', '-q', '--deterministic', '--user', '0:0', '--', 'sh', '-c', command)
    lines = result.stdout.decode().splitlines()
    assert [line.split()[0] for line in lines] == ['My', 'Child', 'Child', 'My'] * 2


def test_every_example_has_a_row_and_says_where_it_comes_from():
    names = {os.path.basename(path)[:-2] for path in glob.glob(os.path.join(TREE, 'examples', '*.c'))}
    assert names == {name.split('-')[0] for name in [*COMMANDS, 'spawn_costs', 'fork_charges']}
    for name in names:
        head = open(os.path.join(TREE, 'examples', name + '.c')).read().split('*/')[0]
        assert re.search(r'\bFrom \S', head) and re.search(r'[Tt]o(\s+\*)?\s+see|to be seen', head), name


def test_a_process_graph_allows_what_it_orders_and_no_more():
    assert allows(GRAPHS['fork2'], ['L0', 'L1', 'Bye', 'Bye', 'L1', 'Bye', 'Bye'])
    assert not allows(GRAPHS['fork2'], ['L0', 'Bye', 'L1', 'Bye', 'L1', 'Bye', 'Bye'])
    assert not allows(GRAPHS['fork2'], ['L0', 'L1', 'Bye', 'Bye', 'L1', 'Bye'])
    assert not allows(GRAPHS['fork9'], ['HP: hello from parent', 'CT: child has terminated',
                                        'HC: hello from child', 'Bye', 'Bye'])


def example(name, *arguments, memory='512M'):
    program = os.path.join(PROGRAMS, name)
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
