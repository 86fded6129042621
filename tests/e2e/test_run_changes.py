"""`pith run --diff`, `--keep` and `--missing`: what the program changed, wrote, and asked for in vain."""
import os, signal, stat, subprocess

import pytest

from pith import run, run_fake

QUIET = ['run', '-q', '--timeout', '120']


@pytest.fixture
def files(tmp_path):
    """A directory of the host's, for the program to change."""
    top = tmp_path / 'files'
    (top / 'directory' / 'below').mkdir(parents=True)
    for name in ('data', 'mode', 'deleted', 'moved', 'saved', 'linked', 'retyped', 'same', 'again',
                 'directory/one', 'directory/below/two'):
        (top / name).write_text(f'{name}\n')
    (top / 'symlink').symlink_to('data')
    (top / 'opaque').mkdir()
    (top / 'opaque' / 'hidden').write_text('hidden\n')
    return top


def changes(script, top, *options):
    """Runs a script in the directory; what --diff says, paths from there, and the result."""
    result = run(*QUIET, '--diff', *options, '--', 'bash', '-ec', f'cd {top}\n{script}', timeout=150)
    assert result.returncode == 0, result.stderr
    lines = result.stderr.decode().split('\n')
    assert lines[0].startswith('changed:') and lines[-1] == ''
    return [line.replace(f'{top}/', '') for line in lines[1:-1]]


@pytest.mark.parametrize('script, lines', [
    ('cat data symlink >/dev/null; ls -lR >/dev/null', []),
    ('echo more >>data', ['changed\tdata (data)']),
    ('truncate -s 2 data', ['changed\tdata (data)']),
    ('chmod 600 mode', ['changed\tmode (mode)']),
    ('chmod 700 directory', ['changed\tdirectory (mode)']),
    ('echo x >new', ['created\tnew']),
    ('rm deleted', ['deleted\tdeleted']),
    ('rm -r directory', ['deleted\tdirectory']),
    ('rm symlink', ['deleted\tsymlink']),
    ('mv moved elsewhere', ['renamed\tmoved -> elsewhere']),
    ('mv moved directory/below/', ['renamed\tmoved -> directory/below/moved']),
    ('mv moved x; echo y >>x; chmod 600 x', ['renamed\tmoved -> x (data, mode)']),
    ('mv again x; mv x again', []),
    ('mv directory x; mkdir directory; mv x/* directory; rmdir x', ['replaced\tdirectory']),
    ('echo new >temporary; mv temporary saved', ['changed\tsaved (data)']),
    ('mv moved deleted', ['renamed\tmoved -> deleted']),
    ('ln linked other', ['linked\tlinked = other']),
    ('echo x >a; ln a b', ['created\ta', 'linked\ta = b']),
    ('rm retyped; mkdir retyped', ['replaced\tretyped']),
    ('rm retyped; ln -s data retyped', ['replaced\tretyped']),
    ('mkfifo pipe; ln -s nowhere link; mkdir -p new/deep', ['created\tlink', 'created\tnew',
                                                            'created\tnew/deep', 'created\tpipe']),
    ('rm -r opaque; mkdir opaque; echo x >opaque/own', ['replaced\topaque', 'created\topaque/own']),
    ('mv directory d2', ['renamed\tdirectory -> d2']),
    ('mv directory d2; echo x >>d2/one; rm d2/below/two; echo y >d2/three',
     ['renamed\tdirectory -> d2', 'deleted\td2/below/two', 'changed\td2/one (data)',
      'created\td2/three']),
    ('mv directory/below b; mv directory b/d; mv b/two b/d/two',
     ['renamed\tdirectory/below -> b', 'renamed\tdirectory -> b/d',
      'renamed\tdirectory/below/two -> b/d/two']),
    ('exec 3<data; rm data; echo gone', ['deleted\tdata']),
    ('echo x >gone; rm gone; mkdir d; rmdir d', []),
    ('''python3 -c 'import os; os.setxattr("same", "user.mark", b"1")' ''',
     ['changed\tsame (attributes)']),
    ("touch $'new\\nline\\033[31m'", ['created\tnew\\012line\\033[31m']),
    ('mkdir -p "a b"; touch "a b/c" "a b-d"', ['created\ta b', 'created\ta b/c', 'created\ta b-d']),
])
def test_diff_lists_each_kind_of_change(files, script, lines):
    assert changes(script, files) == lines


def test_diff_lists_a_changed_owner(files):
    if os.geteuid() != 0:
        pytest.skip('only root may give files away')
    assert changes('chown 12:34 mode', files) == ['changed\tmode (owner)']


def test_diff_of_many_files_is_whole(files):
    assert len(changes('mkdir m; cd m; for i in {1..3000}; do : >$i; done', files)) == 3001


def kept(tmp_path, script, top, *options):
    """What --keep made of the directory."""
    keep = tmp_path / 'kept'
    result = run(*QUIET, '--keep', str(keep), *options, '--', 'bash', '-ec', f'cd {top}\n{script}',
                 timeout=150)
    assert (result.returncode, result.stderr) == (0, b'')
    return keep / str(top)[1:]


def test_keep_copies_what_was_written_and_nothing_else(tmp_path, files):
    there = kept(tmp_path, 'echo more >>data; mkdir -p new/deep; echo x >new/deep/file; rm deleted; '
                 'chmod 640 mode; touch -d 2001-02-03 new/deep/file; chmod 500 new/deep', files)
    assert sorted(path.name for path in there.iterdir()) == ['data', 'mode', 'new']
    assert (there / 'data').read_text() == 'data\nmore\n'
    assert stat.S_IMODE((there / 'mode').stat().st_mode) == 0o640
    assert (there / 'new/deep/file').read_text() == 'x\n'
    assert stat.S_IMODE((there / 'new/deep').stat().st_mode) == 0o500
    assert int((there / 'new/deep/file').stat().st_mtime) == int(subprocess.check_output(
        ['date', '-d', '2001-02-03', '+%s']))
    assert (files / 'data').read_text() == 'data\n' and (files / 'deleted').exists()


def test_keep_keeps_links_pipes_and_holes(tmp_path, files):
    there = kept(tmp_path, 'echo x >a; ln a b; ln -s ../data s; mkfifo p; truncate -s 20M hole; '
                 'echo end >>hole; chmod u+s a', files)
    assert (there / 'a').samefile(there / 'b') and os.readlink(there / 's') == '../data'
    assert stat.S_ISFIFO((there / 'p').lstat().st_mode)
    assert (there / 'hole').stat().st_size == (20 << 20) + 4
    assert (there / 'hole').stat().st_blocks < 100
    assert (there / 'a').stat().st_mode & stat.S_ISUID == 0


def test_keep_of_a_renamed_directory_has_all_that_is_in_it(tmp_path, files):
    there = kept(tmp_path, 'mv directory d2; echo new >d2/new; echo more >>d2/below/two', files)
    assert sorted(os.listdir(there / 'd2')) == ['below', 'new', 'one']
    assert (there / 'd2/one').read_text() == 'directory/one\n'
    assert (there / 'd2/below/two').read_text() == 'directory/below/two\nmore\n'


def test_keep_is_whole_though_processes_still_run(tmp_path, files):
    there = kept(tmp_path, 'echo x >a; (while :; do echo y >>b; done) & sleep 0.1', files)
    assert (there / 'a').read_text() == 'x\n'


def test_keep_of_a_failing_program_keeps_its_status(tmp_path, files):
    result = run(*QUIET, '--keep', str(tmp_path / 'kept'), '--', 'sh', '-c',
                 f'echo x >{files}/new; exit 7')
    assert result.returncode == 7
    assert (tmp_path / 'kept' / str(files)[1:] / 'new').read_text() == 'x\n'


def test_keep_says_what_it_leaves_out(tmp_path, files):
    if os.geteuid() != 0:
        pytest.skip('only root makes devices')
    result = run(*QUIET, '--keep', str(tmp_path / 'kept'), '--', 'mknod', f'{files}/null', 'c', '1', '3')
    assert result.returncode == 125 and b'null is left out' in result.stderr
    assert not (tmp_path / 'kept' / str(files)[1:] / 'null').exists()


def test_keep_wants_a_new_or_empty_directory(files):
    result = run(*QUIET, '--keep', str(files), '--', 'true')
    assert result.returncode == 125 and b'give a new or empty directory' in result.stderr


def test_keep_of_a_hole_of_a_terabyte_reads_no_hole(tmp_path, files):
    result = run(*QUIET, '--keep', tmp_path / 'kept', '--', 'bash', '-ec',
                 f'cd {files}; echo end >hole; truncate -s 1T hole; echo last >>hole', timeout=150)
    assert result.returncode == 0, result.stderr
    kept = os.stat(f'{tmp_path}/kept{files}/hole')
    assert (kept.st_size, kept.st_blocks < 1000) == ((1 << 40) + 5, True)


def test_changes_are_told_though_the_program_took_the_mounts_away(files):
    script = f'''echo x >{files}/new; mount -t tmpfs t /mnt; mkdir /mnt/old /mnt/usr /mnt/proc; mount --rbind /usr /mnt/usr
ln -s usr/bin usr/lib usr/lib64 /mnt; mount -t proc p /mnt/proc; cd /mnt; pivot_root . old; umount -l /old'''
    result = run(*QUIET, '--diff', '--missing', '--', 'bash', '-ec', script)
    assert result.returncode == 0 and f'created\t{files}/new' in result.stderr.decode().split('\n')


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_report_of_a_program_that_has_ended(tmp_path, number):
    script = f'''import time
{REPORT}
guest.stamp(4)
report(KEPT, b'/x', size=1)
while not os.path.exists({str(tmp_path)!r} + '/kept/x'):
    time.sleep(0.01)
os.kill(os.getppid(), {int(number)})
while guest.receive():
    pass'''
    result = run_fake(tmp_path, script, '--keep', str(tmp_path / 'kept'), '--', 'program')
    assert result.returncode == 128 + number and b'before all was told' in result.stderr


def test_timeout_says_that_nothing_was_told(tmp_path):
    result = run('run', '-q', '--timeout', '8', '--diff', '--', 'sleep', '1000')
    assert result.returncode == 124 and b'before all was told' in result.stderr


def test_changes_of_root_none_are_a_wrong_command():
    for option in ['--diff'], ['--keep', 'x']:
        result = run('run', '--root', 'none', *option, '--', '/init')
        assert result.returncode == 2 and b'overlay' in result.stderr


# ---- A hostile guest ----

REPORT = '''
def report(kind, name, other=b'', mode=0o100644, size=0, xattrs=b'', flags=0):
    guest.send(DATA, 7, struct.pack('<8IQq', kind, flags, len(name), len(other), len(xattrs), mode, 0, 0,
                                    size, 0) + name + other + xattrs)
def piece(offset, data):
    guest.send(DATA, 7, struct.pack('<QII', offset, len(data), 0) + data)
KEPT, KEPT_LINK, END_OF_REPORT = 7, 8, 10
guest.start()
'''


def hostile(tmp_path, script, *options):
    """Runs pith with a guest that reports what the script says; the directory of --keep is `kept`."""
    result = run_fake(tmp_path, f'{REPORT}outside = {str(tmp_path)!r}.encode()\n{script}\nguest.exit(0)',
                      *(options or ('--keep', str(tmp_path / 'kept'))), '--', 'program')
    return result


@pytest.mark.parametrize('name', ['/../escaped', '/a/../../escaped', '/..', '/.', '//escaped', 'escaped',
                                  '/a//b', '/a/', '/' + 'x' * 256, '/link/escaped', '/link'])
def test_hostile_name_does_not_leave_the_directory(tmp_path, name):
    result = hostile(tmp_path, f'''
report(KEPT, b'/link', outside, 0o120777)
report(KEPT, {name!r}.encode(), b'', 0o100644, 1)
piece(0, b'x')
piece(1, b'')
report(KEPT, {name!r}.encode(), b'', 0o040777)
report(KEPT_LINK, b'/other', {name!r}.encode())
report(END_OF_REPORT, b'end')''')
    assert result.returncode == 125 and b'is left out' in result.stderr
    assert sorted(os.listdir(tmp_path)) == ['guest.py', 'kept']
    assert set(os.listdir(tmp_path / 'kept')) <= {'link', 'a', 'other'}
    assert (tmp_path / 'kept' / 'link').is_symlink()


@pytest.mark.parametrize('script', [
    "guest.send(DATA, 7, struct.pack('<8IQq', KEPT, 0, 5000, 0, 0, 0, 0, 0, 0, 0))",
    "guest.send(DATA, 7, struct.pack('<8IQq', KEPT, 0, 1, 1 << 31, 0, 0, 0, 0, 0, 0))",
    "guest.send(DATA, 7, struct.pack('<8IQq', KEPT, 0, 1, 0, 1 << 31, 0, 0, 0, 0, 0))",
    "report(99, b'/x')", "report(1, b'/x')", "report(9, b'call')", "report(KEPT, b'')",
    "report(KEPT, b'/x', size=9); guest.send(DATA, 7, struct.pack('<QII', 0, 1 << 30, 0))",
])
def test_hostile_report_ends_the_run(tmp_path, script):
    result = hostile(tmp_path, script)
    assert result.returncode == 125 and b'broke the protocol' in result.stderr


def test_hostile_report_that_nobody_asked_for_ends_the_run(tmp_path):
    result = hostile(tmp_path, "report(1, b'/x')", '-q')
    assert result.returncode == 125 and b'broke the protocol' in result.stderr


def test_hostile_attributes_and_pieces_are_cut_to_size(tmp_path):
    result = hostile(tmp_path, '''
report(KEPT, b'/a', size=4, xattrs=struct.pack('<II', 6, 1 << 30) + b'user.x')
piece(0, b'data'); piece(4, b'')
report(KEPT, b'/b', size=4)
piece(1 << 62, b'far'); piece(4, b'')
report(KEPT, b'/c', size=1 << 63)
piece(4, b'')
report(END_OF_REPORT, b'end')''')
    assert result.returncode == 125
    assert os.listdir(tmp_path / 'kept') == ['a'] and (tmp_path / 'kept/a').read_bytes() == b'data'


def test_hostile_guest_cannot_write_more_than_the_overlay_holds(tmp_path):
    result = hostile(tmp_path, '''
for number in range(40):
    report(KEPT, b'/%d' % number, size=1 << 20)
    for at in range(0, 1 << 20, 1 << 15):
        piece(at, bytes([1]) * (1 << 15))
    piece(1 << 20, b'')
report(END_OF_REPORT, b'end')''', '--mem', '32M', '--keep', str(tmp_path / 'kept'))
    assert result.returncode == 125 and b'larger than the overlay' in result.stderr
    assert len(os.listdir(tmp_path / 'kept')) == 16


# ---- What is missing ----

def missing(*program):
    result = run(*QUIET, '--missing', '--', *program)
    lines = result.stderr.decode().split('\n')
    return lines[lines.index('missing (how often, program, call):') + 1:-1]


def test_missing_names_the_call_how_often_and_the_program():
    call = 'import ctypes\nfor i in range(3): ctypes.CDLL(None).syscall(425, 1, 0)'
    assert '3\tpython3\tio_uring_setup' in missing('python3', '-c', call)


def test_missing_names_the_flags_of_a_call_that_is_there():
    call = 'import ctypes\nctypes.CDLL(None).syscall(41, 2, 1, 0)'
    lines = missing('python3', '-c', call)
    assert any(line.startswith('1\tpython3\tsocket(0x2, 0x1, 0x0)') and 'AF_UNIX' in line
               for line in lines)


def test_missing_says_when_nothing_is():
    result = run(*QUIET, '--missing', '--', '/pith/bin/probe')
    assert 'missing (how often, program, call): none\n' in result.stderr.decode()
