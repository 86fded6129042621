/*
 * What a process is made of: its regions, its arguments, and what the kernel told its run-time
 * linker.
 *
 * From L41, Lecture 3: The Process Model ("Process address space: dd", "Arguments and ELF auxiliary
 * arguments"), which shows the output of FreeBSD's procstat. To see: program, linker, libraries,
 * heap and stack, each with its protection and the pages of it that are in memory.
 *
 *     procstat -v PID       regions; flags: C copied at the first write, D grows downward
 *     procstat -c PID       arguments
 *     procstat -x PID       auxiliary vector
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *open_file(const char *pid, const char *name)
{
    char path[64];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
    file = fopen(path, "r");
    if (!file) {
        perror(path);
        exit(1);
    }
    return file;
}

static void show_name(const char *pid)
{
    char name[32] = "";
    FILE *file = open_file(pid, "comm");

    if (fgets(name, sizeof(name), file))
        name[strcspn(name, "\n")] = 0;
    fclose(file);
    printf("%7s %-15s ", pid, name);
}

static void show_regions(const char *pid)
{
    FILE *smaps = open_file(pid, "smaps");
    unsigned long start = 0, end = 0;
    char line[512], protection[5] = "", path[256] = "";
    long resident = 0;

    printf("%7s %16s %16s %-4s %6s %s %s\n", "PID", "START", "END", "PRT", "RES", "FLAG", "PATH");
    while (fgets(line, sizeof(line), smaps)) {
        unsigned long from, to;

        if (sscanf(line, "%lx-%lx %4s", &from, &to, protection) == 3) {
            start = from;
            end = to;
            path[0] = 0;
            sscanf(line, "%*s %*s %*s %*s %*s %255[^\n]", path);
        }
        sscanf(line, "Rss: %ld", &resident);
        if (!strncmp(line, "VmFlags:", 8))
            printf("%7s %16lx %16lx %.3s  %6ld %c%c   %s\n", pid, start, end, protection,
                   resident / 4, protection[3] == 'p' && protection[1] == 'w' ? 'C' : '-',
                   strstr(line, " gd") ? 'D' : '-', path);
    }
    fclose(smaps);
}

static void show_arguments(const char *pid)
{
    FILE *file = open_file(pid, "cmdline");
    int byte;

    printf("%7s %-15s %s\n", "PID", "COMM", "ARGS");
    show_name(pid);
    while ((byte = getc(file)) != EOF)
        putchar(byte ? byte : ' ');
    putchar('\n');
    fclose(file);
}

static void show_auxiliary_vector(const char *pid)
{
    static const struct {
        unsigned long type;
        const char *name;
    } names[] = {
        {AT_PHDR, "AT_PHDR"},     {AT_PHENT, "AT_PHENT"},   {AT_PHNUM, "AT_PHNUM"},
        {AT_PAGESZ, "AT_PAGESZ"}, {AT_BASE, "AT_BASE"},     {AT_FLAGS, "AT_FLAGS"},
        {AT_ENTRY, "AT_ENTRY"},   {AT_UID, "AT_UID"},       {AT_EUID, "AT_EUID"},
        {AT_GID, "AT_GID"},       {AT_EGID, "AT_EGID"},     {AT_SECURE, "AT_SECURE"},
        {AT_RANDOM, "AT_RANDOM"}, {AT_EXECFN, "AT_EXECFN"}, {AT_CLKTCK, "AT_CLKTCK"},
    };
    FILE *file = open_file(pid, "auxv");
    Elf64_auxv_t entry;

    printf("%7s %-15s %-10s %s\n", "PID", "COMM", "AUXV", "VALUE");
    while (fread(&entry, sizeof(entry), 1, file) == 1)
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            if (names[i].type == entry.a_type) {
                show_name(pid);
                printf("%-10s 0x%lx\n", names[i].name, (unsigned long)entry.a_un.a_val);
            }
    fclose(file);
}

int main(int argc, char **argv)
{
    const char *option = argc > 2 ? argv[1] : "";

    if (!strcmp(option, "-v"))
        show_regions(argv[2]);
    else if (!strcmp(option, "-c"))
        show_arguments(argv[2]);
    else if (!strcmp(option, "-x"))
        show_auxiliary_vector(argv[2]);
    else
        return fprintf(stderr, "usage: procstat -v|-c|-x PID\n"), 2;
    return 0;
}
