"""A Linux guest as another client of the file server: Debian's 6.1 kernel with an initramfs of busybox
and a script, in QEMU with the file server's device."""
import os
import subprocess
import sys
import time

from pith import BUILD, TREE

sys.path.insert(0, os.path.join(TREE, 'tools'))
from linux_machine import Kernel, Unavailable, initramfs, qemu

SERVER = os.path.join(BUILD, 'host', 'fs-serve')
MODULES = ['virtio_pci', 'virtiofs']
INIT = '''#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in %s; do insmod /$module.ko; done
mount -t virtiofs pith /mnt
echo "== begin"
. /script
echo "== end"
reboot -f
'''


def archive_write(path, kernel, script):
    modules = dict(kernel.modules(*MODULES))
    files = {name + '.ko': data for name, data in modules.items()}
    files.update(init=(INIT % ' '.join(modules)).encode(), script=script.encode())
    with open('/bin/busybox', 'rb') as file:
        files['bin/busybox'] = file.read()
    with open(path, 'wb') as file:
        file.write(initramfs(files, ('bin', 'mnt', 'proc')))


def run(directory, script, shares, seconds=120):
    """Runs a shell script in the guest, the shares below /mnt; returns its output, a list of lines.
    The server must end well too."""
    if not os.path.exists('/bin/busybox'):
        raise Unavailable('no busybox (package busybox-static)')
    kernel = Kernel(BUILD)
    archive = os.path.join(directory, 'initramfs')
    socket = os.path.join(directory, 'fs.socket')
    archive_write(archive, kernel, script)
    server = subprocess.Popen([SERVER, socket, *shares], cwd=TREE)
    while not os.path.exists(socket) and server.poll() is None:
        time.sleep(0.01)
    machine = subprocess.run(
        [*qemu(kernel.image, archive, 'q35,memory-backend=mem', '512M'), '-serial', 'stdio',
         '-object', 'memory-backend-memfd,id=mem,size=512M,share=on',
         '-chardev', 'socket,id=fs,path=' + socket,
         '-device', 'vhost-user-fs-pci,chardev=fs,tag=pith'],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=seconds)
    assert server.wait(10) == 0, 'the file server failed'
    lines = machine.stdout.decode(errors='surrogateescape').replace('\r', '').split('\n')
    assert '== end' in lines, machine.stdout[-4000:]
    return lines[lines.index('== begin') + 1:lines.index('== end')]
