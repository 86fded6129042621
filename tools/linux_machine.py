"""Debian's Linux 6.1 as a virtual machine, to compare with: the referee (tools/linux-run), the other
side of the benchmarks (bench/compare), another client of the file server (tests/e2e).

The kernel is Debian's package, fetched by `apt-get download`, unpacked below the build directory and
never installed. Two are used: `cloud-amd64`, which boots quickest, and `amd64`, which has the client
of 9p too. What a machine needs comes in an initramfs that is made for it, with the modules that are
not built in; files carry no times, so that equal machines run equally by the instruction clock.
"""
import glob
import lzma
import os
import re
import stat
import subprocess

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CPU = 'max,-erms,-fsrm,-pku'
# Linux at its best, and as Debian ships it.
BEST_WORDS = 'mitigations=off init_on_alloc=0'
WORDS = 'quiet panic=-1 reboot=t tsc=reliable'
# Without PIT and RTC Linux calibrates its clock for seconds, or hangs; no option ROM is needed.
MICROVM = 'microvm,isa-serial=on,x-option-roms=off'
RELEASE = 'linux-image-6.1'


class Unavailable(Exception):
    """This machine has no such kernel, and cannot get it."""


class Kernel:
    """Debian's kernel of a flavour, unpacked below `build`; downloaded the first time."""

    def __init__(self, build, flavour='cloud-amd64'):
        self.directory = os.path.join(build, 'linux-guest')
        self.root = os.path.join(self.directory, flavour)
        if not self.find('boot/vmlinuz-*'):
            self.download('linux-image-' + flavour)
        self.image = self.find('boot/vmlinuz-*')[0]

    def find(self, pattern):
        return glob.glob(os.path.join(self.root, pattern), recursive=True)

    def download(self, package):
        os.makedirs(self.directory, exist_ok=True)
        try:
            depends = subprocess.run(['apt-cache', 'depends', package], stdout=subprocess.PIPE,
                                     text=True).stdout.split()
        except FileNotFoundError:
            raise Unavailable('no apt on this machine') from None
        names = [word for word in depends if word.startswith(RELEASE)]
        if not names:
            raise Unavailable(f'apt knows no {package} of {RELEASE}: run it on Debian 12')
        subprocess.run(['apt-get', '-q', '-o', 'APT::Sandbox::User=', 'download', names[0]],
                       cwd=self.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        archives = glob.glob(os.path.join(self.directory, names[0] + '_*.deb'))
        if not archives:
            raise Unavailable('cannot download ' + names[0])
        # Whole or not there at all, also when two runs come here at once.
        unpacked = f'{self.root}.{os.getpid()}'
        subprocess.run(['dpkg-deb', '-x', archives[0], unpacked], check=True)
        os.unlink(archives[0])
        try:
            os.rename(unpacked, self.root)
        except OSError:
            subprocess.run(['rm', '-rf', unpacked], check=True)

    def uncompressed(self):
        """The kernel's ELF image, which PVH enters at once."""
        path = os.path.join(self.root, 'vmlinux')
        if not os.path.exists(path):
            with open(self.image, 'rb') as file:
                data = elf_within(file.read())
            write_whole(path, data)
        return path

    def modules(self, *names):
        """[(name, contents)] of the modules and all that they depend on, in the order to load."""
        paths = {os.path.basename(path)[:-3].replace('-', '_'): path for path in
                 self.find('lib/modules/*/kernel/**/*.ko')}
        ordered = {}

        def add(name):
            if name in ordered or name not in paths:
                return
            with open(paths[name], 'rb') as file:
                data = file.read()
            depends = re.search(rb'\0depends=([^\0]*)\0', data)
            for other in depends[1].decode().split(',') if depends else []:
                add(other.replace('-', '_'))
            ordered[name] = data
        for name in names:
            add(name)
        return list(ordered.items())


def elf_within(image):
    """The kernel in a bzImage: compressed by LZ4's old format (cloud) or by XZ."""
    for match in re.finditer(b'\x02\x21\x4c\x18|\xfd7zXZ\0', image):
        packed = image[match.start():]
        if packed.startswith(b'\xfd'):
            data = lzma.LZMADecompressor().decompress(packed)
        else:
            data = subprocess.run(['lz4', '-dc'], input=packed, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL).stdout
        if data.startswith(b'\x7fELF'):
            return data
    raise Unavailable('no kernel found in the image of the package')


def write_whole(path, data):
    temporary = f'{path}.{os.getpid()}'
    with open(temporary, 'wb') as file:
        file.write(data)
    os.rename(temporary, path)


def cpio_entry(name, mode, data=b'', device=(0, 0)):
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0]
    entry = b'070701' + b''.join(b'%08x' % field for field in fields) + name.encode() + b'\0'
    entry += b'\0' * (-len(entry) % 4) + data
    return entry + b'\0' * (-len(data) % 4)


def initramfs(files, directories=()):
    """An archive of {name: contents}, all executable, with a console."""
    parts = [cpio_entry(name, stat.S_IFDIR | 0o755) for name in ('dev', *directories)]
    parts.append(cpio_entry('dev/console', stat.S_IFCHR | 0o600, device=(5, 1)))
    parts += [cpio_entry(name, stat.S_IFREG | 0o755, data) for name, data in files.items()]
    return b''.join(parts) + cpio_entry('TRAILER!!!', 0)


def qemu(image, archive, machine, memory, cpus=1, words=BEST_WORDS):
    """QEMU's command line but for devices and where the serial port goes."""
    return ['qemu-system-x86_64', '-accel', 'tcg', '-machine', machine, '-cpu', CPU,
            '-smp', str(cpus), '-m', memory, '-nodefaults', '-no-user-config', '-display', 'none',
            '-no-reboot', '-kernel', image, '-initrd', archive,
            '-append', f'{words} {WORDS} console=ttyS0']
