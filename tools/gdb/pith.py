"""gdb commands for a running Pith: `pith ps`, `pith stack TID`, `pith stacks`.

`make gdb` loads this with build/pith.elf. It reads the kernel's own structures by their names, so
it needs no agreement with the kernel but those: process.c's table of numbers, struct process,
struct thread_identity, struct thread, and what context_switch (entry.S) leaves on a stack.
"""
import gdb

RADIX_SLOTS = 64
# context_switch pushes six registers, rbp first; above them lies its return address.
SAVED_RBP = 5 * 8
SAVED_RIP = 6 * 8
DEPTH_MOST = 40
KERNEL_START = 1 << 63


def pointer(address, kind):
    return gdb.Value(address).cast(gdb.lookup_type(kind).pointer())


def radix_items(node, levels):
    """The items of a radix tree, by growing index."""
    if not int(node):
        return
    if levels == 0:
        yield node
        return
    slots = node.cast(gdb.lookup_type('struct radix_node').pointer())['slots']
    for i in range(RADIX_SLOTS):
        yield from radix_items(slots[i], levels - 1)


def threads():
    """(process or None, identity, thread) of each thread with a number, by number."""
    numbers = gdb.parse_and_eval("'kernel/proc/process.c'::numbers")
    for item in radix_items(numbers['root'], int(numbers['levels'])):
        number = item.cast(gdb.lookup_type('struct number').pointer())
        if int(number['identity']):
            identity = number['identity']
            yield identity['process'], identity, identity['thread']


def enum_word(value):
    """THREAD_WAITING as "WAITING"."""
    return str(value).split('_', 1)[-1].replace('FOR_', '')


def state(thread):
    word = enum_word(thread['state'])
    if word == 'WAITING':
        word += ' for ' + enum_word(thread['wait_reason']).lower()
    return word


def print_threads():
    print(f'{"PID":>6} {"TID":>6} {"PPID":>6} {"CPU":>3}  {"STATE":24} NAME')
    for process, identity, thread in threads():
        parent = int(process['parent']['pid']) if int(process['parent']) else 0
        print(f'{int(process["pid"]):6} {int(identity["tid"]):6} {parent:6} {int(thread["cpu"]):3}  '
              f'{state(thread):24} {identity["name"].string()}')


def print_frame(depth, address):
    symbol = gdb.execute(f'info symbol {address:#x}', to_string=True).split(' in section')[0]
    line = gdb.find_pc_line(address - 1)
    where = f' at {line.symtab.filename}:{line.line}' if line.symtab else ''
    print(f'  #{depth:<2} {address:#x} {symbol.strip()}{where}')


def print_stack(identity, thread):
    """Follows the frame pointers of a thread that is not running."""
    print(f'thread {int(identity["tid"])} ({identity["name"].string()}), {state(thread)}:')
    if enum_word(thread['state']) == 'RUNNING':
        print('  it runs: see `info threads` and `backtrace` of its CPU')
        return
    top = int(thread['context']['stack_pointer'])
    frame = int(pointer(top + SAVED_RBP, 'unsigned long').dereference())
    address = int(pointer(top + SAVED_RIP, 'unsigned long').dereference())
    for depth in range(DEPTH_MOST):
        print_frame(depth, address)
        if frame < KERNEL_START:  # the user's, or 0 at a thread's beginning
            break
        address = int(pointer(frame + 8, 'unsigned long').dereference())
        frame = int(pointer(frame, 'unsigned long').dereference())
        if address < KERNEL_START:
            break


class PithCommand(gdb.Command):
    """pith ps: all threads. pith stack TID: the kernel stack of one. pith stacks: of all."""

    def __init__(self):
        super().__init__('pith', gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        if words == ['ps']:
            print_threads()
        elif words == ['stacks'] or (len(words) == 2 and words[0] == 'stack'):
            for _, identity, thread in threads():
                if words[0] == 'stacks' or int(identity['tid']) == int(words[1], 0):
                    print_stack(identity, thread)
        else:
            raise gdb.GdbError(self.__doc__)


PithCommand()
