/*
 * A shell: read a line, fork, arrange the descriptors, exec, wait.
 *
 * From CSCI3150, Lecture 3: Processes ("Unix Shells") and CSC 374, Lecture 2 ("Writing a Unix
 * Shell"). To see: the child changes its own descriptors before it becomes the program, which is
 * what fork without exec is good for; and `exec ls` is the end of this shell, for there is no fork.
 *
 *     echo 'ls > list' | shell         words, < FILE, > FILE, A | B, and exec
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MOST 64

/* Makes `path` the descriptor `fd` of this process. */
static void redirect(int fd, const char *path, int flags)
{
    int opened = path ? open(path, flags, 0666) : -1;

    if (opened == -1 || dup2(opened, fd) == -1) {
        perror(path);
        exit(1);
    }
    close(opened);
}

/* Becomes the program that `command` names; never returns. */
static void run(char *command)
{
    char *words[WORDS_MOST + 1];
    int count = 0;

    for (char *word = strtok(command, " \t"); word && count < WORDS_MOST;
         word = strtok(NULL, " \t"))
        if (!strcmp(word, "<"))
            redirect(STDIN_FILENO, strtok(NULL, " \t"), O_RDONLY);
        else if (!strcmp(word, ">"))
            redirect(STDOUT_FILENO, strtok(NULL, " \t"), O_WRONLY | O_CREAT | O_TRUNC);
        else
            words[count++] = word;
    words[count] = NULL;
    if (count == 0)
        exit(0);
    execvp(words[0], words);
    perror(words[0]);
    exit(127);
}

/* Starts `command`, which reads from `input` (given up here); its end is waited for by the caller.
 */
static void start(char *command, int input, int output)
{
    if (fork() == 0) {
        dup2(input, STDIN_FILENO);
        dup2(output, STDOUT_FILENO);
        run(command);
    }
    if (input != STDIN_FILENO)
        close(input);
    if (output != STDOUT_FILENO)
        close(output);
}

static void run_pipeline(char *line)
{
    int input = STDIN_FILENO, ends[2];
    char *bar;

    while ((bar = strchr(line, '|'))) {
        *bar = 0;
        if (pipe2(ends, O_CLOEXEC))
            return;
        start(line, input, ends[1]);
        input = ends[0];
        line = bar + 1;
    }
    start(line, input, STDOUT_FILENO);
    while (wait(NULL) > 0)
        ;
}

int main(void)
{
    char line[1024];

    setbuf(stdin, NULL); /* what follows in the input is the programs' own */
    for (;;) {
        if (isatty(STDIN_FILENO))
            dprintf(STDOUT_FILENO, "> ");
        if (!fgets(line, sizeof(line), stdin))
            return 0;
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "exec ", 5))
            run(line + 5);
        run_pipeline(line);
    }
}
