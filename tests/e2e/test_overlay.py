"""The overlay: a tree of the host's, changed in Pith, reads as the same tree changed on the host."""
import os
import subprocess

from machine import output_of, script

HERE = os.path.dirname(os.path.abspath(__file__))
OPERATIONS = os.path.join(HERE, 'overlay_operations.py')


def make_tree(root):
    """Files of each kind; those with lines are several hundred KiB long."""
    lines = ''.join(f'{i}\n' for i in range(1, 60001))
    for directory in ('tree/sub/deep', 'dir', 'gone', 'many'):
        (root / directory).mkdir(parents=True)
    for name in ('big', 'append', 'cut', 'cut2', 'cut3', 'punch'):
        (root / name).write_text(lines)
    for name in ('text', 'conf', 'tree/a', 'tree/sub/b', 'tree/sub/deep/c', 'dir/d', 'gone/1',
                 'gone/2', 'victim', 'later', 'attr'):
        (root / name).write_text(name * 5 + '\n')
    for i in range(300):
        (root / 'many' / f'old{i}').write_text(str(i))
    (root / 'prog').write_text('#!/bin/sh\necho prog\n')
    (root / 'prog').chmod(0o755)
    os.link(root / 'text', root / 'hard')
    os.symlink('text', root / 'soft')
    return root


def tree_state(root):
    """Names, modes and contents of all below."""
    command = 'find . -printf "%p %m %n %s %T@\\n" | sort; find . -type f | sort | xargs md5sum'
    return subprocess.run(['sh', '-c', command], cwd=root, capture_output=True, check=True).stdout


def test_changes_read_as_they_do_on_the_host(tmp_path):
    here, there = tmp_path / 'here', tmp_path / 'there'
    make_tree(here)
    make_tree(there)
    before = tree_state(there)
    expected = subprocess.run(['python3', OPERATIONS, str(here)], capture_output=True, text=True,
                              check=True).stdout
    assert output_of('python3', OPERATIONS, str(there)) == expected
    assert tree_state(there) == before


def test_copies_of_trees_are_the_same(tmp_path):
    text = f'''cd {tmp_path} && cp -a /usr/share/perl5 copy && diff -r /usr/share/perl5 copy &&
               mkdir t && tar cf - -C copy . | tar xf - -C t && diff -r copy t && echo same'''
    assert script(text) == 'same\n'


def test_a_full_overlay_is_enospc_for_the_writer_and_is_emptied_by_deleting(tmp_path):
    text = f'''mount -o remount,size=16M /; cd {tmp_path} && dd if=/dev/zero of=full bs=1M 2>&1 | grep -o 'No space left.*'
               df --output=avail . | tail -1; rm full; echo kept > file; cat file
               dd if=/dev/zero of=full bs=1M count=12 2>/dev/null && echo room'''
    assert script(text).split() == 'No space left on device 0 kept room'.split()


def test_a_directory_of_the_host_is_removed_and_made_anew():
    text = '''rm -rf /usr/share/perl5 && ls /usr/share/perl5 2>&1; mkdir /usr/share/perl5 &&
              ls -A /usr/share/perl5; echo a > /usr/share/perl5/a; ls -A /usr/share/perl5'''
    assert script(text) == "ls: cannot access '/usr/share/perl5': No such file or directory\na\n"
    assert os.listdir('/usr/share/perl5')


def test_a_directory_of_the_host_moves():
    text = '''mv /usr/share/perl5 /var/tmp/p && ls -R /var/tmp/p | wc -l; ls -d /usr/share/perl5 2>&1
              mv /var/tmp/p /usr/share/perl5; ls -R /usr/share/perl5 | wc -l'''
    lines = subprocess.run('ls -R /usr/share/perl5 | wc -l', shell=True, capture_output=True,
                           text=True, check=True).stdout
    missing = "ls: cannot access '/usr/share/perl5': No such file or directory\n"
    assert script(text) == lines + missing + lines


def test_files_written_on_both_sides_of_a_mapping_and_of_sed():
    text = '''before=$(stat -c '%d %i %h' /etc/passwd); echo x:x:1:1::/:/bin/sh >> /etc/passwd
              [ "$before" = "$(stat -c '%d %i %h' /etc/passwd)" ] && echo same inode
              mode=$(stat -c '%a %u %g' /etc/passwd); sed -i s/^x:/y:/ /etc/passwd
              tail -n 1 /etc/passwd; [ "$mode" = "$(stat -c '%a %u %g' /etc/passwd)" ] && echo same mode
           '''
    assert script(text) == 'same inode\ny:x:1:1::/:/bin/sh\nsame mode\n'
