"""The machines that bench/compare times: Pith and Linux, on the same QEMU, CPU model and memory.

A run gives the lines that the program printed, and with the instruction clock the counts that the
plugin (bench/instructions.c) took at each moment that the program marked.
"""
import functools
import os
import re
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                'tools'))
import linux_machine

ICOUNT = ['-icount', 'shift=0,sleep=off', '-rtc', 'clock=vm', '-seed', '1']
SHIPPED_WORDS = ''
# The kernel's tests of its own ciphers take a second and are no part of a boot.
BEST_WORDS = linux_machine.BEST_WORDS + ' cryptomgr.notests'
SYSTEMS = ['Pith', 'Linux', 'Linux as shipped']
MARKS_MAX = 4096
RUN_SECONDS = 900
ICOUNT_KHZ = 1000000


class Result:
    """What a run printed and how long it took; by the plugin, the marks and totals."""

    def __init__(self, lines, arrived, ended, counts):
        self.lines, self.arrived, self.ended = lines, arrived, ended
        self.total, self.kernel, self.marks = counts
        self.counts = None

    def times(self):
        """{operation: how often it was done}"""
        found = (re.match(r'(.+): (\d+) (\d+) (\d+)\s*$', line) for line in self.lines)
        return {row[1].strip(): int(row[3]) for row in found if row}

    def lock_waits(self):
        """{operation: {lock class: (waits, ns)}} of what bench/scaling.c printed: sums since the
        boot after each operation, so the operation's own are their difference."""
        waits, before, operation = {}, {}, None
        for line in self.lines:
            found = re.match(r'lock (\w+) (\d+) (\d+)', line)
            if found and operation:
                now = int(found[2]), int(found[3])
                own = tuple(a - b for a, b in zip(now, before.get(found[1], (0, 0))))
                before[found[1]] = now
                waits[operation][found[1]] = own
            elif re.match(r'.+: (\d+) (\d+) (\d+)\s*$', line):
                operation = line.split(':')[0]
                waits[operation] = {}
        return waits

    def rows(self):
        """{operation: (ns, kernel instructions or None)} of what bench/operations.c printed."""
        rows, mark = {}, 0
        for line in self.lines:
            found = re.match(r'(.+): (\d+) (\d+) (\d+)\s*$', line)
            if not found:
                if 'failed' in line:
                    print(line, file=sys.stderr)
                continue
            times, spans, kernel = int(found[3]), int(found[4]), None
            ends = self.marks[mark:mark + 2 * spans]
            mark += 2 * spans
            if len(ends) == 2 * spans:
                kernel = sum(after[1] - before[1] for before, after in zip(ends[::2], ends[1::2]))
                kernel //= times
            rows[found[1].strip()] = (int(found[2]), kernel)
        return rows


def counts_read(path):
    """(total, kernel, [(total, kernel) at each mark]); see struct counts."""
    if not os.path.exists(path):
        return 0, 0, []
    with open(path, 'rb') as file:
        data = file.read(32 + 16 * MARKS_MAX)
    total, kernel, marks, _ = struct.unpack_from('<4Q', data)
    return total, kernel, [struct.unpack_from('<2Q', data, 32 + 16 * i) for i in range(marks)]


def address_of(program, symbol):
    names = subprocess.run(['nm', program], stdout=subprocess.PIPE, text=True, check=True).stdout
    return '0x' + re.search(rf'^(\w+) . {symbol}$', names, re.M)[1]


@functools.cache
def tsc_khz(build):
    program = os.path.join(build, 'bench', 'tsc_khz')
    return int(subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True).stdout)


def pith_command(build, program, words, memory, cpus, extra, directory):
    command = [os.path.join(build, 'pith'), 'run', '-q', '--accel', 'tcg', '--cpu',
               linux_machine.CPU, '--mem', memory, '--cpus', str(cpus), '--root', 'none',
               '--initramfs-file', program + ':/program']
    for argument in extra:
        command += ['--qemu-arg', argument]
    return command + ['--', '/program', *words]


def linux_command(build, program, words, memory, cpus, extra, directory, kernel_words):
    khz = ICOUNT_KHZ if '-icount' in extra else tsc_khz(build)
    kernel = linux_machine.Kernel(build)
    archive = os.path.join(directory, 'initramfs')
    with open(program, 'rb') as file, open(archive, 'wb') as out:
        out.write(linux_machine.initramfs({'init': file.read()}))
    kernel_words += f' tsc_early_khz={khz}'
    if words:
        kernel_words += ' -- ' + ' '.join(words)
    command = linux_machine.qemu(kernel.uncompressed(), archive, linux_machine.MICROVM + ',acpi=off',
                                 memory, cpus, '')
    # What stands behind `--` is process 1's, so our words come last.
    command[-1] += ' ' + kernel_words
    return command + ['-serial', 'stdio', *extra]


def command_of(system, *arguments):
    if system == 'Pith':
        return pith_command(*arguments)
    return linux_command(*arguments, BEST_WORDS if system == 'Linux' else SHIPPED_WORDS)


def run(system, build, program, words=(), memory='1536M', cpus=1, counting=False,
        keep_counts=False):
    """Runs a program of build/bench/ in a machine of the system's; with `counting` by instruction
    clock and with the plugin. Returns a Result; `keep_counts`: with the plugin's file, whole."""
    path = os.path.join(build, 'bench', program)
    with tempfile.TemporaryDirectory(prefix='bench-') as directory:
        counts = os.path.join(directory, 'counts')
        plugin = os.path.join(build, 'bench', 'instructions.so')
        extra = [*ICOUNT, '-plugin', f'file={plugin},out={counts},'
                 f'mark={address_of(path, "moment_mark")}'] if counting else []
        command = command_of(system, build, path, words, memory, cpus, extra, directory)
        began, arrived, lines = time.monotonic(), None, []
        machine = subprocess.Popen(['timeout', str(RUN_SECONDS), *command], text=True,
                                   errors='replace', stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for line in machine.stdout:
            arrived = arrived or (time.monotonic() - began if line.startswith('runs') else None)
            lines.append(line.rstrip())
        machine.wait()
        result = Result(lines, arrived, time.monotonic() - began, counts_read(counts))
        if keep_counts:
            with open(counts, 'rb') as file:
                result.counts = file.read()
        return result
