"""The contract's edges: files used after their names are gone, shares and hidden paths by every name.

Each script runs as root in the machine where the caller is root, on a directory of the host's: below
the overlay, and again as a share that may be written.
"""
import os

import pytest

from pith import run

QUIET = ['run', '-q', '--timeout', '120']

NAMELESS = '''
import os, sys
os.chdir(sys.argv[1])
def check(what, condition):
    if not condition: sys.exit('wrong: ' + what)

fd = os.open('file', os.O_RDWR)
os.unlink('file')
check('read after unlink', os.pread(fd, 100, 0) == b'0123456789')
check('write after unlink', os.pwrite(fd, b'abc', 8) == 3 and os.pread(fd, 100, 0) == b'01234567abc')
os.ftruncate(fd, 4)
check('truncate after unlink', os.pread(fd, 100, 0) == b'0123' and os.fstat(fd).st_nlink == 0)
os.ftruncate(fd, 6)
check('longer after unlink', os.pread(fd, 100, 0) == b'0123\\0\\0')
os.close(fd)
check('gone', not os.path.exists('file'))

fd = os.open('target', os.O_RDONLY)
open('source', 'w').write('new')
os.rename('source', 'target')
check('old file after rename', os.pread(fd, 100, 0) == b'old' and open('target').read() == 'new')
os.close(fd)

os.link('linked', 'other')
open('linked', 'a').write('+')
check('hard links share', open('other').read() == 'linked+' and os.stat('other').st_nlink == 2)
check('same file', os.path.samefile('linked', 'other'))
os.unlink('linked')
check('the other stays', open('other').read() == 'linked+' and os.stat('other').st_nlink == 1)

if len(sys.argv) > 2:
    fd = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600)
    os.write(fd, b'temporary')
    check('nameless', os.fstat(fd).st_nlink == 0 and os.pread(fd, 100, 0) == b'temporary')
    os.link(f'/proc/self/fd/{fd}', 'named', src_dir_fd=os.open('.', 0), follow_symlinks=True)
    check('named', open('named').read() == 'temporary')
print('all right')
'''


@pytest.fixture
def files(tmp_path):
    top = tmp_path / 'files'
    top.mkdir()
    (top / 'file').write_text('0123456789')
    (top / 'target').write_text('old')
    (top / 'linked').write_text('linked')
    (tmp_path / 'outside').write_text('outside')
    (top / 'out').symlink_to('../outside')
    (top / 'absolute').symlink_to(tmp_path / 'outside')
    (top / 'secrets').mkdir()
    (top / 'secrets' / 'key').write_text('key')
    (top / 'to-secrets').symlink_to('secrets')
    os.link(top / 'secrets' / 'key', top / 'visible')
    return top


def guest(*program, options=(), **more):
    return run(*QUIET, *options, '--', *program, timeout=150, **more)


def test_files_without_names_in_the_overlay(files):
    result = guest('python3', '-c', NAMELESS, str(files), 'overlay')
    assert (result.stdout, result.stderr) == (b'all right\n', b'')
    assert (files / 'file').read_text() == '0123456789' and (files / 'linked').read_text() == 'linked'


def test_files_without_names_in_a_writable_share(files):
    result = guest('python3', '-c', NAMELESS, str(files), options=['--share', f'{files}:rw'])
    assert (result.stdout, result.stderr) == (b'all right\n', b'')
    assert not (files / 'file').exists() and (files / 'other').read_text() == 'linked+'
    assert (files / 'target').read_text() == 'new'


def test_links_that_leave_a_share_are_the_programs_own_view(files):
    """They are followed in the guest, so what they lead to is the overlay's, never the host's."""
    script = f'cd {files}; cat out absolute; echo changed >out; echo changed >absolute; cat out'
    result = guest('sh', '-c', script, options=['--share', f'{files}:rw'])
    assert result.stdout == b'outsideoutsidechanged\n', result.stderr
    assert (files.parent / 'outside').read_text() == 'outside'


def test_links_that_leave_a_share_lead_nowhere_without_a_root(files, tmp_path):
    root = tmp_path / 'root'
    root.mkdir()
    for name in ('bin', 'lib', 'lib64', 'usr'):
        (root / name).mkdir()
    result = run(*QUIET, '--root', str(root), '--share', f'{files}:rw', '--', '/pith/bin/probe')
    assert result.returncode in (0, 1), result.stderr
    assert (files.parent / 'outside').read_text() == 'outside'


ATTEMPTS = [
    'echo x >new', 'echo x >>file', 'rm file', 'mkdir d', 'mv file f', 'ln file f', 'ln -s a b',
    'chmod 777 file', 'touch file', 'truncate -s 0 file', 'mkfifo p',
    'mount -o remount,rw . && echo x >new', 'mount -o remount,bind,rw . && echo x >new',
    'mkdir /tmp/m && mount --bind . /tmp/m && mount -o remount,bind,rw /tmp/m && echo x >/tmp/m/new',
    'mkdir /tmp/v && mount -t virtiofs pith /tmp/v && echo x >/tmp/v/1/new',
]


def test_root_of_the_guest_cannot_write_through_a_read_only_share(files):
    before = sorted(os.listdir(files)), (files / 'file').stat()
    script = '\n'.join(f'(cd {files} && {attempt}) && echo "done: {attempt}"' for attempt in ATTEMPTS)
    result = guest('sh', '-c', f'{script}\ntrue', options=['--share', str(files), '--user', '0:0'])
    assert (result.returncode, result.stdout) == (0, b'')
    assert len(result.stderr.splitlines()) >= len(ATTEMPTS)
    assert (sorted(os.listdir(files)), (files / 'file').stat()) == before


NAMES = [
    'secrets/key', 'to-secrets/key', './secrets/../secrets/key', '{top}/secrets/key',
    '/proc/self/cwd/secrets/key', '/proc/self/root{top}/secrets/key', '/tmp/bound/secrets/key',
    '/tmp/fresh/0{top}/secrets/key', '/tmp/link/key', 'visible-as-hidden/key', './/secrets//key',
]


@pytest.mark.parametrize('share', [False, True])
def test_hidden_path_is_seen_by_no_name(files, share):
    names = ' '.join(name.format(top=files) for name in NAMES)
    script = f'''cd {files}; mkdir /tmp/bound /tmp/fresh; mount --bind {files} /tmp/bound
mount -t virtiofs pith /tmp/fresh; ln -s {files}/secrets /tmp/link
mv secrets visible-as-hidden 2>/dev/null; ls -a . | grep -c '^secrets$'
for name in {names}; do cat $name && echo "seen: $name"; done; echo end'''
    options = ['--hide', str(files / 'secrets'), '--user', '0:0']
    if share:
        options += ['--share', f'{files}:rw']
    result = guest('sh', '-c', script, options=options)
    assert result.stdout == b'0\nend\n'
    assert (files / 'secrets' / 'key').read_text() == 'key'
