// V8 with its compilers in four worker threads, whose sums come back as messages; then a child.
'use strict';
const { execFileSync } = require('child_process');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');

const WORKERS = 4;

function sum(rounds) {
    let result = 0;
    for (let i = 0; i < rounds; i++)
        result = (result * 31 + i) % 1000003;
    return result;
}

function startAll() {
    const sums = [];
    let running = WORKERS;
    for (let n = 0; n < WORKERS; n++) {
        const worker = new Worker(__filename, { workerData: 300000 * (n + 1) });
        worker.on('message', (result) => { sums[n] = result; });
        worker.on('exit', (status) => {
            console.log('a worker ended with', status);
            if (--running === 0) {
                console.log(sums.join(' '));
                process.stdout.write(execFileSync('cat', { input: 'through a child\n' }));
            }
        });
    }
}

if (isMainThread)
    startAll();
else
    parentPort.postMessage(sum(workerData));
