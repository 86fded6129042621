/*
 * The harness of the unit tests: each tests/unit/NAME.c is one program for the host, built under
 * the address and undefined-behaviour sanitizers.
 *
 *     // links: kernel/lib/tree.c kernel/lib/format.c     (in a comment near the top)
 *     TEST(tree_is_empty_after_its_last_node_left) { ... CHECK_EQ(tree_count(&tree), 0); }
 *
 * A program is linked with the sources that it names; without such a line, FOLDER_FILE.c gets
 * kernel/FOLDER/FILE.c. TEST registers its function before main() runs. A failed check prints both
 * values, ends its test and no other; checks may stand in helpers that a test calls. The program
 * prints `ok NAME` or `FAIL NAME: where: what` for each test and at last `N passed, N failed`.
 * Arguments are the names of tests to run; --list prints all.
 *
 * Kernel sources find here what they ask of core/: assert and panic fail the running test.
 */
#pragma once

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit_test {
    const char *name;
    void (*run)(void);
    struct unit_test *next;
};

struct unit_state {
    struct unit_test *first, **end;
    jmp_buf escape;
    const char *running;
};

static struct unit_state unit;

__attribute__((unused)) static void unit_register(struct unit_test *test)
{
    if (!unit.end)
        unit.end = &unit.first;
    *unit.end = test;
    unit.end = &test->next;
}

#define TEST(sentence)                                                         \
    static void sentence(void);                                                \
    __attribute__((constructor)) static void sentence##_register(void)         \
    {                                                                          \
        static struct unit_test test = {.name = #sentence, .run = (sentence)}; \
                                                                               \
        unit_register(&test);                                                  \
    }                                                                          \
    static void sentence(void)

/* Ends the running test as failed. */
__attribute__((__noreturn__, __format__(__printf__, 3, 4))) static void
unit_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;

    printf("FAIL %s: %s:%d: ", unit.running, file, line);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    longjmp(unit.escape, 1);
}

__attribute__((unused)) static void unit_check_compare(const char *file, int line, int holds,
                                                       const char *claim, long long left,
                                                       long long right)
{
    if (!holds)
        unit_fail(file, line, "%s: left is %lld (0x%llx), right is %lld (0x%llx)", claim, left,
                  left, right, right);
}

__attribute__((unused)) static void unit_check_text(const char *file, int line, const char *claim,
                                                    const char *left, const char *right)
{
    if (!left || !right ? left != right : strcmp(left, right) != 0)
        unit_fail(file, line, "%s: left is \"%s\", right is \"%s\"", claim, left ? left : "(null)",
                  right ? right : "(null)");
}

#define CHECK(condition)                                              \
    do {                                                              \
        if (!(condition))                                             \
            unit_fail(__FILE__, __LINE__, "%s is false", #condition); \
    } while (0)
/* Numbers or pointers, each side evaluated once. */
#define CHECK_COMPARE(left, operator, right)                                             \
    do {                                                                                 \
        __auto_type unit_left = (left);                                                  \
        __auto_type unit_right = (right);                                                \
        unit_check_compare(                                                              \
            __FILE__, __LINE__, (long long)unit_left operator(long long) unit_right,     \
            #left " " #operator" " #right, (long long)unit_left, (long long)unit_right); \
    } while (0)
#define CHECK_EQ(left, right) CHECK_COMPARE(left, ==, right)
#define CHECK_NE(left, right) CHECK_COMPARE(left, !=, right)
#define CHECK_LT(left, right) CHECK_COMPARE(left, <, right)
#define CHECK_LE(left, right) CHECK_COMPARE(left, <=, right)
#define CHECK_GT(left, right) CHECK_COMPARE(left, >, right)
#define CHECK_GE(left, right) CHECK_COMPARE(left, >=, right)
#define CHECK_STR_EQ(left, right) \
    unit_check_text(__FILE__, __LINE__, #left " == " #right, left, right)
#define CHECK_MEM_EQ(left, right, bytes)                                                      \
    do {                                                                                      \
        if (memcmp(left, right, bytes) != 0)                                                  \
            unit_fail(__FILE__, __LINE__, "%s and %s differ in their first %zu bytes", #left, \
                      #right, (size_t)(bytes));                                               \
    } while (0)

/* ---- What linked kernel sources ask of core/ ---- */

enum log_level;
__attribute__((__noreturn__, __weak__)) void assert_failed(const char *condition, const char *file,
                                                           int line, const char *function)
{
    unit_fail(file, line, "%s: assertion failed: %s", function, condition);
}

__attribute__((__noreturn__, __weak__, __format__(__printf__, 1, 2))) void panic(const char *format,
                                                                                 ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    unit_fail(__FILE__, __LINE__, "panic: %s", text);
}

/* ---- The program ---- */

static int unit_is_wanted(const struct unit_test *test, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], test->name))
            return 1;
    return argc < 2;
}

int main(int argc, char **argv)
{
    static int passed, failed; /* static: a longjmp must not lose them */
    static struct unit_test *test;
    int list = argc == 2 && !strcmp(argv[1], "--list");

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (test = unit.first; test; test = test->next) {
        if (list)
            puts(test->name);
        if (list || !unit_is_wanted(test, argc, argv))
            continue;
        unit.running = test->name;
        if (setjmp(unit.escape)) {
            failed++;
            continue;
        }
        test->run();
        passed++;
        printf("ok %s\n", test->name);
    }
    if (!list)
        printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
