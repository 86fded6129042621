"""Reads tests/programs/commands.txt, whose head says how it is written."""
import os
import re

from pith import TREE

PATH = os.path.join(TREE, 'tests', 'programs', 'commands.txt')


class Row:
    def __init__(self, program, name, command, soak):
        self.program, self.name, self.soak = program, f'{program}.{name}'.replace(' ', '_'), soak
        self.command = command
        self.rules = []  # (pattern, replacement)

    def form(self, text):
        """The text with what is the machine's own replaced."""
        for pattern, replacement in self.rules:
            text = re.sub(pattern, replacement, text, flags=re.M)
        return text


def blocks(path):
    """The lines of the file, each with the indented ones that follow it, without comments."""
    block = []
    with open(path) as file:
        for line in file:
            if not line[0].isspace():
                if block:
                    yield block
                block = [] if line.startswith('#') else [line.rstrip('\n')]
            elif line.strip():
                block.append(line.rstrip('\n'))
    if block:
        yield block


def read_table(path=PATH):
    """Returns (the rows, the reason for each program that has none)."""
    rows, excluded = [], {}
    program = None
    for first, *more in blocks(path):
        section = re.fullmatch(r'\[(.+)\]', first)
        row = re.fullmatch(r'(soak )?(\w+): (.*)', first)
        reason = re.fullmatch(r'excluded ([^:]+): (.*)', first)
        if section:
            program = section.group(1)
        elif reason:
            names = ' '.join([reason.group(2), *map(str.strip, more)])
            excluded.update((name.strip(), reason.group(1)) for name in names.split(','))
        else:
            assert row, f'{path}: {first}'
            text = [row.group(3)] + [line.strip() for line in more if line.strip()[0] != '~']
            rows.append(Row(program, row.group(2), '\n'.join(text), bool(row.group(1))))
            for line in more:
                rule = re.fullmatch(r'\s*~ (.*) => (.*)', line)
                assert rule or line.strip()[0] != '~', f'{path}: {line}'
                if rule:
                    rows[-1].rules.append(rule.groups())
    return rows, excluded
