"""What a program that forks may print: the outputs that its process graph allows.

A program is a tuple of steps: text, which is a line that it prints; `fork(child)`, which starts
another program (a tuple of steps, too) beside it; `WAIT`, which goes on when one of its children
has ended. `allows(program, lines)` tells whether some interleaving prints just those lines.
"""
WAIT = object()


class fork:
    def __init__(self, child):
        self.child = tuple(child)


def settled(processes):
    """Does all that prints nothing. A process is (its number, its parent, the steps left)."""
    processes, changed = list(processes), True
    while changed:
        changed = False
        for at, (me, parent, steps) in enumerate(processes):
            if steps and isinstance(steps[0], fork):
                processes[at] = (me, parent, steps[1:])
                processes.append((me + (len(processes),), me, steps[0].child))
                changed = True
            elif steps and steps[0] is WAIT:
                ended = [p for p in processes if p[1] == me and not p[2]]
                if ended:
                    processes[at] = (me, parent, steps[1:])
                    processes.remove(ended[0])
                    changed = True
                    break
    return frozenset(processes)


def allows(program, lines):
    states = {settled([((), None, tuple(program))])}
    for line in lines:
        states = {settled((processes - {process}) | {(me, parent, steps[1:])})
                  for processes in states for process in processes
                  for me, parent, steps in [process] if steps and steps[0] == line}
    return any(not steps for processes in states
               for steps in [[s for _, _, s in processes if s]])
