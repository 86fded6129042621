"""README's transcript, executed as written, and CONTRIBUTING's patch, applied and used."""
import os, re, subprocess

from pith import BUILD, TREE

CALLER = r'''
#include <stdio.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(void)
{
    unsigned long sum = 0;
    long result = syscall(451, 40, 2, &sum);
    printf("%ld %lu\n", result, sum);
    return 0;
}
'''


def blocks(name, language):
    text = open(os.path.join(TREE, name)).read()
    return re.findall(r'```%s\n(.*?)```' % language, text, re.S)


def test_readme_transcript_happens_as_written(tmp_path):
    """Each command of the transcript prints what is written below it."""
    transcript = blocks('README.md', 'console')[0]
    parts = re.split(r'^\$ ', transcript, flags=re.M)[1:]
    assert len(parts) >= 5
    tree = tmp_path / 'tree'
    tree.mkdir()
    (tree / 'build').symlink_to(BUILD)
    for part in parts:
        command, _, expected = part.partition('\n')
        result = subprocess.run(['bash', '-c', command], cwd=tree, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                timeout=120)
        assert result.stdout == expected, command


def apply_hunks(tree, patch):
    """Applies hunks by the text that they replace, so that line numbers may drift."""
    for part in re.split(r'^--- a/', patch, flags=re.M)[1:]:
        name = part.split('\n', 1)[0]
        path = tree / name
        text = path.read_text()
        for hunk in re.split(r'^@@.*@@\n', part, flags=re.M)[1:]:
            lines = hunk.splitlines()
            before = '\n'.join(line[1:] for line in lines if line[:1] in ' -')
            after = '\n'.join(line[1:] for line in lines if line[:1] in ' +')
            assert text.count(before) == 1, f'{name}: the hunk has no one place'
            text = text.replace(before, after)
        path.write_text(text)


def test_example_patch_adds_a_system_call(tmp_path):
    """The patch of CONTRIBUTING.md applies to a clean tree; the kernel builds; the call answers."""
    tree = tmp_path / 'tree'
    tree.mkdir()
    subprocess.run(f'tar -C {TREE} --exclude=./build --exclude=./.git -cf - . | tar -C {tree} -xf -',
                   shell=True, check=True)
    apply_hunks(tree, blocks('CONTRIBUTING.md', 'diff')[0])
    subprocess.run(['make', '-s', '-j2', 'CC=gcc', 'SAN=0', 'build/pith.elf', 'build/pith', 'all'],
                   cwd=tree, check=True, timeout=300)
    (tmp_path / 'caller.c').write_text(CALLER)
    caller = tmp_path / 'caller'
    subprocess.run(['musl-gcc', '-static', '-o', caller, tmp_path / 'caller.c'], check=True)
    result = subprocess.run([tree / 'build' / 'pith', 'run', '-q', '--root', 'none',
                             '--initramfs-file', f'{caller}:/caller', '--', '/caller'],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (0, '0 42\n')
