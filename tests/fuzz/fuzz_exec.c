/*
 * Broken programs: mutated ELF files and scripts, executed by an unprivileged user.
 *
 *     fuzz_exec [--seed N] [--files N] [--first N]
 *
 * File number n of a seed is always the same, so `--first n --files 1` runs it again. The originals
 * are a tiny program that this one makes (headers, one segment, code that exits), in a form without
 * and one with an interpreter, this program itself, and a script. A mutation changes a few bytes, a
 * field of a header to a number at some edge, or the length. What it does when it runs is its own
 * affair; that execve answers, that it can be killed, and that nothing stays behind is checked.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "random.h"
#include "use.h"

#define FUZZ_USER     65534
#define RUN_MS        300 /* then it is killed */
#define DEATH_SECONDS 60  /* after that it hangs */
#define MUTATIONS_MAX 6
#define FILE_MAX      (1 << 20)
#define EXECVE_FAILED 99

/* ---- The originals ---- */

struct program {
    unsigned char bytes[FILE_MAX];
    size_t size;
};

/* mov $60, %eax; xor %edi, %edi; syscall: exit(0) */
static const unsigned char exit_code[] = {0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05};
static const char interpreter[] = "/lib64/ld-linux-x86-64.so.2";

struct tiny {
    Elf64_Ehdr header;
    Elf64_Phdr segments[3];
    char interpreter[sizeof(interpreter)];
    unsigned char code[sizeof(exit_code)];
};

static void tiny_make(struct program *program, int with_interpreter)
{
    const uint64_t base = with_interpreter ? 0 : 0x400000;
    struct tiny tiny = {
        .header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                   .e_type = with_interpreter ? ET_DYN : ET_EXEC,
                   .e_machine = EM_X86_64,
                   .e_version = EV_CURRENT,
                   .e_entry = base + offsetof(struct tiny, code),
                   .e_phoff = offsetof(struct tiny, segments),
                   .e_ehsize = sizeof(Elf64_Ehdr),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 3},
        .segments = {{.p_type = with_interpreter ? PT_INTERP : PT_GNU_STACK,
                      .p_flags = PF_R | PF_W,
                      .p_offset = offsetof(struct tiny, interpreter),
                      .p_filesz = sizeof(interpreter)},
                     {.p_type = PT_LOAD,
                      .p_flags = PF_R | PF_X,
                      .p_vaddr = base,
                      .p_filesz = sizeof(struct tiny),
                      .p_memsz = sizeof(struct tiny),
                      .p_align = 4096},
                     {.p_type = PT_LOAD,
                      .p_flags = PF_R | PF_W,
                      .p_vaddr = base + 0x10000,
                      .p_memsz = 0x5000,
                      .p_align = 4096}},
    };

    memcpy(tiny.interpreter, interpreter, sizeof(interpreter));
    memcpy(tiny.code, exit_code, sizeof(exit_code));
    memcpy(program->bytes, &tiny, program->size = sizeof(tiny));
}

static void self_read(struct program *program)
{
    int file = open("/proc/self/exe", O_RDONLY);
    ssize_t bytes = read(file, program->bytes, FILE_MAX);

    program->size = bytes > 0 ? bytes : 0;
    close(file);
}

static void script_make(struct program *program)
{
    static const char *const scripts[] = {
        "#!/bin/true\n", "#! /bin/busybox  true \n", "#!/bin/sh -e\nexit 0\n", "#!./file\n", "#!\n",
    };
    const char *script = scripts[below(sizeof(scripts) / sizeof(*scripts))];

    memcpy(program->bytes, script, program->size = strlen(script));
}

/* ---- Mutations ---- */

static uint64_t edge_number(void)
{
    static const uint64_t numbers[] = {
        0,
        1,
        2,
        3,
        7,
        56,
        4095,
        4096,
        4097,
        0xffff,
        0x10000,
        INT32_MAX,
        UINT32_MAX,
        1ul << 32,
        0x7ffffffff000,
        0x7fffffffffff,
        0x800000000000,
        1ul << 63,
        -1ul,
        -4096ul,
        -56ul,
    };

    return below(4) ? numbers[below(sizeof(numbers) / sizeof(*numbers))] : next();
}

static void mutate(struct program *program)
{
    /* Most of what execve reads is in the headers. */
    size_t reach = below(4) && program->size > 512 ? 512 : program->size;
    size_t at = program->size ? below(reach) : 0;
    uint64_t number = edge_number();
    size_t bytes = 1u << below(4);

    switch (below(8)) {
    case 0:
        program->size = below(2) ? below(program->size + 1) : program->size;
        break;
    case 1:
        program->bytes[at] ^= 1u << below(8);
        break;
    default:
        at -= at % bytes;
        memcpy(program->bytes + at, &number, bytes);
    }
}

/* File number `n` of a seed; it depends on nothing else. */
static void program_make(struct program *program, uint64_t seed, unsigned long n)
{
    random_state = seed + n * 0xd1342543de82ef95;
    switch (below(8)) {
    case 0:
        self_read(program);
        break;
    case 1:
        script_make(program);
        break;
    default:
        tiny_make(program, below(2));
    }
    for (unsigned i = 1 + below(MUTATIONS_MAX); i; i--)
        mutate(program);
}

/* ---- Running ---- */

static void limits_set(void)
{
    setrlimit(RLIMIT_AS, &(struct rlimit){512ul << 20, 512ul << 20});
    setrlimit(RLIMIT_NPROC, &(struct rlimit){64, 64});
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){1 << 20, 1 << 20});
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

static void program_execute(const char *name)
{
    static char *const arguments[] = {"program", "--seed", "x", NULL}, *environment[] = {NULL};
    int null = open("/dev/null", O_RDWR);

    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    setsid();
    limits_set();
    if (setgroups(0, NULL) || setresgid(FUZZ_USER, FUZZ_USER, FUZZ_USER) ||
        setresuid(FUZZ_USER, FUZZ_USER, FUZZ_USER))
        _exit(EXECVE_FAILED - 1);
    alarm(2);
    execve(name, arguments, environment);
    _exit(EXECVE_FAILED);
}

/* Waits as long as a process may need to die; returns 1 when it does not. */
static int wait_for(pid_t child, int *status)
{
    for (long waited_ms = 0; waited_ms < DEATH_SECONDS * 1000; waited_ms++) {
        if (waitpid(child, status, WNOHANG) == child)
            return 0;
        if (waited_ms == RUN_MS)
            kill(child, SIGKILL);
        usleep(1000);
    }
    return 1;
}

static unsigned long ran, refused;

static int program_run(const struct program *program, unsigned long n)
{
    int file = open("file", O_WRONLY | O_CREAT | O_TRUNC, 0755), status = 0;
    pid_t child;

    if (file < 0 || write(file, program->bytes, program->size) != (ssize_t)program->size) {
        printf("FAIL the file could not be written: %s\n", strerror(errno));
        return 1;
    }
    close(file);
    child = fork();
    if (child == 0)
        program_execute("./file");
    if (wait_for(child, &status)) {
        printf("FAIL hang: file %lu\n", n);
        return 1;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXECVE_FAILED)
        refused++;
    else
        ran++;
    unlink("file");
    return 0;
}

static uint64_t option(int argc, char **argv, const char *name, uint64_t otherwise)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (!strcmp(argv[i], name))
            return strtoull(argv[i + 1], NULL, 0);
    }
    return otherwise;
}

static int fuzz(uint64_t seed, unsigned long first, unsigned long count)
{
    static struct program program;

    for (unsigned long n = first; n < first + count; n++) {
        program_make(&program, seed, n);
        if (program_run(&program, n))
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t seed = option(argc, argv, "--seed", time(NULL));
    unsigned long count = option(argc, argv, "--files", 1000);
    unsigned long first = option(argc, argv, "--first", 0);
    char folder[] = "/tmp/fuzz.XXXXXX";
    static struct use before, after;
    int wrong;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 2 && !strcmp(argv[2], "x"))
        return 0; /* a mutated copy of ourselves runs */
    if (!mkdtemp(folder) || chmod(folder, 0777) || chdir(folder))
        return 2;
    printf("seed %llu\n", (unsigned long long)seed);
    wrong = fuzz(~seed, 0, count / 10);
    use_read(&before);
    ran = refused = 0;
    wrong = wrong || fuzz(seed, first, count);
    printf("files: %lu ran, %lu were refused\n", ran, refused);
    use_read(&after);
    wrong = wrong || use_compare(&before, &after);
    use_print_coverage();
    printf("%s\n", wrong ? "fuzz: wrong" : "fuzz: right");
    return wrong;
}
