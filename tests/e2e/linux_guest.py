"""A Linux guest as referee: Debian's 6.1 kernel, unpacked under build/ and never installed, with an
initramfs of busybox and a script, in QEMU with the file server's device."""
import glob, gzip, os, stat, subprocess, time

from pith import BUILD, TREE

DIRECTORY = os.path.join(BUILD, 'linux-guest')
SERVER = os.path.join(BUILD, 'host', 'fs-serve')
# In the order of their dependencies.
MODULES = ['virtio/virtio_ring', 'virtio/virtio', 'virtio/virtio_pci_modern_dev',
           'virtio/virtio_pci_legacy_dev', 'virtio/virtio_pci']
FILE_SYSTEMS = ['fuse/fuse', 'fuse/virtiofs']
INIT = '''#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in %s; do insmod /modules/$module.ko; done
mount -t virtiofs pith /mnt
echo "== begin"
. /script
echo "== end"
poweroff -f
'''


class Unavailable(Exception):
    """This machine has no such kernel, and cannot get it."""


def kernel():
    """Returns (the kernel's image, its modules' directory); gets the package the first time."""
    root = os.path.join(DIRECTORY, 'root')
    if not glob.glob(os.path.join(root, 'boot', 'vmlinuz-*')):
        os.makedirs(DIRECTORY, exist_ok=True)
        depends = subprocess.run(['apt-cache', 'depends', 'linux-image-cloud-amd64'],
                                 stdout=subprocess.PIPE, text=True).stdout
        names = [word for word in depends.split() if word.startswith('linux-image-6.1')]
        if not names:
            raise Unavailable('apt knows no linux-image-cloud-amd64 6.1')
        subprocess.run(['apt-get', '-q', '-o', 'APT::Sandbox::User=', 'download', names[0]],
                       cwd=DIRECTORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        packages = glob.glob(os.path.join(DIRECTORY, names[0] + '_*.deb'))
        if not packages:
            raise Unavailable('cannot download ' + names[0])
        subprocess.run(['dpkg-deb', '-x', packages[0], root], check=True)
    return (glob.glob(os.path.join(root, 'boot', 'vmlinuz-*'))[0],
            os.path.join(glob.glob(os.path.join(root, 'lib', 'modules', '*'))[0], 'kernel'))


def cpio_entry(name, mode, data=b''):
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    entry = b'070701' + b''.join(b'%08x' % field for field in fields) + name.encode() + b'\0'
    entry += b'\0' * (-len(entry) % 4) + data
    return entry + b'\0' * (-len(data) % 4)


def initramfs(modules, script):
    busybox = open('/bin/busybox', 'rb').read()
    parts = [cpio_entry(name, stat.S_IFDIR | 0o755)
             for name in ('bin', 'modules', 'mnt', 'proc', 'dev')]
    for path in ['drivers/' + name for name in MODULES] + ['fs/' + name for name in FILE_SYSTEMS]:
        with open(os.path.join(modules, path + '.ko'), 'rb') as file:
            parts.append(cpio_entry('modules/' + os.path.basename(path) + '.ko',
                                    stat.S_IFREG | 0o644, file.read()))
    names = ' '.join(os.path.basename(path) for path in MODULES + FILE_SYSTEMS)
    parts.append(cpio_entry('bin/busybox', stat.S_IFREG | 0o755, busybox))
    parts.append(cpio_entry('init', stat.S_IFREG | 0o755, (INIT % names).encode()))
    parts.append(cpio_entry('script', stat.S_IFREG | 0o644, script.encode()))
    parts.append(cpio_entry('TRAILER!!!', 0))
    return gzip.compress(b''.join(parts), 1)


def run(directory, script, shares, seconds=120):
    """Runs a shell script in the guest, the shares below /mnt; returns its output, a list of lines.
    The server must end well too."""
    if not os.path.exists('/bin/busybox'):
        raise Unavailable('no busybox (package busybox-static)')
    image, modules = kernel()
    archive = os.path.join(directory, 'initramfs')
    socket = os.path.join(directory, 'fs.socket')
    with open(archive, 'wb') as file:
        file.write(initramfs(modules, script))
    server = subprocess.Popen([SERVER, socket, *shares], cwd=TREE)
    while not os.path.exists(socket) and server.poll() is None:
        time.sleep(0.01)
    machine = subprocess.run(
        ['qemu-system-x86_64', '-accel', 'tcg', '-cpu', 'max,-erms,-fsrm,-pku', '-M', 'q35',
         '-m', '512', '-nodefaults', '-no-user-config', '-display', 'none', '-serial', 'stdio',
         '-no-reboot', '-kernel', image, '-initrd', archive,
         '-append', 'console=ttyS0 quiet mitigations=off panic=-1',
         '-object', 'memory-backend-memfd,id=mem,size=512M,share=on',
         '-machine', 'memory-backend=mem', '-chardev', 'socket,id=fs,path=' + socket,
         '-device', 'vhost-user-fs-pci,chardev=fs,tag=pith'],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=seconds)
    assert server.wait(10) == 0, 'the file server failed'
    lines = machine.stdout.decode(errors='surrogateescape').replace('\r', '').split('\n')
    assert '== end' in lines, machine.stdout[-4000:]
    return lines[lines.index('== begin') + 1:lines.index('== end')]
