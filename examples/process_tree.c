/*
 * Every process is made by another, so all of them are one tree.
 *
 * From CSCI3150, Lecture 3: Processes ("Process Creation", the field PPID of ps). To see: the tree
 * below this process, put together from nothing but each process's parent, as pstree does.
 */
#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES_MOST 4096

static struct process {
    int pid, parent;
    char name[32];
} processes[PROCESSES_MOST];

static int count;

static void read_all_processes(void)
{
    DIR *directory = opendir("/proc");

    for (struct dirent *entry; (entry = readdir(directory)) && count < PROCESSES_MOST;) {
        struct process *process = &processes[count];
        char path[300];
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
        if (!isdigit((unsigned char)entry->d_name[0]) || !(file = fopen(path, "r")))
            continue;
        count += fscanf(file, "%d (%31[^)]) %*c %d", &process->pid, process->name,
                        &process->parent) == 3;
        fclose(file);
    }
    closedir(directory);
}

static void print_below(int parent, int depth)
{
    for (int i = 0; i < count; i++)
        if (processes[i].parent == parent) {
            printf("%*s%s\n", depth * 4, "", processes[i].name);
            print_below(processes[i].pid, depth + 1);
        }
}

/* A child of that name with `children` children of its own; returns when all of them are there. */
static pid_t make(const char *name, int children)
{
    int ends[2];
    char byte;
    pid_t child;

    if (pipe(ends))
        exit(1);
    child = fork();
    if (child == 0) {
        signal(SIGTERM, SIG_DFL);
        prctl(PR_SET_NAME, name);
        for (int i = 0; i < children; i++)
            make(children == 1 ? "editor" : "job", 0);
        dprintf(ends[1], "x");
        pause();
    }
    if (read(ends[0], &byte, 1) != 1)
        exit(1);
    return child;
}

int main(void)
{
    setpgid(0, 0);            /* all of us, */
    signal(SIGTERM, SIG_IGN); /* of whom only this one stays */
    make("shell", 1);
    make("make", 2);
    make("clock", 0);
    read_all_processes();
    print_below(getpid(), 0);
    fflush(stdout);
    kill(0, SIGTERM);
    while (wait(NULL) > 0)
        ;
    return 0;
}
