"""An interactive bash through a terminal: job control, editing, sizes, full-screen programs."""
import os
import shutil

import pytest

pexpect = pytest.importorskip('pexpect')

from machine import command  # noqa: E402

PROMPT = 'pith-prompt> '


def start(*program, **more):
    environment = dict(os.environ, PS1=PROMPT, TERM='xterm', PITH_TEST_PROMPT=PROMPT)
    words = command(*program, options=['--timeout', '240'])
    return pexpect.spawn(words[0], words[1:], env=environment, encoding='utf-8', timeout=60,
                         dimensions=(30, 90), **more)


@pytest.fixture
def bash():
    child = start('bash', '--norc', '--noprofile', '-i')
    child.expect_exact(PROMPT)
    yield child
    child.close(force=True)


def say(child, line):
    child.sendline(line)
    child.expect_exact('\r\n')


def test_commands_echo_and_answer(bash):
    say(bash, 'echo $((6 * 7))')
    bash.expect_exact('42\r\n')
    bash.expect_exact(PROMPT)
    say(bash, 'exit 5')
    bash.expect(pexpect.EOF)
    bash.close()
    assert bash.exitstatus == 5


def test_window_size_is_the_callers_and_follows(bash):
    say(bash, 'stty size')
    bash.expect_exact('30 90')
    bash.setwinsize(40, 100)
    say(bash, 'sleep 1; stty size')
    bash.expect_exact('40 100')


def test_ctrl_c_ends_the_pipeline_and_not_the_shell(bash):
    say(bash, 'sleep 100 | cat')
    bash.expect(pexpect.TIMEOUT, timeout=1)
    bash.sendcontrol('c')
    bash.expect_exact('^C')
    bash.expect_exact(PROMPT)
    say(bash, 'echo $?')
    bash.expect_exact('130')


def test_ctrl_z_stops_and_fg_and_bg_continue(bash):
    say(bash, 'sleep 100')
    bash.expect(pexpect.TIMEOUT, timeout=1)
    bash.sendcontrol('z')
    bash.expect('Stopped')
    bash.expect_exact(PROMPT)
    say(bash, 'jobs')
    bash.expect('Stopped.*sleep 100')
    say(bash, 'bg')
    bash.expect_exact('sleep 100 &')
    say(bash, 'jobs')
    bash.expect('Running')
    say(bash, 'fg')
    bash.expect_exact('sleep 100')
    bash.expect(pexpect.TIMEOUT, timeout=1)
    bash.sendcontrol('c')
    bash.expect_exact(PROMPT)
    say(bash, 'jobs; echo end')
    bash.expect_exact('end')


def test_background_reader_is_stopped(bash):
    say(bash, 'cat &')
    bash.expect_exact(PROMPT)
    say(bash, 'sleep 0.5; jobs')
    bash.expect('Stopped')
    say(bash, 'kill %1')


def test_ctrl_d_ends_input_and_the_shell(bash):
    say(bash, 'cat')
    say(bash, 'a line')
    bash.expect_exact('a line')
    bash.sendcontrol('d')
    bash.expect_exact(PROMPT)
    bash.sendcontrol('d')
    bash.expect(pexpect.EOF)
    bash.close()
    assert bash.exitstatus in (0, 130)


def test_line_editing_moves_and_deletes(bash):
    bash.send('echo w"or"ldX')  # quotes, so that only the output has the word
    bash.send('\x7f')  # backspace
    bash.send('\x01\x1b[C\x1b[C\x1b[C\x1b[C\x1b[C')  # home, five to the right
    bash.send('h"ell"o-')
    bash.send('\r')
    bash.expect_exact('hello-world\r\n')


def test_history_brings_the_last_line_back(bash):
    say(bash, 'echo first$((1 + 1))')
    bash.expect_exact('first2')
    bash.expect_exact(PROMPT)
    bash.send('\x1b[A\r')
    bash.expect_exact('first2')


@pytest.mark.parametrize('editor', ['vi', 'nano'])
def test_editor_draws_writes_and_redraws_after_a_resize(editor):
    if not shutil.which(editor):
        pytest.skip(f'{editor} is not installed')
    path = f'/tmp/edited-{os.getpid()}'  # a name that the host does not have
    child = start('sh', '-c', f'{editor} {path}; cat {path}; echo END')
    child.expect('edited|GNU nano')
    child.setwinsize(20, 60)
    child.expect(pexpect.TIMEOUT, timeout=2)
    if editor == 'vi':
        child.send('ihello from vi\x1b')
        child.expect(pexpect.TIMEOUT, timeout=1)
        child.send(':wq\r')
    else:
        child.send('\x0c')  # nano may drop the first key after a resize, on Linux too: a redraw
        child.send('hello from nano')
        child.expect(pexpect.TIMEOUT, timeout=1)
        child.send('\x0f\r\x18')
    child.expect(f'hello from {editor}\r\nEND')
    child.close(force=True)


def test_stty_settings_are_restored_for_the_caller():
    host = pexpect.spawn('bash', ['--norc', '--noprofile'], encoding='utf-8', timeout=100,
                         env=dict(os.environ, PS1=PROMPT))
    host.expect_exact(PROMPT)
    host.sendline('stty -g >/tmp/before.$$')
    host.expect_exact(PROMPT)
    host.sendline(' '.join(command('stty', 'raw', '-echo')))
    host.expect_exact(PROMPT)
    host.sendline('stty -g | cmp - /tmp/before.$$ && echo un"changed"; rm /tmp/before.$$')
    host.expect_exact('unchanged')
    host.close(force=True)


def test_terminal_is_there_by_its_names(bash):
    say(bash, 'test -t 0 && test -t 1 && echo yes; tty; echo to-tty >/dev/tty')
    bash.expect_exact('yes')
    bash.expect('/dev/(console|tty|pts/[0-9]+)')
    bash.expect_exact('to-tty')
