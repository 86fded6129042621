# A project of 20 files, built by two jobs at once, then again after one file and after a header changed.
set -e
mkdir source
for n in $(seq 20); do
    printf '#include "all.h"\nint f%d(int x) { return x + %d * STEP; }\n' $n $n >source/f$n.c
done
echo '#define STEP 1' >source/all.h
{
    seq -f 'int f%.0f(int);' 20
    echo '#include <stdio.h>'
    echo 'int main(void) { int x = 0;'
    seq -f 'x = f%.0f(x);' 20
    echo 'printf("%d\n", x); }'
} >source/main.c
cat >Makefile <<'M'
OBJECTS := $(patsubst source/%.c,%.o,$(sort $(wildcard source/*.c)))
program: $(OBJECTS)
	@gcc -o $@ $^
	@echo linked $(words $^)
%.o: source/%.c source/all.h
	@gcc -O1 -Isource -c -o $@ $<
	@echo $@ >>compiled
M
make -j2
./program
sort compiled | uniq -c | wc -l
make -j2 && rm compiled
touch -d '1 minute' source/f7.c
make -j2 2>/dev/null && cat compiled
echo '#define STEP 2' >source/all.h
touch -d '2 minutes' source/all.h
make -j2 2>/dev/null && ./program
echo 'int f3(' >source/f3.c
touch -d '3 minutes' source/f3.c
make -k -j2 >out 2>&1 || echo "status $?"
grep -c '^source/f3.c.*error' out
make -n clean 2>&1 || echo "status $?"
