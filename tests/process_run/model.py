"""A second model of the book's rules, against which the C program is compared.

It is written for being obviously right, not fast: all is looked up anew in every unit, numbers of
any size come from Python itself, and so does the random generator.
"""
import random

CPU, IO, IO_DONE = "cpu", "io", "io_done"


class Process:
    def __init__(self, instructions):
        self.instructions = list(instructions)
        self.state = "READY"
        self.wakes_in = None  # the unit before which its input or output completes


def random_programs(text, seed):
    """The instructions of each process of -l."""
    generator = random.Random(seed)
    programs = []
    for description in text.split(","):
        count, percent = description.split(":")
        program = []
        for _ in range(int(count)):
            uses_cpu = generator.random() < float(percent) / 100.0
            program += [CPU] if uses_cpu else [IO, IO_DONE]
        programs.append(program)
    return programs


def exact_programs(text):
    """The instructions of each process of -P."""
    programs = []
    for description in text.split(":"):
        program = []
        for word in description.split(","):
            program += [IO, IO_DONE] if word == "i" else [CPU] * int(word[1:])
        programs.append(program)
    return programs


class Machine:
    """One CPU. `holder` has it; where nobody has, `place` is where the last holder stands."""

    def __init__(self, programs, io_length, switch_on_end, run_immediately):
        self.processes = [Process(program) for program in programs]
        self.io_length = io_length
        self.switch_on_end = switch_on_end
        self.run_immediately = run_immediately
        self.place = 0
        self.holder = None
        self.give_cpu_to(self.processes[0])

    def give_cpu_to(self, process):
        self.holder = process
        self.place = self.processes.index(process)
        process.state = "RUNNING"

    def give_cpu_to_next(self):
        count = len(self.processes)
        for distance in range(1, count + 1):
            process = self.processes[(self.place + distance) % count]
            if process.state == "READY":
                self.give_cpu_to(process)
                return

    def retire_holder(self):
        """Ends the holder if it has nothing left to do."""
        if self.holder and not self.holder.instructions:
            self.holder.state = "DONE"
            self.holder = None
            self.give_cpu_to_next()

    def complete(self, process):
        process.wakes_in = None
        process.state = "READY"
        others = [p for p in self.processes if p.state in ("READY", "RUNNING") and p is not process]
        if self.run_immediately:
            if self.holder:
                self.holder.state = "READY"
            self.give_cpu_to(process)
        elif self.switch_on_end or not others:
            self.give_cpu_to(process)
        self.retire_holder()

    def unit(self, time):
        """Plays one unit; returns (mark, cells, busy, ios)."""
        completed = [p for p in self.processes if p.wakes_in == time]
        for process in completed:
            self.complete(process)
        runner, instruction = None, None
        if self.holder and self.holder.instructions:
            runner = self.holder
            instruction = runner.instructions.pop(0)
        cells = ["RUN:" + instruction if p is runner else p.state for p in self.processes]
        ios = sum(1 for p in self.processes if p.wakes_in is not None and p.wakes_in > time)
        if instruction == IO:
            runner.state = "BLOCKED"
            runner.wakes_in = time + self.io_length + 1
            self.holder = None
            if not self.switch_on_end:
                self.give_cpu_to_next()
        self.retire_holder()
        return bool(completed), cells, runner is not None, ios

    def is_over(self):
        return all(process.state == "DONE" for process in self.processes)


def percentage(part, whole):
    return "%.2f%%" % (100.0 * part / whole)


def run(programs, io_length, switch_on_end, run_immediately, with_stats):
    """What -c prints, with or without -p."""
    machine = Machine(programs, io_length, switch_on_end, run_immediately)
    names = ["PID:%2d" % number for number in range(len(programs))] + ["CPU", "IOs"]
    lines = ["Time" + "".join(name.rjust(14) for name in names)]
    time = busy_units = io_units = 0
    while not machine.is_over():
        time += 1
        mark, cells, busy, ios = machine.unit(time)
        busy_units += busy
        io_units += ios > 0
        row = str(time).rjust(3) + ("*" if mark else " ")
        row += "".join(cell.rjust(14) for cell in cells)
        row += ("1" if busy else " ").rjust(14)
        row += str(ios).rjust(14) if ios else " " * 10
        lines.append(row)
    if with_stats:
        lines += ["", "Stats: Total Time %d" % time,
                  "Stats: CPU Busy %d (%s)" % (busy_units, percentage(busy_units, time)),
                  "Stats: IO Busy  %d (%s)" % (io_units, percentage(io_units, time)), ""]
    return "\n".join(lines) + "\n"
