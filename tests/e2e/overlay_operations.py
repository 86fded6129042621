"""What is done to a tree, on the host and in Pith: both must print the same (test_overlay.py)."""
import os, sys, mmap, stat, errno, ctypes, fcntl, hashlib
root = sys.argv[1]
os.chdir(root)
libc = ctypes.CDLL(None, use_errno=True)

def attempt(what, call, *arguments, **options):
    try:
        result = call(*arguments, **options)
    except OSError as error:
        result = errno.errorcode[error.errno]
    print(what, result)
    return result

def renameat2(a, b, flags):
    if libc.renameat2(-100, a.encode(), -100, b.encode(), flags):
        raise OSError(ctypes.get_errno(), 'renameat2')

def listing(path='.'):
    lines = []
    for top, dirs, files in os.walk(path):
        dirs.sort()
        for name in dirs + files:
            full = os.path.join(top, name)
            s = os.lstat(full)
            data = ''
            if stat.S_ISREG(s.st_mode):
                data = hashlib.md5(open(full, 'rb').read()).hexdigest()
            elif stat.S_ISLNK(s.st_mode):
                data = os.readlink(full)
            size = 0 if stat.S_ISDIR(s.st_mode) else s.st_size
            lines.append('%s %o %d %d %s' % (full, s.st_mode, s.st_nlink, size, data))
    return '\n'.join(sorted(lines))

def same_identity(path, call):
    before = os.lstat(path)
    call()
    after = os.lstat(path)
    return (before.st_ino, before.st_dev, before.st_nlink) == (after.st_ino, after.st_dev, after.st_nlink)

print(listing())
# identity over copy-up
print('identity', same_identity('text', lambda: open('text', 'a').write('more\n')))
print('identity chmod', same_identity('prog', lambda: os.chmod('prog', 0o600)))
print(open('hard').read())
os.chmod('hard', 0o640)
print(oct(os.stat('text').st_mode))
# an old descriptor and an old mapping see new data
f = open('big', 'rb'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
p = mmap.mmap(f.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
p[10] = 77
_ = m[5000], m[20000], p[5000]
with open('big', 'r+b') as w:
    w.seek(5000); w.write(b'NEW'); w.seek(100000); w.write(b'X' * 5000)
print(m[5000:5003], m[100000:100003], p[5000:5003], p[10])
f.seek(5000); print(f.read(3))
with open('big', 'r+b') as w:
    s = mmap.mmap(w.fileno(), 0)
    s[200000:200004] = b'mmap'
print(m[200000:200004]); s.close()
print(hashlib.md5(open('big', 'rb').read()).hexdigest())
# append, truncate, extend again
with open('append', 'ab') as w: w.write(b'tail')
print(hashlib.md5(open('append', 'rb').read()).hexdigest(), os.stat('append').st_size)
os.truncate('cut', 5001); os.truncate('cut', 20000)
print(hashlib.md5(open('cut', 'rb').read()).hexdigest(), open('cut', 'rb').read()[4990:5010])
f = open('cut2', 'rb'); f.read(6000)
os.truncate('cut2', 5001); os.truncate('cut2', 9000)
print(open('cut2', 'rb').read()[4990:5010], f.read(10))
fd = os.open('cut3', os.O_RDWR | os.O_TRUNC); os.write(fd, b'new'); os.close(fd); print(open('cut3').read())
# holes
fd = os.open('punch', os.O_RDWR)
print(libc.fallocate(fd, 3, ctypes.c_long(5000), ctypes.c_long(20000)))
print(libc.fallocate(fd, 0, ctypes.c_long(300000), ctypes.c_long(10)))
os.pwrite(fd, b'at', 12000)
os.pwrite(fd, b'x' * 20000, 300000) # behind all that shows of the file below
print(libc.fallocate(fd, 3, ctypes.c_long(301000), ctypes.c_long(15000)))
print(libc.fallocate(fd, 3, ctypes.c_long(319999), ctypes.c_long(15000)))
os.close(fd)
print(hashlib.md5(open('punch', 'rb').read()).hexdigest(), os.stat('punch').st_size)
# rename patterns
with open('conf.new', 'w') as w: w.write('new conf')
attempt('link backup', os.link, 'conf', 'conf.old')
attempt('rename over', os.rename, 'conf.new', 'conf')
print(open('conf').read(), open('conf.old').read(), os.stat('conf.old').st_nlink)
attempt('rename dir', os.rename, 'tree', 'moved')
attempt('old', os.listdir, 'tree')
print(sorted(os.listdir('moved')), sorted(os.listdir('moved/sub')))
os.mkdir('tree'); print(os.listdir('tree'))
attempt('rename onto nonempty', os.rename, 'tree', 'moved')
attempt('rename onto nonempty 2', os.rename, 'moved', 'dir')
attempt('rename onto empty', os.rename, 'moved', 'tree')
print(sorted(os.listdir('tree')))
attempt('dir into itself', os.rename, 'tree', 'tree/sub/x')
attempt('dir on file', os.rename, 'tree', 'text')
attempt('file on dir', os.rename, 'text', 'tree')
attempt('exchange', renameat2, 'tree', 'prog', 2)
print(os.path.isdir('prog'), sorted(os.listdir('prog')), os.path.isfile('tree'))
attempt('exchange back', renameat2, 'prog', 'tree', 2)
attempt('noreplace', renameat2, 'tree', 'text', 1)
attempt('noreplace ok', renameat2, 'tree', 'tree2', 1)
attempt('across', os.rename, 'tree2/sub', 'dir/sub2')
print(sorted(os.listdir('tree2')), sorted(os.listdir('dir')), os.stat('tree2').st_nlink, os.stat('dir').st_nlink)
# links
attempt('unlink hard', os.unlink, 'hard')
print(os.stat('text').st_nlink, open('text').read())
attempt('link lower', os.link, 'text', 'dir/text3')
print(os.stat('text').st_nlink, os.stat('dir/text3').st_ino == os.stat('text').st_ino)
open('dir/text3', 'a').write('through link')
print(open('text').read())
attempt('symlink', os.symlink, 'text', 'dir/newlink')
attempt('readlink', os.readlink, 'soft'); attempt('via link', lambda: open('soft').read())
# removal
attempt('rmdir nonempty', os.rmdir, 'dir')
attempt('unlink dir', os.unlink, 'dir')
attempt('rmdir file', os.rmdir, 'text')
for n in sorted(os.listdir('gone')): os.unlink('gone/' + n)
print(os.listdir('gone'))
attempt('rmdir emptied', os.rmdir, 'gone')
attempt('stat', os.stat, 'gone')
attempt('mkdir again', os.mkdir, 'gone'); print(os.listdir('gone'))
attempt('create there', lambda: open('gone/a', 'w').write('fresh')); print(open('gone/a').read(), os.listdir('gone'))
attempt('unlink lower', os.unlink, 'victim')
attempt('open', open, 'victim')
attempt('excl', lambda: os.close(os.open('victim', os.O_CREAT | os.O_EXCL | os.O_WRONLY)))
print(os.stat('victim').st_size)
# used after unlink
f = open('later', 'r+b'); os.unlink('later'); print(f.read(10)); f.write(b'still'); f.seek(0); print(f.read(20), os.fstat(f.fileno()).st_nlink)
# attributes
os.utime('attr', ns=(1000000000123456789, 1100000000987654321)); s = os.stat('attr'); print(s.st_atime_ns, s.st_mtime_ns)
os.chmod('attr', 0o4755); 
try: os.chown('attr', 12, 34)
except PermissionError: print('eperm')
s = os.stat('attr'); print(oct(s.st_mode), s.st_size)
os.chmod('dir', 0o700); print(oct(os.stat('dir').st_mode))
attempt('mkfifo', os.mkfifo, 'ff'); print(stat.S_ISFIFO(os.stat('ff').st_mode))
fd = os.open('.', os.O_TMPFILE | os.O_RDWR); os.write(fd, b'tmp'); 
attempt('link tmp', os.link, '/proc/self/fd/%d' % fd, 'fromtmp', follow_symlinks=True); os.close(fd)
attempt('fromtmp', lambda: open('fromtmp').read())
# listing while removing, and telldir positions
for i in range(500): open('many/new%d' % i, 'w').close()
names = []
with os.scandir('many') as it:
    for e in it:
        names.append(e.name); os.unlink(e.path)
print(len(names), len(set(names)), os.listdir('many'))
attempt('dots', lambda: sorted(os.listdir('many')))
print('---')
print(listing())
