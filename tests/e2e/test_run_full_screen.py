"""Full-screen programs: what they draw, which keys they take, that they follow the window's size."""
import os
import re
import shutil

import pytest

pexpect = pytest.importorskip('pexpect')

from machine import command  # noqa: E402


def start(program, *arguments, cwd=None):
    if not shutil.which(program):
        pytest.skip(f'{program} is not installed')
    environment = dict(os.environ, TERM='xterm', LESS='', MANPAGER='less', LC_ALL='C.UTF-8', HOME='/')
    words = command(program, *arguments)
    return pexpect.spawn(words[0], words[1:], env=environment, encoding='utf-8', timeout=60,
                         dimensions=(24, 80), cwd=cwd)


def expect_end(child, status=0):
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == status


@pytest.fixture
def lines(tmp_path):
    """A file of 500 lines."""
    path = tmp_path / 'lines'
    path.write_text(''.join(f'this is line {n}\n' for n in range(1, 501)))
    return str(path)


def test_less_scrolls_searches_and_follows_the_size(lines):
    child = start('less', lines)
    child.expect('this is line 1\r?\n')
    child.expect('this is line 23')
    child.send(' ')
    child.expect('this is line 46')
    child.send('G')
    child.expect(r'this is line 500\r?\n.*\(END\)')
    child.send('?line 77\r')
    child.expect('line.{0,10} 77|line 77')
    child.send('g')
    child.expect('this is line 1\r?\n')
    child.setwinsize(40, 80)
    child.expect('this is line 39')
    child.send('q')
    expect_end(child)


def test_less_shows_what_a_pipe_brings_and_stops_it(lines):
    child = start('sh', '-c', f'yes "a line of yes" | head -100000 | less; cat {lines} | less; echo END')
    child.expect('a line of yes')
    child.send('q')
    child.expect('this is line 20')
    child.send('100g')
    child.expect('this is line 122')
    child.send('q')
    child.expect('END')
    expect_end(child)


def test_vim_edits_undoes_searches_filters_and_writes(lines):
    path = f'/tmp/vim-{os.getpid()}'
    child = start('sh', '-c', f'cp {lines} {path} && vim -u NONE -N {path}; tail -3 {path}; wc -l {path}; echo END')
    child.expect('this is line 22')
    child.send('Oa new line above\x1b')
    child.expect('a new line above')
    child.send('/line 300\r')
    child.expect('line 300')
    child.send('dddd')
    child.send('u')
    child.send(':%s/^this is/that was/\r')
    child.expect('substitutions')
    child.send(':2,10!sort -r\r')
    child.expect('lines filtered')
    child.send(':$r !echo from a shell\r')
    child.expect('from a shell')
    child.send(':w\r')
    child.expect('written')
    child.setwinsize(50, 100)
    child.expect('that was line 4[0-9][0-9]')
    child.send(':q\r')
    child.expect(r'that was line 499\r\nthat was line 500\r\nfrom a shell\r\n')
    child.expect(r'501 /tmp/vim-\d+\r\nEND')
    expect_end(child)


def test_vim_stops_for_a_shell_command_and_comes_back(lines):
    child = start('vim', '-u', 'NONE', '-N', lines)
    child.expect('this is line 22')
    child.send(':!echo $((6 * 7)); tty\r')
    child.expect(r'42\r\n/dev/\S+\r\n')
    child.expect('Press ENTER')
    child.send('\r')
    child.expect('this is line 22')
    child.send(':cq\r')
    expect_end(child, 1)


def test_top_shows_processes_sorts_them_and_kills_one():
    child = start('sh', '-c', 'sleep 1000 & top -d 1; wait $!; echo status $?')
    child.expect(r'top - \d\d:\d\d:\d\d up')
    child.expect(r'Tasks:')
    child.expect(r'MiB Mem')
    child.expect(r'PID .*USER')
    child.expect(r'(\d+) root[^\r]*sleep')
    pid = re.sub(r'\x1b[^m]*m', '', child.match.group(1))
    child.expect(r'top - \d\d:\d\d:\d\d up')  # it draws again by itself
    child.send('M')
    child.expect('PID')
    child.send('k')
    child.expect('PID to signal/kill')
    child.send(f'{pid}\r')
    child.expect(f'Send pid {pid} signal')
    child.send('9\r')
    child.expect('PID')
    child.send('q')
    child.expect('status 137')
    expect_end(child)


def test_htop_shows_processes_and_meters_and_quits():
    child = start('htop', '--no-color', '-d', '10')
    child.expect('Tasks:')
    child.expect('Load average:')
    child.expect('PID.{0,20}USER')
    child.send('q')
    expect_end(child)


def test_watch_and_tload_redraw():
    child = start('sh', '-c', 'watch -n 0.2 -g cat /proc/uptime; echo changed')
    child.expect('Every 0.2s')
    child.expect('changed')
    expect_end(child)
    child = start('tload', '-d', '1')
    child.expect(r'\d\.\d\d, \d\.\d\d, \d\.\d\d')
    child.send('\x03')
    child.expect(pexpect.EOF)
