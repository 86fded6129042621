/*
 * Runs guest-test programs one after the other, so that one machine serves them all.
 *
 *     run_all [--deadline SECONDS] COMMAND...
 *
 * Each argument is a command of words separated by blanks: a program and the arguments that it
 * gets. Its output passes through between `== COMMAND` and `== COMMAND ended with status N`.
 * Exits with 1 when any of them did not end with 0.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WORDS_MAX = 4096
};

static pid_t running;

static void deadline_passed(int signal)
{
    (void)signal;
    kill(-running, SIGKILL);
    kill(running, SIGKILL);
}

static void command_execute(const char *command)
{
    char *words[WORDS_MAX + 1], *copy = strdup(command);
    int count = 0;

    for (char *word = strtok(copy, " "); word && count < WORDS_MAX; word = strtok(NULL, " "))
        words[count++] = word;
    words[count] = NULL;
    setpgid(0, 0);
    signal(SIGALRM, SIG_DFL);
    execv(words[0], words);
    dprintf(1, "FAIL %s: execve: %s\n", words[0], strerror(errno));
    _exit(127);
}

/* Returns the status as a shell would. */
static int command_run(const char *command, int deadline_seconds)
{
    int status = 0;

    running = fork();
    if (running == 0)
        command_execute(command);
    if (running == -1)
        return 126;
    alarm(deadline_seconds);
    while (waitpid(running, &status, 0) == -1 && errno == EINTR)
        ;
    alarm(0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    struct sigaction deadline = {.sa_handler = deadline_passed};
    int deadline_seconds = 300, failures = 0, first = 1;

    if (argc > 2 && !strcmp(argv[1], "--deadline")) {
        deadline_seconds = atoi(argv[2]);
        first = 3;
    }
    sigaction(SIGALRM, &deadline, NULL);
    for (int i = first; i < argc; i++) {
        int status;

        dprintf(1, "== %s\n", argv[i]);
        status = command_run(argv[i], deadline_seconds);
        dprintf(1, "== %s ended with status %d\n", argv[i], status);
        failures += status != 0;
    }
    return failures != 0;
}
