/*
 * What the kernel keeps about a process: its control block, as /proc shows it.
 *
 * From CSCI3150, Lecture 3: Processes ("Process Components", "PCB Data Structure") and OSTEP 4.5,
 * figure 4.5. To see: each component of the figure, and the file that it can be read from.
 *
 *     process_control_block [PID]
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct component {
    const char *name, *file, *field; /* field: the line's beginning, or a number of a column */
} components[] = {
    {"process number", "status", "Pid"},
    {"parent", "status", "PPid"},
    {"owner", "status", "Uid"},
    {"state", "status", "State"},
    {"program", "status", "Name"},
    {"kernel stack pointer", "stat", "29"},
    {"program counter", "stat", "30"},
    {"priority", "stat", "18"},
    {"nice value", "stat", "19"},
    {"CPUs allowed", "status", "Cpus_allowed_list"},
    {"address space", "status", "VmSize"},
    {"of it in memory", "status", "VmRSS"},
    {"user time", "stat", "14"},
    {"system time", "stat", "15"},
    {"faults without a wait", "stat", "10"},
    {"switches, its own will", "status", "voluntary_ctxt_switches"},
    {"threads", "status", "Threads"},
    {"signals pending", "status", "SigPnd"},
    {"signals caught", "status", "SigCgt"},
};

static char *slurp(const char *pid, const char *name, char *text, size_t bytes)
{
    char path[64];
    FILE *file;
    size_t length = 0;

    snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
    file = fopen(path, "r");
    if (file) {
        length = fread(text, 1, bytes - 1, file);
        fclose(file);
    }
    text[length] = 0;
    return text;
}

/* The value behind "NAME:" at a line's beginning. */
static const char *by_name(char *text, const char *name)
{
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
            return line + strlen(name) + 1 + strspn(line + strlen(name) + 1, " \t");
    return "?";
}

/* The n-th column of stat, counted from 1; the second is a name in parentheses. */
static const char *by_number(char *text, int number)
{
    char *word = strtok(strrchr(text, ')') + 2, " ");

    for (int at = 3; word && at < number; at++)
        word = strtok(NULL, " ");
    return word ? word : "?";
}

static int open_files(const char *pid)
{
    char path[64];
    int count = 0;
    DIR *directory;

    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        count += isdigit((unsigned char)entry->d_name[0]) != 0;
    if (directory)
        closedir(directory);
    return count;
}

int main(int argc, char **argv)
{
    const char *pid = argc > 1 ? argv[1] : "self";
    char text[4096];

    for (size_t i = 0; i < sizeof(components) / sizeof(components[0]); i++) {
        const struct component *component = &components[i];

        if (!*slurp(pid, component->file, text, sizeof(text))) {
            fprintf(stderr, "there is no process %s\n", pid);
            return 1;
        }
        printf("%-22s  %-6s  %s\n", component->name, component->file,
               isdigit((unsigned char)component->field[0]) ? by_number(text, atoi(component->field))
                                                           : by_name(text, component->field));
    }
    printf("%-22s  %-6s  %d\n", "open files", "fd/", open_files(pid));
    return 0;
}
