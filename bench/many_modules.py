"""A large Python program, as far as its start goes: imports 213 modules of the standard library."""
import importlib
import sys
import warnings

WANTED = 213
NAMES = '''argparse ast asyncio base64 bisect bz2 calendar cmd code codecs collections configparser
contextlib copy csv ctypes curses dataclasses datetime decimal difflib dis doctest email.message
email.mime.multipart email.mime.text enum filecmp fileinput fnmatch fractions ftplib functools getopt
getpass gettext glob graphlib gzip hashlib heapq hmac html.parser http.client http.cookiejar
http.server imaplib inspect ipaddress json linecache locale logging.config logging.handlers lzma
mailbox mimetypes multiprocessing.pool netrc numbers optparse pathlib pdb pickletools pkgutil platform
plistlib poplib pprint profile pstats pyclbr pydoc queue quopri random reprlib'''.split()

warnings.simplefilter('ignore')
for name in NAMES:
    if len(sys.modules) >= WANTED:
        break
    importlib.import_module(name)
print(len(sys.modules), 'modules')
