# A repository in the current directory: its history, branches, a merge with a conflict, gc, clones.
set -e
export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat
export GIT_AUTHOR_DATE='2001-02-03T04:05:06 +0000' GIT_COMMITTER_DATE='2001-02-03T04:05:06 +0000'
git config --global user.name Name
git config --global user.email name@example.org
git config --global init.defaultBranch main
git init -q work
cd work
for n in $(seq 8); do
    mkdir -p d$n
    seq $n 200 >d$n/numbers
    seq $((n * 3)) >common
    git add .
    git commit -q -m "change $n"
done
git log --format='%H %s'
git log --stat -2 --format=%s
git tag -a v1 -m first
git checkout -q -b side HEAD~3
echo side >common
git commit -q -am 'on the side'
git checkout -q main
git merge side 2>&1 || echo "status $?"
git status --short
git checkout -q --theirs common
git add common
git commit -q -m merged
git log --graph --oneline --all --format=%s
git diff HEAD~1 --stat
git blame -s d3/numbers | tail -1
git grep -c 77 | head -3
git stash list
echo more >>common
git stash -q
git stash pop -q
git status --short
git checkout -q common
git gc -q
git count-objects
git fsck --full --strict
git verify-pack .git/objects/pack/*.idx
cd ..
git clone -q work clone
git -C clone log -1 --format=%H
git clone -q --bare work bare.git
git clone -q "file://$PWD/bare.git" wired
cd wired
git checkout -q -b topic HEAD~1
echo pushed >new
git add new
git commit -q -m pushed
git rebase -q main
git push -q origin HEAD:pushed
git -C ../bare.git branch
git -C ../bare.git log -1 --format=%s pushed
git archive HEAD | tar tf - | tail -3
git bundle create -q ../all.bundle --all
git clone -q ../all.bundle ../bundled
git -C ../bundled rev-parse HEAD topic | cmp - <(git rev-parse HEAD topic) || git -C ../bundled branch -a
git worktree add -q ../tree HEAD~1
ls ../tree
