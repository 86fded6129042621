"""json, sqlite3, ctypes, mmap, compressed archives, temporary files, watching a directory."""
import ctypes
import ctypes.util
import csv
import glob
import hashlib
import json
import lzma
import mmap
import os
import pathlib
import pickle
import shutil
import sqlite3
import tarfile
import tempfile
import zipfile

data = {'numbers': list(range(1000)), 'text': 'ä€\U0001f600', 'nested': [{'a': None}, True, 1.5]}
pathlib.Path('data.json').write_text(json.dumps(data))
print(json.load(open('data.json')) == data, pickle.loads(pickle.dumps(data)) == data)

with sqlite3.connect('db') as database:
    database.execute('create table t(a integer primary key, b text)')
    database.executemany('insert into t(b) values(?)', ((f'row {n}',) for n in range(5000)))
print(database.execute('select count(*), max(b) from t').fetchone())
try:
    with database:
        database.execute('insert into t values(1, "again")')
except sqlite3.IntegrityError as error:
    print(error)
print(sqlite3.connect('file:db?mode=ro', uri=True).execute('pragma integrity_check').fetchone())

libc = ctypes.CDLL(ctypes.util.find_library('c'), use_errno=True)
COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
array = (ctypes.c_int * 6)(3, 1, 2, 9, -5, 0)
libc.qsort(array, 6, ctypes.sizeof(ctypes.c_int), COMPARE(lambda a, b: a[0] - b[0]))
print(list(array), libc.open(b'missing', 0), os.strerror(ctypes.get_errno()))
libm = ctypes.CDLL(ctypes.util.find_library('m'))
libm.pow.argtypes, libm.pow.restype = [ctypes.c_double] * 2, ctypes.c_double
print(libm.pow(2, 0.5))

with open('mapped', 'w+b') as file:
    file.truncate(10000)
    with mmap.mmap(file.fileno(), 0) as memory:
        memory[5000:5005] = b'words'
        memory.flush()
        print(memory.find(b'words'), os.pread(file.fileno(), 5, 5000))

os.makedirs('tree/a/b')
for n in range(30):
    pathlib.Path(f'tree/a/{n}').write_text('x' * n)
shutil.copytree('tree', 'copy')
shutil.make_archive('archive', 'gztar', 'tree')
with tarfile.open('archive.tar.gz') as archive:
    print(sum(member.size for member in archive), len(archive.getnames()))
with zipfile.ZipFile('archive.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
    for path in sorted(glob.glob('tree/**', recursive=True)):
        archive.write(path)
print(zipfile.ZipFile('archive.zip').testzip(), len(zipfile.ZipFile('archive.zip').namelist()))
print(hashlib.sha256(lzma.decompress(lzma.compress(b'z' * 100000))).hexdigest()[:16])
with tempfile.TemporaryDirectory() as directory, tempfile.NamedTemporaryFile(dir=directory) as file:
    file.write(b'gone')
    file.flush()
    print(os.path.getsize(file.name), os.listdir(directory) == [os.path.basename(file.name)])
print(os.path.exists(directory))
shutil.rmtree('copy')
with open('table.csv', 'w', newline='') as file:
    csv.writer(file).writerows([[1, 'a,b'], [2, 'c"d']])
print(list(csv.reader(open('table.csv'))))
os.rename('table.csv', 'renamed.csv')
os.link('renamed.csv', 'linked.csv')
print(os.stat('linked.csv').st_nlink, sorted(entry.name for entry in os.scandir('.') if entry.is_file()))
