"""/proc's files have Linux's names, modes and formats, and the tools that read them print what they
print on Linux, but for the values.

proc_shapes.json has what Debian's Linux 6.1 shows in the same QEMU, with the values taken out;
`make record-proc` makes it anew. What Linux has and Pith has not stands in docs/procfs.md.
"""
import fnmatch
import json
import os
import re

import pytest

from machine import run_program
from pith import TREE

HERE = os.path.dirname(os.path.abspath(__file__))
RECORD = os.path.join(HERE, 'proc_shapes.json')
ABSENT = os.path.join(TREE, 'docs', 'procfs.md')
IS_LINUX = os.environ.get('PITH_REFEREE') == 'linux61'
PS_AT_ONCE = 12

# Files whose lines are Linux's, in its order, all of them.
SAME_LINES = ['status', 'stat', 'statm', 'io', 'limits', 'smaps_rollup', 'syscall', 'timers', 'comm',
              'uid_map', 'gid_map', 'setgroups', 'timens_offsets', 'timerslack_ns', 'personality',
              'oom_score', 'oom_adj', 'oom_score_adj', 'loginuid', 'sessionid', 'cpuset', 'cmdline']
SAME_LINES = ([f'/proc/PID/{name}' for name in SAME_LINES] +
              [f'/proc/PID/task/PID/{name}' for name in ('status', 'stat', 'comm', 'io', 'children')] +
              ['/proc/uptime', '/proc/loadavg', '/proc/swaps', '/proc/softirqs', '/proc/partitions',
               '/proc/diskstats', '/proc/execdomains'])
# Files that are lists of names with values: what Pith has of them is in Linux's order.
SAME_NAMES = ['/proc/meminfo', '/proc/vmstat', '/proc/cpuinfo', '/proc/stat']
# Lines of whatever number: how each looks. True of Linux, too: PITH_REFEREE=linux61.
ADDRESSES = r'[0-9a-f]{8,16}-[0-9a-f]{8,16}'
REGION = ADDRESSES + r' [r-][w-][x-][ps] [0-9a-f]{8} [0-9a-f]{2}:[0-9a-f]{2} \d+ +(/.*|\[\w+\]|)'
COUNTS = r'( +\d+)+ '
ROWS = {
    '/proc/PID/maps': REGION,
    '/proc/PID/smaps': REGION + r'|[A-Z]\w+: +\d+ kB|THPeligible: +[01]|VmFlags:( [a-z]{2})+ ',
    '/proc/PID/numa_maps': r'[0-9a-f]{8,} default( (file=\S+|heap|stack|\w+=\d+))*',
    '/proc/PID/mounts': r'\S+ /\S* \w+ r[wo](,\S+)? 0 0',
    '/proc/PID/mountinfo': r'\d+ \d+ \d+:\d+ /\S* /\S* r[wo](,\S+)? (\w+:\d+ )*- \w+ \S+ r[wo](,\S+)?',
    '/proc/PID/mountstats': r'device \S+ mounted on /\S* with fstype \w+',
    '/proc/filesystems': r'(nodev)?\t\w+',
    '/proc/devices': r'(Character|Block) devices:|| *\d+ \S+',
    '/proc/slabinfo': r'slabinfo - version: 2.1|# name .*<sharedavail>|\S+( +\d+){5} : tunables( +\d+){3}'
                      r' : slabdata( +\d+){3}',
    '/proc/buddyinfo': r'Node 0, zone +\w+' + COUNTS,
    '/proc/interrupts': r' +(CPU\d +)+| *\w+:( +\d+)+(  .+)?',
    '/proc/tty/drivers': r'\S+ +/dev/\S+ +\d+ +\d+(-\d+)? \S+',
    '/proc/locks': r'\d+: (FLOCK |POSIX |OFDLCK|LEASE ) (ADVISORY |ACTIVE   ) (READ |WRITE) -?\d+'
                   r' [0-9a-f]{2}:[0-9a-f]{2}:\d+ \d+ (EOF|\d+)',
}

PS_FIELDS = """args blocked bsdstart bsdtime c caught cgroup cgroupns class cls cmd comm command cp
cpuid cputime cputimes cuc cuu drs dsiz egid egroup eip esp etime etimes euid euser exe f fgid fgroup
flag flags fname fsgid fsgroup fsuid fsuser fuid fuser gid group ignored intpri ipcns lastcpu longtname
lsession lstart luid lwp lxc machine maj_flt majflt min_flt minflt mntns netns ni nice nlwp numa oom
oomadj opri ouid pagein pcpu pending pgid pgrp pid pidns pmem policy ppid pri pri_api pri_bar pri_baz
pri_foo priority psr pss rbytes rchars rgid rgroup rops rss rssize rsz rtprio ruid ruser s sched seat sess
session sgi_p sgi_rss sgid sgroup sid sig sig_block sig_catch sig_ignore sig_pend sigcatch sigignore sigmask
size slice spid stackp start start_stack start_time stat state stime suid supgid supgrp suser svgid svgroup
svuid svuser sz tgid thcount tid time timens times tname tpgid trs trss tsig tsiz tt tty tty4 tty8 ucmd
ucomm uid uid_hack uname unit user userns uss util utsns uunit vsize vsz wbytes wcbytes wchars wops""".split()
# A tool's command, and which of its lines count: all, or the first so many.
ALL = None
TOOLS = {
    'ps -p PID': ALL, 'ps u PID': ALL, 'ps -fp PID': ALL, 'ps -Lfp PID': ALL, 'ps j PID': ALL,
    'ps s PID': ALL, 'ps v PID': ALL, 'ps X PID': 1, 'ps l PID': 1,
    'top -b -n 1 -p PID': 7, 'top -b -n 1 -H -p PID': 7,
    'pgrep -P 1 -c . >/dev/null; echo $?': ALL, 'pkill -0 -f no_such_program; echo $?': ALL,
    'free': ALL, 'free -hwlt': ALL, 'vmstat': ALL, 'vmstat -s': ALL, 'vmstat -m': 1, 'vmstat -d': ALL,
    'vmstat -a': ALL, 'pmap PID': 1, 'pmap -x PID': 2, 'pmap -X PID': 2, 'pmap -XX PID': 2,
    'pmap -d PID': 2, 'slabtop -o': 7, 'uptime -s': ALL, 'w': 2, 'pwdx PID': ALL,
    'prtstat PID': ALL, 'pstree -p PID': ALL, 'pstree -S PID': ALL, 'fuser /tmp/subject-PID': ALL,
    'killall -l': ALL, 'lsof -p PID': 3, 'lsof -i; echo $?': ALL,
    'lscpu -p=CPU,CORE,SOCKET,NODE': ALL, 'lsmem -b -o RANGE,SIZE,STATE': 2, 'lsns -p PID': ALL,
    'lslocks -p PID -o COMMAND,PID,TYPE,MODE,M,START,END': ALL, 'prlimit -p PID': ALL,
    'ionice -p PID': ALL, 'choom -p PID': ALL, 'taskset -p PID': ALL, 'chrt -p PID': ALL,
    'findmnt -o TARGET,FSTYPE /proc': ALL, 'mountpoint /proc': ALL, 'nproc': ALL, 'lsblk': ALL,
    'getconf -a | grep -E "PAGESIZE|NPROC|CLK_TCK"': ALL,
    'htop --version': 1,
    # Without their first lines, which name the machine.
    'mpstat | tail -n +3': ALL, 'mpstat -P ALL | tail -n +3': ALL,
    'mpstat -I SUM | tail -n +3': ALL, 'pidstat -p PID | tail -n +3': ALL,
    'pidstat -rlwdu -p PID | tail -n +3': ALL, 'pidstat -t -p PID | tail -n +3': ALL,
    'pidstat -sRv -p PID | tail -n +3': ALL, 'iostat | tail -n +3': ALL,
    'iostat -x | tail -n +3': ALL, 'sar 1 1 | tail -n +3': ALL, 'sar -P ALL 1 1 | tail -n +3': ALL,
    'sar -wqr 1 1 | tail -n +3': ALL,
    'python3 -c "import psutil as p; print(sorted(p.Process(PID).as_dict().items())); print(p.cpu_times(),'
    ' p.cpu_stats(), p.virtual_memory(), p.swap_memory(), p.disk_io_counters(), p.users(),'
    ' p.net_connections(), p.cpu_count(False))"': ALL,
}
TOOLS.update({f'ps ww -o {"=,".join(PS_FIELDS[at:at + PS_AT_ONCE])}= -p PID': ALL
              for at in range(0, len(PS_FIELDS), PS_AT_ONCE)})

# What is a word on one machine and another on the other, though it is a value.
VALUES = [
    (r',(?=100\.0 )', ', '),  # a column that is full
    (r'(Speculation\w+:\t).*', r'\1V'), (r'\b(enabled|disabled|vulnerable)\b', 'V'),
    (r'\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b', 'DATE'),
    (r'0x[0-9a-f]+|\b[0-9a-f]{8,}\b', 'N'),
    (r'-?\b\d+(\.\d+)?(e[+-]\d+)?([KMGT]i?B?|B)?\b', 'N'),
    (r'(N:)+N', 'N'), (r'(N,)+N', 'N'), (r'\b(N-)+N\b', 'N'), (r'[ \t]+', ' '),
    (r'Cannot open a network socket\.\n', ''),
]


def shape(text):
    """The lines of a text without their values."""
    for pattern, value in VALUES:
        text = re.sub(pattern, value, text)
    return [line.strip() for line in text.splitlines()]


def name_of(line):
    return re.split(r'[\s:]', line, maxsplit=1)[0] if '\t:' not in line else line.split('\t')[0]


def tool_shape(result, count):
    lines = shape(result['text'])[:count]
    return [f'status {result["status"]}', *lines]


@pytest.fixture(scope='module')
def seen():
    with open(os.path.join(HERE, 'proc_subject.py')) as file:
        program = f'COMMANDS = {list(TOOLS)!r}\n' + file.read()
    result = run_program('/usr/bin/python3', '-', input=program.encode(),
                         options=['--cpus', '2', '--user', '0:0', '--cwd', '/'])
    assert result.returncode == 0, result.stderr.decode()[-2000:]
    return json.loads(result.stdout)


@pytest.fixture(scope='module')
def linux(seen):
    if os.environ.get('PITH_RECORD'):
        record(seen)
    with open(RECORD) as file:
        return json.load(file)


def record(seen):
    files = seen['files']
    text = {path: files[path].get('text', '') for path in files}
    shapes = {
        'modes': {path: files[path]['mode'] for path in files if '/fdinfo/' not in path},
        'lines': {path: shape(text[path]) for path in SAME_LINES},
        'names': {path: [name_of(line) for line in text[path].splitlines()] for path in SAME_NAMES},
        'tools': {command: tool_shape(seen['tools'][command], TOOLS[command]) for command in TOOLS},
    }
    with open(RECORD, 'w') as file:
        json.dump(shapes, file, indent=1, sort_keys=True)
        file.write('\n')


def absent_patterns():
    """The first column of the table in docs/procfs.md."""
    with open(ABSENT) as file:
        rows = [line.split('|')[1] for line in file if line.startswith('| `')]
    return [name for row in rows for name in re.findall('`([^`]*)`', row)]


@pytest.mark.parametrize('path', SAME_LINES)
def test_file_has_linuxs_lines(seen, linux, path):
    assert shape(seen['files'][path]['text']) == linux['lines'][path]


@pytest.mark.parametrize('path', SAME_NAMES)
def test_list_has_linuxs_names_in_its_order(seen, linux, path):
    left = iter(linux['names'][path])
    for line in seen['files'][path]['text'].splitlines():
        name = name_of(line)
        assert any(name == other for other in left), f'{name} is not Linux\'s, or out of order'


@pytest.mark.parametrize('path', ROWS)
def test_every_row_looks_as_on_linux(seen, path):
    text = seen['files'][path]['text']
    for line in text.splitlines():
        assert re.fullmatch(ROWS[path], line), line
    assert text


def test_files_have_linuxs_modes(seen, linux):
    """What may be written on Linux and is a constant in Pith may only be read."""
    for path, entry in seen['files'].items():
        if path not in linux['modes'] or path == '/proc/net':  # a link to self/net there
            continue
        expected = {linux['modes'][path]}
        if path.startswith('/proc/sys/'):
            expected.add(linux['modes'][path].replace('w', '-'))
        assert entry['mode'] in expected, path


def test_what_is_absent_is_in_the_documents(seen, linux):
    patterns = absent_patterns()
    absent = [path for path in linux['modes'] if path not in seen['files']]
    assert [path for path in absent
            if not any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)] == []


def test_fdinfo_begins_with_linuxs_lines(seen):
    texts = [entry['text'] for path, entry in seen['files'].items() if '/fdinfo/' in path]
    assert len(texts) > 5
    for text in texts:
        assert re.match(r'pos:\t\d+\nflags:\t0\d+\nmnt_id:\t\d+\nino:\t\d+\n', text), text


@pytest.mark.parametrize('command', TOOLS)
def test_tool_prints_what_it_prints_on_linux(seen, linux, command):
    assert tool_shape(seen['tools'][command], TOOLS[command]) == linux['tools'][command]
