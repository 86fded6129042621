"""subprocess, threading, multiprocessing, asyncio, signals, executors, unix-domain sockets."""
import asyncio
import concurrent.futures
import multiprocessing
import multiprocessing.shared_memory
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
import time


def show(*words):
    print(*words, flush=True)


def square(number):
    return number * number


def count(value, rounds):
    for _ in range(rounds):
        with value.get_lock():
            value.value += 1


def subprocesses():
    show(subprocess.run(['sort'], input='b\na\n', capture_output=True, text=True).stdout.split())
    show(subprocess.run('echo out; echo err >&2; exit 4', shell=True, capture_output=True))
    try:
        subprocess.run(['sleep', '30'], timeout=0.2)
    except subprocess.TimeoutExpired as error:
        show('timeout', error.cmd)
    try:
        subprocess.run(['/no/such/program'])
    except FileNotFoundError as error:
        show(error)
    child = subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    show(len(child.communicate(b'x' * 1000000)[0]), child.returncode)
    child = subprocess.Popen(['sleep', '30'], start_new_session=True)
    os.killpg(child.pid, signal.SIGTERM)
    show(child.wait())
    show(subprocess.check_output(['sh', '-c', 'echo $A; pwd'], env={'A': 'set'}, cwd='/').split())
    producer = subprocess.Popen(['seq', '100000'], stdout=subprocess.PIPE)
    show(subprocess.check_output(['wc', '-l'], stdin=producer.stdout).strip(), producer.wait())


def threads():
    lock, total, done = threading.Lock(), [0], queue.Queue()
    barrier, local = threading.Barrier(5), threading.local()

    def work(number):
        local.number = number
        barrier.wait()
        for _ in range(200):
            with lock:
                total[0] += local.number
        done.put(number)
    workers = [threading.Thread(target=work, args=(n,)) for n in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    show(total[0], sorted(done.get() for _ in workers))
    event = threading.Event()
    threading.Timer(0.1, event.set).start()
    show(event.wait(30), threading.active_count() <= 2)
    condition, items = threading.Condition(), []

    def consume():
        with condition:
            condition.wait_for(lambda: items)
            show('got', items.pop())
    consumer = threading.Thread(target=consume)
    consumer.start()
    with condition:
        items.append('item')
        condition.notify()
    consumer.join()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        show(list(pool.map(square, range(6))))


def processes():
    with multiprocessing.Pool(3) as pool:
        show(pool.map(square, range(10)), pool.apply_async(square, (12,)).get())
    value = multiprocessing.Value('i', 0)
    workers = [multiprocessing.Process(target=count, args=(value, 200)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    show(value.value, [worker.exitcode for worker in workers])
    messages = multiprocessing.Queue()
    worker = multiprocessing.Process(target=messages.put, args=({'a': [1, 2]},))
    worker.start()
    show(messages.get(), worker.join())
    receiver, sender = multiprocessing.Pipe(duplex=False)
    sender.send('through a pipe')
    show(receiver.poll(10), receiver.recv())
    left, right = multiprocessing.Pipe()
    left.send({'through': 'a pair of sockets'})
    show(right.recv())
    with multiprocessing.Manager() as manager:
        numbers = manager.dict()
        worker = multiprocessing.Process(target=numbers.__setitem__, args=('a', 1))
        worker.start()
        worker.join()
        show(dict(numbers))
    memory = multiprocessing.shared_memory.SharedMemory(create=True, size=100)
    worker = multiprocessing.Process(target=memory.buf.__setitem__, args=(7, 42))
    worker.start()
    worker.join()
    again = multiprocessing.shared_memory.SharedMemory(memory.name)
    show(again.buf[7])
    again.close()
    memory.close()
    memory.unlink()
    spawned = multiprocessing.get_context('spawn').Process(target=show, args=('spawned',))
    spawned.start()
    spawned.join()
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        show(sum(pool.map(square, range(20))))
    array = multiprocessing.Array('d', [1.5, 2.5])
    worker = multiprocessing.Process(target=lambda: array.__setitem__(0, 9.5))
    worker.start()
    worker.join()
    show(list(array))


async def ask(path):
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b'question\n')
    answer = await reader.readline()
    writer.close()
    return answer


async def answer(reader, writer):
    writer.write((await reader.readline()).upper())
    writer.close()


async def talk():
    server = await asyncio.start_unix_server(answer, 'socket')
    show(await asyncio.gather(*(ask('socket') for _ in range(4))))
    server.close()
    child = await asyncio.create_subprocess_exec('sh', '-c', 'cat; exit 3', stdin=subprocess.PIPE,
                                                 stdout=subprocess.PIPE)
    show(await child.communicate(b'through a child'), child.returncode)
    show(await asyncio.gather(*(asyncio.sleep(0.01, n) for n in range(4))))
    try:
        await asyncio.wait_for(asyncio.sleep(30), 0.05)
    except asyncio.TimeoutError:
        show('timeout')


def sockets():
    asyncio.run(talk())
    left, right = socket.socketpair()
    with open('passed', 'w') as file:
        socket.send_fds(left, [b'a file'], [file.fileno()])
    message, descriptors, _, _ = socket.recv_fds(right, 100, 1)
    os.write(descriptors[0], b'written by another')
    show(message, open('passed').read())
    left.close()
    show(right.recv(10))


def signals():
    seen = []
    signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    signal.signal(signal.SIGALRM, lambda number, frame: seen.append(number))
    while len(seen) < 2:
        signal.pause()
    show(seen)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b'from the child')
        os._exit(5)
    show(os.read(reader, 100), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    poll = select.epoll()
    poll.register(reader, select.EPOLLIN)
    show(poll.poll(0))
    os.write(writer, b'x')
    show(poll.poll(10) == [(reader, select.EPOLLIN)], select.select([reader], [], [], 10)[0] == [reader])
    started = time.monotonic()
    time.sleep(0.05)
    show(time.monotonic() - started >= 0.05)


if __name__ == '__main__':
    for part in subprocesses, threads, processes, sockets, signals:
        show('----', part.__name__)
        part()
