"""What the tests of process-run share: how a test is named, counted and reported."""
import concurrent.futures
import os
import subprocess

passed = failed = 0


def report(name, problem=None):
    """One line a test: a problem is a string, None is success."""
    global passed, failed
    if problem is None:
        passed += 1
        print(f"ok {name}")
    else:
        failed += 1
        print(f"FAIL {name}: {problem}")


def finish():
    print(f"process-run: {passed} passed, {failed} failed")
    return failed != 0


class Run:
    def __init__(self, program, arguments, timeout=60):
        self.arguments = arguments
        result = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL,
                                capture_output=True, timeout=timeout, check=False)
        self.status = result.returncode
        self.output = result.stdout.decode(errors="replace")
        self.errors = result.stderr.decode(errors="replace")


def run_all(function, items):
    """The results of a function that mostly waits for a child, for all items, in their order."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(function, items))
