"""The file server with a client that is not ours: Linux 6.1 sees the same files as the host."""
import hashlib, os, random, stat

import pytest

import linux_guest

SCRIPT = r'''
cd /mnt/0
echo "== attributes"
find . -print0 | xargs -0 stat -c '%n %f %h %u %g %s %Y'
echo "== sums"
find . -type f -print0 | sort -z | xargs -0 md5sum
echo "== links"
find . -type l | sort | while read l; do echo "$l $(readlink $l)"; done
echo "== read-only"
touch new 2>&1; rm text 2>&1; echo x 2>&1 >text; mv text other 2>&1
ls d | wc -l
cd /mnt/1
echo "== changes"
echo hello >a; echo more >>a; mkdir -p d/e; mv a d/e/b; ln d/e/b c; ln -s d/e/b s; cat s
chmod 640 c; touch -d '2001-02-03 04:05:06' d/e/b; mkfifo f; mknod null c 1 3 2>&1
exec 3<>c; rm c d/e/b; echo line >&3; cat /proc/self/fd/3; exec 3>&-
dd if=/dev/urandom of=big bs=1M count=5 2>/dev/null; truncate -s 3000001 big; sync
echo 3 >/proc/sys/vm/drop_caches
echo "== big"
md5sum <big
mkdir -p many; for i in $(seq 40); do echo $i >many/$i; done; ls many | wc -l
mv many d/many; rm -r d/many; ls -a d | cat
echo kept >kept; cp -r /mnt/0/d copied; ls copied | wc -l
'''


def make_tree(root):
    """Every kind of file, names that are hard, a directory that takes several answers."""
    number = random.Random(5)
    (root / 'd').mkdir()
    for i in range(800):
        (root / 'd' / ('file-%d-%s' % (i, 'x' * (i % 200)))).write_bytes(b'%d' % i)
    (root / 'text').write_text('text\n')
    (root / 'big').write_bytes(number.randbytes(3 << 20))
    with open(root / 'sparse', 'wb') as file:
        file.truncate(10 << 20)
        file.seek(5 << 20)
        file.write(b'middle')
    (root / 'empty').write_bytes(b'')
    (root / ('n' * 255)).write_text('long')
    (root / 'sp ace\ttab').write_text('odd')
    os.link(root / 'text', root / 'hard')
    os.symlink('text', root / 'soft')
    os.symlink('/nowhere/at/all', root / 'dangling')
    os.mkfifo(root / 'fifo', 0o620)
    deep = root
    for i in range(40):
        deep = deep / ('level%d' % i)
        deep.mkdir()
    (deep / 'bottom').write_text('bottom')
    os.chmod(root / 'text', 0o4751)
    os.utime(root / 'text', (1, 1000000000))


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """One machine for all tests: {section: its lines}, and the two directories."""
    base = tmp_path_factory.mktemp('file-server')
    reading, writing = base / 'reading', base / 'writing'
    reading.mkdir()
    writing.mkdir()
    make_tree(reading)
    try:
        lines = linux_guest.run(str(base), SCRIPT, [str(reading), str(writing) + ':rw'])
    except linux_guest.Unavailable as reason:
        pytest.skip(str(reason))
    sections, section = {}, None
    for line in lines:
        if line.startswith('== '):
            section = sections.setdefault(line[3:], [])
        elif section is not None:
            section.append(line)
    return sections, reading, writing


def names_below(root):
    yield '.'
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            yield './' + os.path.relpath(os.path.join(directory, name), root)


def test_attributes_are_the_hosts(run):
    sections, root, _ = run
    expected = set()
    for name in names_below(root):
        status = os.lstat(os.path.join(root, name))
        expected.add('%s %x %d %d %d %d %d' % (name, status.st_mode, status.st_nlink, status.st_uid,
                                               status.st_gid, status.st_size, status.st_mtime))
    assert set(sections['attributes']) == expected
    assert len(sections['attributes']) == len(expected)


def test_contents_are_the_hosts(run):
    sections, root, _ = run
    expected = set()
    for name in names_below(root):
        path = os.path.join(root, name)
        if stat.S_ISREG(os.lstat(path).st_mode):
            expected.add(hashlib.md5(open(path, 'rb').read()).hexdigest() + '  ' + name)
    assert set(sections['sums']) == expected


def test_symbolic_links_say_what_they_say(run):
    assert run[0]['links'] == ['./dangling /nowhere/at/all', './soft text']


def test_read_only_share_cannot_be_changed(run):
    lines = run[0]['read-only']
    assert sum('Read-only file system' in line for line in lines) == 4
    assert lines[-1] == '800'
    assert (run[1] / 'text').read_text() == 'text\n' and not (run[1] / 'new').exists()


def test_changes_reach_the_host(run):
    sections, _, writing = run
    assert sections['changes'] == ['hello', 'more', 'mknod: null: Operation not permitted', 'line',
                                   '', 'more']
    assert hashlib.md5((writing / 'big').read_bytes()).hexdigest() == sections['big'][0][:32]
    assert (writing / 'big').stat().st_size == 3000001
    assert sections['big'][1:] == ['40', '.', '..', 'e', '800']
    assert sorted(os.listdir(writing)) == ['big', 'copied', 'd', 'f', 'kept', 's']
    assert (writing / 'kept').read_text() == 'kept\n'
    assert stat.S_ISFIFO((writing / 'f').lstat().st_mode)
