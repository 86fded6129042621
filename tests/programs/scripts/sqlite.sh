# Databases: a transaction, an index, a journal of each kind, two writers at once, a dump and its restoring.
set -e
sqlite3 a.db 'create table t(id integer primary key, name text unique, n real); create index i on t(n);'
{
    echo 'begin;'
    seq 2000 | sed "s/.*/insert into t(name, n) values('name &', & * 1.5);/"
    echo 'commit;'
} | sqlite3 a.db
sqlite3 a.db 'select count(*), sum(n), max(name) from t; select name from t where n between 30 and 33;'
for mode in delete truncate persist memory wal off; do
    sqlite3 a.db "pragma journal_mode=$mode; begin; update t set n = n + 1 where id % 2; rollback; begin;
        delete from t where id = $(printf %d "'$mode"); commit; select count(*) from t; pragma integrity_check;"
done
sqlite3 a.db 'insert into t(name) values("name 5")' 2>&1 || echo "status $?"
for n in 1 2 3; do
    (for i in 1 2 3 4 5; do sqlite3 -cmd '.timeout 60000' a.db "insert into t(name, n) values('$n/$i', $i);"; done) &
done
wait
sqlite3 a.db "select count(*) from t where name like '_/_'; vacuum; pragma integrity_check;"
sqlite3 a.db .dump >dump && sqlite3 b.db <dump && sqlite3 b.db .dump | cmp - dump && echo same
sqlite3 b.db "with recursive c(x) as (select 1 union all select x + 1 from c where x < 50000)
    select sum(x), group_concat(x % 10, '') like '123%' from c;"
sqlite3 -header -csv b.db 'select * from t order by n desc, id limit 3;'
sqlite3 b.db "create virtual table f using fts5(body); insert into f values('the quick brown fox'), ('lazy dog');
    select body from f where f match 'quick';"
sqlite3 b.db "select json_extract('{\"a\":[1,2,{\"b\":7}]}', '\$.a[2].b');"
