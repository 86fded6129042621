/*
 * execve: what the new program finds (arguments, environment, auxiliary vector, stack), what it
 * keeps of the old one, scripts, and each error.
 *
 * covers: execve execveat
 */
#include "guest.h"

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/utsname.h>

extern char **environ;

/* ---- The program that the tests execute: ourselves, with a role as the first argument ---- */

static int role_arguments(int argc, char **argv)
{
    if (argc != 5 || strcmp(argv[2], "one") || strcmp(argv[3], "") || strcmp(argv[4], "three 3"))
        return 1;
    return argv[argc] != NULL;
}

static int role_environment(int argc, char **argv)
{
    if (!environ[0] || strcmp(environ[0], "A=1") || !environ[1] || strcmp(environ[1], "EMPTY="))
        return 1;
    return environ[2] != NULL;
}

static int role_auxv(int argc, char **argv)
{
    const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
    const ElfW(Phdr) *headers = (const void *)getauxval(AT_PHDR);
    unsigned char any = 0;

    if (getauxval(AT_PAGESZ) != 4096 || getauxval(AT_PHENT) != sizeof(ElfW(Phdr)))
        return 1;
    if (!headers || getauxval(AT_PHNUM) == 0 || !getauxval(AT_ENTRY))
        return 2;
    if (getauxval(AT_UID) != getuid() || getauxval(AT_EUID) != geteuid() ||
        getauxval(AT_GID) != getgid() || getauxval(AT_EGID) != getegid())
        return 3;
    if (getauxval(AT_CLKTCK) != 100 || getauxval(AT_SECURE) != 0 || getauxval(AT_FLAGS) != 0)
        return 4;
    if (!random)
        return 5;
    for (int i = 0; i < 16; i++)
        any |= random[i];
    if (!any)
        return 6;
    if (strcmp((const char *)getauxval(AT_PLATFORM), "x86_64"))
        return 7;
    if (strcmp((const char *)getauxval(AT_EXECFN), "/proc/self/exe") || !getauxval(AT_HWCAP))
        return 8;
    if (!getauxval(AT_SYSINFO_EHDR))
        return 9;
    return 0;
}

static int role_stack(int argc, char **argv)
{
    /* psABI 3.4.1: argc, argv, NULL, environ, NULL, auxv, all adjacent, the start aligned. */
    unsigned long *start = (unsigned long *)argv - 1;

    if ((int)*start != argc || (unsigned long)start % 16)
        return 1;
    if ((char **)argv + argc + 1 != environ)
        return 2;
    for (int i = 0; i < argc - 1; i++) /* the strings lie one behind the other */
        if (argv[i] + strlen(argv[i]) + 1 != argv[i + 1])
            return 3;
    return 0;
}

static int role_signals(int argc, char **argv)
{
    struct sigaction action;
    sigset_t set;

    sigaction(SIGUSR1, NULL, &action);
    if (action.sa_handler != SIG_DFL)
        return 1;
    sigaction(SIGUSR2, NULL, &action);
    if (action.sa_handler != SIG_IGN)
        return 2;
    sigprocmask(SIG_BLOCK, NULL, &set);
    if (!sigismember(&set, SIGHUP) || sigismember(&set, SIGINT))
        return 3;
    sigpending(&set);
    return sigismember(&set, SIGHUP) ? 0 : 4;
}

static int role_descriptors(int argc, char **argv)
{
    if (fcntl(atoi(argv[2]), F_GETFD) != 0)
        return 1;
    return fcntl(atoi(argv[3]), F_GETFD) == -1 && errno == EBADF ? 0 : 2;
}

static int role_name(int argc, char **argv)
{
    char name[32] = "", expected[16];
    int fd = open("/proc/self/comm", O_RDONLY);
    const char *slash = strrchr(argv[2], '/');

    snprintf(expected, sizeof(expected), "%s", slash ? slash + 1 : argv[2]);
    if (read(fd, name, sizeof(name) - 1) <= 0)
        return 1;
    name[strcspn(name, "\n")] = 0;
    return strcmp(name, expected) ? 2 : 0;
}

static int role_count(int argc, char **argv)
{
    return argc == atoi(argv[2]) ? 0 : 1;
}

static int role_sleep(int argc, char **argv)
{
    sleep_ms(300);
    return 0;
}

/* As a script's interpreter: prints its arguments on one line, separated by bars. */
static int role_print(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        printf("%s%s", i > 1 ? "|" : "", argv[i]);
    return fflush(stdout);
}

/* Prints where things lie: the program, the heap, what is mapped, the vDSO, the stack's end. */
static int role_layout(int argc, char **argv)
{
    char text[512], *end;
    unsigned long heap, stack;
    FILE *stat = fopen("/proc/self/stat", "r");

    if (!stat || !fgets(text, sizeof(text), stat) || !(end = strrchr(text, ')')))
        return 1;
    fclose(stat);
    for (int field = 2; field < 47; field++)
        end = strchr(end + 1, ' ');
    heap = strtoul(end, NULL, 10);
    stack = getauxval(AT_EXECFN); /* the last string on the stack */
    printf("%lx %lx %lx %lx %lx", getauxval(AT_PHDR) & -4096ul, heap,
           (unsigned long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
           getauxval(AT_SYSINFO_EHDR), stack);
    return fflush(stdout);
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} roles[] = {
    {"-arguments", role_arguments}, {"-environment", role_environment},
    {"-auxv", role_auxv},           {"-stack", role_stack},
    {"-signals", role_signals},     {"-descriptors", role_descriptors},
    {"-name", role_name},           {"-count", role_count},
    {"-sleep", role_sleep},         {"-print", role_print},
    {"-layout", role_layout},
};

static int role_main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]) && argc > 1; i++)
        if (!strcmp(argv[1], roles[i].name))
            return roles[i].run(argc, argv);
    return -1;
}

__attribute__((__constructor__)) static void role_register(void)
{
    guest_main_hook = role_main;
}

static void self_path(char *path, size_t size)
{
    ssize_t length = CHECK_OK(readlink("/proc/self/exe", path, size - 1));

    path[length] = 0;
}

static pid_t start_role(char *const argv[], char *const envp[])
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        execve("/proc/self/exe", argv, envp);
        guest_fail(__FILE__, __LINE__, "execve: errno %d", errno);
    }
    return child;
}

static char *const no_environment[] = {NULL};

TEST(execve_passes_all_arguments)
{
    char *const argv[] = {"program", "-arguments", "one", "", "three 3", NULL};

    CHECK_EXIT(start_role(argv, no_environment), 0);
}

TEST(execve_passes_the_environment)
{
    char *const argv[] = {"program", "-environment", NULL};
    char *const envp[] = {"A=1", "EMPTY=", NULL};

    CHECK_EXIT(start_role(argv, envp), 0);
}

TEST(execve_gives_the_complete_auxiliary_vector)
{
    char *const argv[] = {"program", "-auxv", NULL};

    CHECK_EXIT(start_role(argv, no_environment), 0);
}

TEST(execve_lays_the_stack_out_as_the_abi_says)
{
    char *const even[] = {"program", "-stack", NULL}, *const odd[] = {"p", "-stack", "x", NULL};
    char *const envp[] = {"LONG=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL};

    CHECK_EXIT(start_role(even, no_environment), 0);
    CHECK_EXIT(start_role(odd, envp), 0);
}

TEST(execve_resets_handlers_and_keeps_ignored_mask_and_pending)
{
    char *const argv[] = {"program", "-signals", NULL};
    pid_t child = CHECK_OK(fork());
    sigset_t set;

    if (child == 0) {
        handle_signal(SIGUSR1, count_signal, 0);
        signal(SIGUSR2, SIG_IGN);
        sigemptyset(&set);
        sigaddset(&set, SIGHUP);
        CHECK_OK(sigprocmask(SIG_SETMASK, &set, NULL));
        raise(SIGHUP);
        CHECK_OK(execve("/proc/self/exe", argv, no_environment));
    }
    CHECK_EXIT(child, 0);
}

TEST(execve_closes_descriptors_with_cloexec_only)
{
    char kept[16], closed[16];
    char *const argv[] = {"program", "-descriptors", kept, closed, NULL};
    int fds[2];

    CHECK_OK(pipe(fds));
    CHECK_OK(fcntl(fds[1], F_SETFD, FD_CLOEXEC));
    snprintf(kept, sizeof(kept), "%d", fds[0]);
    snprintf(closed, sizeof(closed), "%d", fds[1]);
    CHECK_EXIT(start_role(argv, no_environment), 0);
}

TEST(execve_sets_the_name_to_the_files_last_part)
{
    char path[256];
    char *const argv[] = {"something-else", "-name", path, NULL};
    pid_t child;

    self_path(path, sizeof(path));
    child = CHECK_OK(fork());
    if (child == 0) {
        execve(path, argv, no_environment);
        _exit(99);
    }
    CHECK_EXIT(child, 0);
}

TEST(execve_keeps_process_id_and_parent)
{
    char *const argv[] = {"sh", "-c", "test $$ = $1 && test $PPID = $2", "sh", NULL, NULL, NULL};
    char self[16], parent[16], *arguments[7];
    pid_t child;

    memcpy(arguments, argv, sizeof(argv));
    snprintf(parent, sizeof(parent), "%d", getpid());
    child = CHECK_OK(fork());
    if (child == 0) {
        snprintf(self, sizeof(self), "%d", getpid());
        arguments[4] = self;
        arguments[5] = parent;
        execv("/bin/sh", arguments);
        _exit(99);
    }
    CHECK_EXIT(child, 0);
}

TEST(execve_of_a_dynamic_program_loads_its_interpreter)
{
    char *const argv[] = {"true", NULL};
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        execv("/bin/true", argv);
        _exit(99);
    }
    CHECK_EXIT(child, 0);
}

TEST(execve_takes_many_arguments)
{
    enum {
        COUNT = 20000
    };
    static char *argv[COUNT + 1];

    argv[0] = "program";
    argv[1] = "-count";
    argv[2] = "20000";
    for (int i = 3; i < COUNT; i++)
        argv[i] = "an argument";
    CHECK_EXIT(start_role(argv, no_environment), 0);
}

TEST(execve_with_too_long_an_argument_gives_e2big)
{
    static char argument[128 * 1024 + 1];
    char *const argv[] = {"program", argument, NULL};

    memset(argument, 'x', sizeof(argument) - 1);
    CHECK_ERRNO(execve("/bin/true", argv, no_environment), E2BIG);
}

TEST(execve_with_too_many_arguments_gives_e2big)
{
    enum {
        COUNT = 300
    };
    static char argument[16 * 1024];
    static char *argv[COUNT + 1];
    struct rlimit limit = {1024 * 1024, RLIM_INFINITY};

    memset(argument, 'x', sizeof(argument) - 1);
    for (int i = 0; i < COUNT; i++)
        argv[i] = argument;
    CHECK_OK(setrlimit(RLIMIT_STACK, &limit));
    CHECK_ERRNO(execve("/bin/true", argv, no_environment), E2BIG); /* a quarter of the limit */
}

TEST(execve_with_null_argv_is_as_with_an_empty_one)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        syscall(SYS_execve, "/bin/true", NULL, NULL);
        _exit(99);
    }
    CHECK_EXIT(child, 0);
}

TEST(execve_with_bad_addresses_gives_efault)
{
    char *const argv[] = {"program", bad_address(), NULL}, *const good[] = {"true", NULL};

    CHECK_ERRNO(syscall(SYS_execve, bad_address(), good, NULL), EFAULT);
    CHECK_ERRNO(syscall(SYS_execve, "/bin/true", bad_address(), NULL), EFAULT);
    CHECK_ERRNO(syscall(SYS_execve, "/bin/true", argv, NULL), EFAULT);
    CHECK_ERRNO(syscall(SYS_execve, "/bin/true", good, bad_address()), EFAULT);
}

TEST(execve_of_what_is_not_there_gives_enoent)
{
    char *const argv[] = {"x", NULL};

    CHECK_ERRNO(execve("/nowhere/program", argv, no_environment), ENOENT);
    CHECK_ERRNO(execve("", argv, no_environment), ENOENT);
    CHECK_ERRNO(execve("/bin/true/x", argv, no_environment), ENOTDIR);
}

TEST(execve_without_execute_permission_gives_eacces)
{
    char *const argv[] = {"x", NULL};

    enter_empty_directory();
    write_file("file", "#!/bin/sh\n");
    CHECK_ERRNO(execve("./file", argv, no_environment), EACCES);
    CHECK_ERRNO(execve(".", argv, no_environment), EACCES);
    CHECK_ERRNO(execve("/dev/null", argv, no_environment), EACCES);
}

TEST(execve_of_no_format_gives_enoexec)
{
    char *const argv[] = {"x", NULL};

    enter_empty_directory();
    write_file("text", "just text\n");
    CHECK_OK(chmod("text", 0755));
    CHECK_ERRNO(execve("./text", argv, no_environment), ENOEXEC);
    write_file("empty", "");
    CHECK_OK(chmod("empty", 0755));
    CHECK_ERRNO(execve("./empty", argv, no_environment), ENOEXEC);
    write_file("broken", "\177ELF\2\1\1");
    CHECK_OK(chmod("broken", 0755));
    CHECK_ERRNO(execve("./broken", argv, no_environment), ENOEXEC);
}

TEST(execve_of_links_in_a_circle_gives_eloop)
{
    char *const argv[] = {"x", NULL};

    enter_empty_directory();
    CHECK_OK(symlink("b", "a"));
    CHECK_OK(symlink("a", "b"));
    CHECK_ERRNO(execve("./a", argv, no_environment), ELOOP);
}

TEST(execve_of_too_long_a_name_gives_enametoolong)
{
    static char path[5000];
    char *const argv[] = {"x", NULL};

    memset(path, 'x', 300);
    CHECK_ERRNO(execve(path, argv, no_environment), ENAMETOOLONG);
    memset(path, '/', sizeof(path) - 1);
    CHECK_ERRNO(execve(path, argv, no_environment), ENAMETOOLONG);
}

TEST(execve_of_a_file_open_for_writing_gives_etxtbsy)
{
    char *const argv[] = {"x", NULL};
    int fd;

    enter_empty_directory();
    write_file("script", "#!/bin/sh\n");
    CHECK_OK(chmod("script", 0755));
    fd = CHECK_OK(open("script", O_WRONLY));
    CHECK_ERRNO(execve("./script", argv, no_environment), ETXTBSY);
    close(fd);
}

TEST(execve_failed_leaves_the_caller_as_it_was)
{
    char *const argv[] = {"x", NULL};
    int fds[2];

    CHECK_OK(pipe2(fds, O_CLOEXEC));
    handle_signal(SIGUSR1, count_signal, 0);
    CHECK_ERRNO(execve("/nowhere", argv, no_environment), ENOENT);
    CHECK_OK(fcntl(fds[0], F_GETFD));
    raise(SIGUSR1);
    CHECK_EQ(signals_counted, 1);
}

/* ---- Scripts ---- */

/* Runs ./script with arguments "a" and "b c"; what it prints in `output`. */
static int script_run(const char *text, char *output, size_t size)
{
    char *const argv[] = {"ignored", "a", "b c", NULL};
    int fds[2];
    ssize_t length;
    pid_t child;

    write_file("script", text);
    CHECK_OK(chmod("script", 0755));
    CHECK_OK(pipe(fds));
    child = CHECK_OK(fork());
    if (child == 0) {
        dup2(fds[1], 1);
        execve("./script", argv, no_environment);
        _exit(errno);
    }
    close(fds[1]);
    length = CHECK_OK(read(fds[0], output, size - 1));
    output[length] = 0;
    close(fds[0]);
    return WEXITSTATUS(guest_wait(__FILE__, __LINE__, child));
}

TEST(execve_of_a_script_runs_its_interpreter_with_the_path)
{
    char self[256], text[300], output[300];

    enter_empty_directory();
    self_path(self, sizeof(self));
    snprintf(text, sizeof(text), "#!%s -print\nrest\n", self);
    CHECK_EQ(script_run(text, output, sizeof(output)), 0);
    CHECK_STR_EQ(output, "-print|./script|a|b c");
}

TEST(execve_of_a_script_passes_one_argument_whole)
{
    char output[300];

    enter_empty_directory();
    CHECK_EQ(script_run("#! \t/bin/echo  one two \t\n", output, sizeof(output)), 0);
    CHECK_STR_EQ(output, "one two ./script a b c\n");
}

TEST(execve_of_a_script_without_newline_works)
{
    char output[300];

    enter_empty_directory();
    CHECK_EQ(script_run("#!/bin/echo", output, sizeof(output)), 0);
    CHECK_STR_EQ(output, "./script a b c\n");
}

TEST(execve_of_a_script_with_missing_interpreter_gives_enoent)
{
    char output[300];

    enter_empty_directory();
    CHECK_EQ(script_run("#!/nowhere/sh\n", output, sizeof(output)), ENOENT);
    CHECK_EQ(script_run("#!\n", output, sizeof(output)), ENOEXEC);
}

TEST(execve_of_scripts_that_interpret_each_other_gives_eloop)
{
    char output[300];

    enter_empty_directory();
    CHECK_EQ(script_run("#!./script\n", output, sizeof(output)), ELOOP);
}

TEST(execve_of_a_script_of_a_script_runs_both)
{
    char output[300];

    enter_empty_directory();
    write_file("inner", "#!/bin/echo\n");
    CHECK_OK(chmod("inner", 0755));
    CHECK_EQ(script_run("#!./inner x\n", output, sizeof(output)), 0);
    CHECK_STR_EQ(output, "./inner x ./script a b c\n");
}

/* ---- execveat ---- */

TEST(execveat_runs_a_name_below_a_directory)
{
    char *const argv[] = {"true", NULL};
    int directory = CHECK_OK(open("/bin", O_RDONLY | O_DIRECTORY));
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        syscall(SYS_execveat, directory, "true", argv, no_environment, 0);
        _exit(99);
    }
    CHECK_EXIT(child, 0);
}

TEST(execveat_with_empty_path_runs_the_descriptor)
{
    char *const argv[] = {"program", "-arguments", "one", "", "three 3", NULL};
    int fd = CHECK_OK(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        syscall(SYS_execveat, fd, "", argv, no_environment, AT_EMPTY_PATH);
        _exit(99);
    }
    CHECK_EXIT(child, 0);
}

TEST(execveat_with_nofollow_of_a_link_gives_eloop)
{
    char *const argv[] = {"true", NULL};

    enter_empty_directory();
    CHECK_OK(symlink("/bin/true", "link"));
    CHECK_ERRNO(syscall(SYS_execveat, AT_FDCWD, "link", argv, no_environment, AT_SYMLINK_NOFOLLOW),
                ELOOP);
    CHECK_ERRNO(syscall(SYS_execveat, AT_FDCWD, "link", argv, no_environment, 0x40000000), EINVAL);
    CHECK_ERRNO(syscall(SYS_execveat, 77, "x", argv, no_environment, 0), EBADF);
}

/* ---- Where things lie ---- */

struct layout {
    unsigned long program, heap, mapped, vdso, stack;
};

/* Of a program that starts with this personality. */
static struct layout layout_with(unsigned long personality)
{
    char *const argv[] = {"program", "-layout", NULL};
    struct layout layout;
    char text[256] = "";
    int ends[2];
    pid_t child;

    CHECK_OK(pipe(ends));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_EQ(syscall(SYS_personality, personality), 0);
        CHECK_OK(dup2(ends[1], STDOUT_FILENO));
        execve("/proc/self/exe", argv, no_environment);
        _exit(1);
    }
    CHECK_EXIT(child, 0);
    CHECK_GT(read(ends[0], text, sizeof(text) - 1), 0);
    close(ends[0]);
    close(ends[1]);
    CHECK_EQ(sscanf(text, "%lx %lx %lx %lx %lx", &layout.program, &layout.heap, &layout.mapped,
                    &layout.vdso, &layout.stack),
             5);
    return layout;
}

#define ADDR_NO_RANDOMIZE_ 0x0040000

TEST(execve_without_randomness_puts_everything_where_it_always_lies)
{
    struct layout one, two;

    if (syscall(SYS_personality, ADDR_NO_RANDOMIZE_) == -1)
        SKIP("this personality is forbidden here");
    CHECK_EQ(syscall(SYS_personality, 0), ADDR_NO_RANDOMIZE_);
    one = layout_with(ADDR_NO_RANDOMIZE_), two = layout_with(ADDR_NO_RANDOMIZE_);
    CHECK_MEM_EQ(&one, &two, sizeof(one));
    CHECK_EQ(one.stack & -4096ul, 0x7fffffffe000);
    CHECK_EQ(one.mapped >> 24, 0x7ffff7);
    if (one.program > 0x10000000) { /* position-independent, by an interpreter or without */
        CHECK(one.program == 0x555555554000 || one.program >> 24 == 0x7ffff7);
        CHECK(one.heap >> 20 == 0x5555555 || one.heap >> 24 == 0x7ffff7);
    }
}

TEST(execve_puts_things_at_random)
{
    struct layout one = layout_with(0), two = layout_with(0);

    CHECK_NE(one.heap, two.heap);
    CHECK_NE(one.mapped, two.mapped);
    CHECK_NE(one.vdso, two.vdso);
    CHECK_NE(one.stack, two.stack);
}

/* Whether somebody without rights who runs a copy of the shell with this mode may look into it. */
static int looks_into_itself(mode_t mode)
{
    pid_t child;

    CHECK_EQ(system("cp /bin/sh shell"), 0);
    CHECK_OK(chmod("shell", mode));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(syscall(SYS_setresgid, 65534, 65534, 65534));
        CHECK_OK(syscall(SYS_setresuid, 65534, 65534, 65534));
        execl("shell", "shell", "-c", "exec 2>&-; exec 3</proc/self/environ", (char *)NULL);
        _exit(99);
    }
    return child;
}

TEST(exec_of_a_program_that_may_not_be_read_may_not_be_looked_into)
{
    NEEDS_ROOT();
    enter_empty_directory();
    CHECK_EXIT(looks_into_itself(0755), 0);
    CHECK_EXIT(looks_into_itself(0711), 2);
}
