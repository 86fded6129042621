"""bash scripts: pipelines, subshells, here-documents, traps, background jobs, wait."""
import pytest

from machine import output_of, script

# Each script, and what it prints; the output is that of bash on Linux.
SCRIPTS = {
    'pipeline': ('seq 1000 | grep 7 | sort -rn | head -3', '997\n987\n979\n'),
    'pipeline_status': ('true | false; echo $?; set -o pipefail; false | true; echo $?', '1\n1\n'),
    'subshell': ('x=1; (x=2; echo $x); echo $x', '2\n1\n'),
    'substitution': ('echo "a$(echo b$(echo c))d"', 'abcd\n'),
    'here_document': ('name=World\ncat <<END\nHello $name\nEND', 'Hello World\n'),
    'here_string': ('read a b <<<"one two"; echo $b $a', 'two one\n'),
    'process_substitution': ('diff <(seq 3) <(seq 3) && cat <(echo x)', 'x\n'),
    'redirections': ('cd $(mktemp -d); echo out >f; echo more >>f; echo err 2>g >&2; cat f g',
                     'out\nmore\nerr\n'),
    'trap_exit': ('trap "echo bye" EXIT; echo hello', 'hello\nbye\n'),
    'trap_signal': ('trap "echo caught" USR1; kill -USR1 $$; echo after', 'caught\nafter\n'),
    'trap_in_wait': ('trap "echo caught" USR1; (sleep 0.3; kill -USR1 $$) & sleep 5 & wait %2; '
                     'echo $?; kill %2', 'caught\n138\n'),
    'background_and_wait': ('(sleep 0.2; exit 3) & wait $!; echo $?', '3\n'),
    'many_background_jobs': ('for i in $(seq 20); do (exit $i) & done; wait; echo done', 'done\n'),
    'wait_n': ('sleep 5 & (exit 7) & wait -n; echo $?; kill %1', '7\n'),
    'kill_job': ('sleep 100 & kill $!; wait $! 2>/dev/null; echo $?', '143\n'),
    'functions_and_arrays': ('f() { local a=("$@"); echo ${#a[@]} ${a[-1]}; }; f x "y z" w',
                             '3 w\n'),
    'arithmetic': ('for ((i = 0, s = 0; i <= 100; i++)); do ((s += i)); done; echo $s', '5050\n'),
    'glob': ('cd $(mktemp -d); touch b a.c d.c; echo *.c [ab]*', 'a.c d.c a.c b\n'),
    'read_lines': ('seq 3 | while read x; do echo "<$x>"; done', '<1>\n<2>\n<3>\n'),
    'coprocess': ('coproc tr a-z A-Z; echo hello >&${COPROC[1]}; exec {COPROC[1]}>&-; '
                  'cat <&${COPROC[0]}', 'HELLO\n'),
    'fifo': ('cd $(mktemp -d); mkfifo p; echo through >p & cat p', 'through\n'),
    'sigpipe': ('yes | head -2; echo ${PIPESTATUS[0]}', 'y\ny\n141\n'),
    'exec_replaces': ('exec echo replaced; echo never', 'replaced\n'),
    'ulimit': ('ulimit -n 50; ulimit -n', '50\n'),
    'time_limit': ('timeout 0.2 sleep 10; echo $?', '124\n'),
    'find_and_xargs': ('cd $(mktemp -d); mkdir -p a/b; touch a/x a/b/y; find . -type f | sort | '
                       'xargs -n1 basename', 'y\nx\n'),
    'long_pipeline': ('echo start' + ' | cat' * 30, 'start\n'),
    'deep_recursion': ('f() { if [ $1 -gt 0 ]; then (f $(($1 - 1))); else echo end; fi; }; f 20',
                       'end\n'),
}


@pytest.mark.parametrize('name', SCRIPTS)
def test_bash_script(name):
    text, expected = SCRIPTS[name]
    assert script(text) == expected


@pytest.mark.parametrize('shell', [['bash'], ['dash'], ['busybox', 'sh']])
def test_shells_run_a_loop_of_programs(shell):
    text = 'i=0; while [ $i -lt 20 ]; do /bin/echo $i; i=$((i + 1)); done | tail -1'
    assert output_of(*shell, '-c', text) == '19\n'
