"""vm.overcommit_memory: what is promised, and when the kernel stops promising (proc(5))."""
from machine import output_of

MAP = """python3 -c '
import mmap, sys
flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | (0x4000 if sys.argv[2:] else 0)
try:
    mmap.mmap(-1, int(sys.argv[1]) << 20, flags=flags)
    print("given")
except OSError as error:
    print(error.strerror)
' """
SMALL = ['--mem', '192M', '--user', '0:0']


def said(text):
    return output_of('sh', '-c', text, options=SMALL).split('\n')[:-1]


def test_what_alone_could_never_fit_is_refused_by_default_unless_it_reserves_nothing():
    assert said(f'{MAP} 100; {MAP} 1000; {MAP} 1000 noreserve') == [
        'given', 'Cannot allocate memory', 'given']


def test_everything_is_promised_in_mode_1():
    assert said(f'echo 1 > /proc/sys/vm/overcommit_memory; {MAP} 100000') == ['given']


def test_nothing_is_promised_beyond_the_limit_in_mode_2():
    assert said('cd /proc/sys/vm; echo 50 > overcommit_ratio; echo 2 > overcommit_memory;'
                f'{MAP} 150; {MAP} 150 noreserve; {MAP} 20; echo 3 2>/dev/null > overcommit_memory; echo $?') == [
        'Cannot allocate memory', 'Cannot allocate memory', 'given', '1']


def test_promised_memory_is_counted_and_taken_back():
    text = """
import mmap
def committed():
    return next(int(line.split()[1]) for line in open('/proc/meminfo') if 'Committed_AS' in line)
before = committed()
memory = mmap.mmap(-1, 50 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
during = committed()
memory.close()
print(during - before >= 50 << 10, committed() - before < 1 << 10)
"""
    assert output_of('python3', '-c', text, options=SMALL) == 'True True\n'
