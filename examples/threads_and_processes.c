/*
 * A process is an address space; threads run in it.
 *
 * From L41, Lecture 3: The Process Model ("The process model: today"). To see: what a thread writes
 * all threads of its process have; what a child process writes only the child has.
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUNNERS 4

static int count;

static void *add(void *unused)
{
    __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
    return unused;
}

int main(void)
{
    pthread_t threads[RUNNERS];

    for (int i = 0; i < RUNNERS; i++)
        pthread_create(&threads[i], NULL, add, NULL);
    for (int i = 0; i < RUNNERS; i++)
        pthread_join(threads[i], NULL);
    printf("%d threads added: the count is %d\n", RUNNERS, count);
    fflush(stdout);
    count = 0;
    for (int i = 0; i < RUNNERS; i++)
        if (fork() == 0) {
            add(NULL);
            _exit(0);
        }
    while (wait(NULL) > 0)
        ;
    printf("%d processes added: the count is %d\n", RUNNERS, count);
    return 0;
}
