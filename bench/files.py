"""The user's own files, as programs meet them: git, find and a large Python program, in Pith and in
Linux on the same host's files, by virtio-fs (Pith's server, without an overlay) and by 9p."""
import os
import re
import subprocess

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SYSTEMS = ['Pith', 'virtiofs', '9p']
LIMITS = {
    ('git status, 10,000 files', 'first'): {'virtiofs': 0.5},
    ('git status, 10,000 files', 'again'): {'virtiofs': 0.6},
    ('python3, 213 modules', 'first'): {'virtiofs': 0.7},
    ('python3, 213 modules', 'again'): {'virtiofs': 0.8},
    ('find /usr', 'first'): {'9p': 0.25},
    ('find /usr', 'again'): {'9p': 0.13},
}
LONG = ('find /usr',) # and all by 9p
RUN_SECONDS = '600'
FILES, FILES_A_DIRECTORY = 10000, 100


def repository(build):
    """A work tree of 10,000 committed files; made the first time."""
    path = os.path.join(build, 'bench', 'tree')
    if os.path.exists(os.path.join(path, '.git', 'index')):
        return path
    for i in range(FILES):
        directory = os.path.join(path, f'd{i // FILES_A_DIRECTORY:03}')
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, f'file{i:05}.c'), 'w') as file:
            file.write(f'int variable_{i} = {i};\n' * 20)
    git = ['git', '-C', path, '-c', 'user.name=bench', '-c', 'user.email=bench@localhost',
           '-c', 'safe.directory=*']
    for words in (['init', '-q'], ['add', '.'], ['commit', '-q', '-m', 'files'], ['status']):
        subprocess.run([*git, *words], check=True, stdout=subprocess.DEVNULL)
    return path


def commands(build):
    modules = os.path.join(TREE, 'bench', 'many_modules.py')
    return {
        'git status, 10,000 files':
            f'GIT_OPTIONAL_LOCKS=0 git -c safe.directory=* -C {repository(build)} status',
        'python3, 213 modules': f'/usr/bin/python3 -B {modules}',
        'find /usr': 'find /usr',
    }


def run(system, build, command):
    """(ms the first time, ms again) of a shell command in a new machine."""
    script = ('for i in 1 2; do began=$EPOCHREALTIME; %s >/dev/null || echo failed; '
              'ended=$EPOCHREALTIME; echo "took $(((${ended/./} - ${began/./}) / 1000))"; done'
              % command)
    if system == 'Pith':
        words = [os.path.join(build, 'pith'), 'run', '-q', '--accel', 'tcg',
                 '--cpu', 'max,-erms,-fsrm,-pku']
    else:
        words = [os.path.join(TREE, 'tools', 'linux-run'), '--fs', system, '--plain']
    words += ['--mem', '2G', '--timeout', RUN_SECONDS, '--', 'bash', '-c', script]
    result = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                            env=dict(os.environ, PITH_BUILD=build))
    took = [int(ms) for ms in re.findall(r'took (\d+)', result.stdout)]
    return took if len(took) == 2 and 'failed' not in result.stdout else [None, None]


def measure(build, runs):
    """{program: {system: [(first, again) for each run]}}, the systems in turn; what takes a minute
    or more once. The host runs the program first, so that the first system to be measured finds the
    host's caches as those behind it do."""
    results = {}
    for name, command in commands(build).items():
        subprocess.run(['bash', '-c', command], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, check=False)
        results[name] = {system: [] for system in SYSTEMS}
        for i in range(runs):
            for system in SYSTEMS:
                if i == 0 or not (system == '9p' or name in LONG):
                    results[name][system].append(run(system, build, command))
    return results
