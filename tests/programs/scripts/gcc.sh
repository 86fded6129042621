# A C program in two files: compiled, linked in every way, run; a shared library; warnings; a crash.
set -e
export ASAN_OPTIONS=detect_leaks=0 # the search for leaks needs ptrace
cat >main.c <<'C'
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
int twice(int);
static _Thread_local int own;
static int sum;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static void *add(void *argument)
{
    own = *(int *)argument;
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&mutex);
        sum += own;
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}
int main(int count, char **words)
{
    pthread_t threads[4];
    int numbers[4];
    for (int i = 0; i < 4; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, add, &numbers[i]);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    printf("%s %d %d %.4f\n", words[1], twice(21), sum, cbrt(atof(words[1])));
    if (count > 2)
        *(volatile int *)0 = 1;
    return 7;
}
C
cat >twice.c <<'C'
int twice(int x)
{
    return 2 * x;
}
C
for flags in "" "-O2 -flto" "-static" "-static-pie -fPIE" "-no-pie -g" "-fsanitize=undefined" "-fsanitize=address"; do
    gcc $flags -Wall -pthread -o program main.c twice.c -lm
    ./program 27 || echo "status $? with $flags"
done
gcc -shared -fPIC -o libtwice.so twice.c
gcc -pthread -o program main.c -L. -ltwice -lm
LD_LIBRARY_PATH=. ./program 8 || echo "status $?"
./program 8 2>&1 || echo "status $?"
LD_LIBRARY_PATH=. sh -c './program 8 crash; echo "status $?"' 2>/dev/null
echo 'int main(void) { int unused; return undeclared; }' >wrong.c
gcc -Wall -c wrong.c 2>&1 || echo "status $?"
gcc -O2 -S -o - twice.c | grep -c ret
objdump -d libtwice.so | grep -c '<twice>:'
ar rcs libtwice.a twice.c && ar t libtwice.a && nm libtwice.so | grep -c ' T twice'
