# Programs on another allocator, with many threads at it: jemalloc, by LD_PRELOAD.
set -e
export LD_PRELOAD=libjemalloc.so.2
grep -c 'r-xp.*libjemalloc' /proc/self/maps
/usr/bin/python3 -c '
import threading
def work(number, sums):
    kept = [bytes([number]) * (size % 5000) for size in range(3000)]
    sums[number] = sum(map(len, kept[::2]))
sums = [0] * 8
threads = [threading.Thread(target=work, args=(n, sums)) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sums)'
seq 20000 | sort -R --parallel=4 | sort -n | md5sum
perl -e '@a = map { "x" x $_ } 1..2000; print length(join "", @a), "\n"'
