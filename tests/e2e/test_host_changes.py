"""The host's files change while a VM runs: what it opens is as it is by then, and nothing hangs."""
import os
import subprocess
import threading

import pytest

from pith import DEADLINE, PITH

LOOP = 'while read -r command; do eval "$command" 2>&1; echo "== $?"; done'


class Guest:
    """A shell in a VM that is given one command at a time."""

    def __init__(self):
        self.process = subprocess.Popen([PITH, 'run', '-q', '--', 'bash', '-c', LOOP], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.timer = threading.Timer(DEADLINE, self.process.kill)
        self.timer.start()

    def do(self, command):
        """The command's output, whatever its status."""
        self.process.stdin.write(command + '\n')
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.startswith('== '):
                return ''.join(lines)
            lines.append(line)
        raise AssertionError(f'the machine ended in {command!r} after {lines}')

    def end(self):
        self.process.stdin.close()
        status = self.process.wait(DEADLINE)
        self.timer.cancel()
        return status


@pytest.fixture
def guest():
    machine = Guest()
    yield machine
    assert machine.end() == 0


def test_open_sees_what_the_host_wrote_replaced_and_deleted(guest, tmp_path):
    file, new = tmp_path / 'file', tmp_path / 'new'
    file.write_text('one\n')
    assert guest.do(f'cat {file}') == 'one\n'
    file.write_text('two, and longer\n')
    assert guest.do(f'cat {file}; stat -c %s {file}') == 'two, and longer\n16\n'
    new.write_text('three\n')
    new.rename(file)
    assert guest.do(f'cat {file}; stat -c %s {file}') == 'three\n6\n'
    assert guest.do(f'exec 5<{file}') == ''
    new.write_text('four\n')
    new.rename(file)
    assert guest.do('cat <&5') == 'three\n'
    assert guest.do(f'cat {file}') == 'four\n'
    file.unlink()
    assert 'No such file' in guest.do(f'cat {file}')


def test_listing_again_shows_the_names_that_the_host_made_and_removed(guest, tmp_path):
    directory = tmp_path / 'directory'
    directory.mkdir()
    names = {f'name{i:04}' for i in range(1000)}
    for name in names:
        (directory / name).touch()
    os.utime(directory, (1, 1)) # long ago: what is listed may be kept
    assert set(guest.do(f'ls {directory}').split()) == names
    assert set(guest.do(f'ls {directory}').split()) == names
    (directory / 'new').touch()
    (directory / 'name0500').unlink()
    assert set(guest.do(f'ls {directory}').split()) == names - {'name0500'} | {'new'}
    assert set(guest.do(f'ls {directory}').split()) == names - {'name0500'} | {'new'}


def test_what_the_guest_changed_stays_as_it_made_it(guest, tmp_path):
    file = tmp_path / 'file'
    file.write_text('one\n')
    assert guest.do(f'echo mine >>{file}; cat {file}') == 'one\nmine\n'
    file.write_text('two\n')
    assert guest.do(f'cat {file}') == 'one\nmine\n'
    file.unlink()
    assert guest.do(f'cat {file}') == 'one\nmine\n'


def test_reads_of_a_file_that_changes_meanwhile_give_old_or_new(guest, tmp_path):
    file, new, stop = tmp_path / 'file', tmp_path / 'new', threading.Event()
    texts = [letter * 100000 + '\n' for letter in 'ab']

    def replace():
        count = 0
        while not stop.wait(0.01):
            count += 1
            new.write_text(texts[count % 2])
            new.rename(file)

    file.write_text(texts[0])
    host = threading.Thread(target=replace)
    host.start()
    try:
        output = guest.do(f'for i in {{1..40}}; do tr -s ab <{file}; done')
    finally:
        stop.set()
        host.join()
    assert set(output.split()) <= {'a', 'b'} and len(output.split()) == 40


def test_a_file_that_shrinks_and_grows_under_a_mapping_ends_nothing_but_its_reader(guest, tmp_path):
    file, stop = tmp_path / 'file', threading.Event()
    program = f'''import mmap
for i in range(200):
    with open("{file}", "rb") as file:
        try:
            memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        except ValueError: # it is empty just now
            continue
        sum(memory[::4096])'''

    def cut():
        while not stop.is_set():
            file.write_bytes(b'x' * 200000)
            file.write_bytes(b'')

    (tmp_path / 'reader').write_text(program)
    file.write_bytes(b'x' * 200000)
    host = threading.Thread(target=cut)
    host.start()
    try:
        guest.do(f'python3 {tmp_path}/reader')
    finally:
        stop.set()
        host.join()
    file.write_text('still here\n')
    assert guest.do(f'cat {file}') == 'still here\n'


def share_program(tmp_path, source, file_bytes):
    """Builds the program and makes a file beside it. Returns what runs it on that file."""
    program, file = tmp_path / 'program', tmp_path / 'file'
    subprocess.run(['musl-gcc', '-static', '-O1', '-o', program,
                    os.path.join(os.path.dirname(__file__), source)], check=True)
    file.write_bytes(file_bytes)

    def run(*arguments):
        return subprocess.run([PITH, 'run', '-q', '-c', '2', '--share', f'{tmp_path}:rw', '--',
                               program, *arguments], check=True, timeout=DEADLINE, text=True,
                              stdout=subprocess.PIPE).stdout
    return run, file


def test_a_mapping_is_stored_to_and_written_back_at_once_and_all_reaches_the_host(tmp_path):
    """Both the store's fault and the write-back want the page and the address space."""
    run, file = share_program(tmp_path, 'mapped_writes.c', bytes(4 * 4096))
    output = run(file, '1000')
    pages = file.read_bytes()
    numbers = [int.from_bytes(pages[at:at + 4], 'little') for at in range(0, len(pages), 4096)]
    assert numbers == [int(output)] * 4


def test_a_page_is_written_and_faulted_in_at_once(tmp_path):
    """The fault waits for the page with the address space, the write-back the other way round."""
    run, file = share_program(tmp_path, 'share_file.c', bytes(4096))
    assert run('fault', file, '100') == ''
    assert file.read_bytes()[:3] == b'\0x\0'


def test_pages_that_are_punched_one_after_the_other_show_the_holes(tmp_path):
    """The host's file changes more often than its time does."""
    run, file = share_program(tmp_path, 'share_file.c', b'x' * 20 * 4096)
    assert run('punch', file, '20') == ''
    assert file.read_bytes() == bytes(20 * 4096)


def test_a_file_is_punched_while_it_is_stored_to_and_written_back(tmp_path):
    """A write-back that was under way must not bring back what was punched."""
    run, file = share_program(tmp_path, 'share_file.c', bytes(4 * 4096))
    assert run('clear', file, '20') == ''
    assert file.read_bytes()[100:-100] == bytes(4 * 4096 - 200)


def test_a_file_is_cut_while_it_is_written_back(tmp_path):
    """A write-back that was under way must not make the file longer again."""
    run, file = share_program(tmp_path, 'share_file.c', bytes(4 * 4096))
    assert run('cut', file, '10') == ''
    assert file.stat().st_size == 4 * 4096 - 19
