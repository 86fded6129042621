/*
 * What the parts of exec share: strings, images, the new stack.
 *
 *     exec_alloc, exec_prepare     all that can fail: program, interpreter, strings, space, rights
 *     then by exec.c               the caller becomes it
 *     or by spawn.c                a child that did not exist becomes it
 *     exec_free                    whatever was not moved out
 *
 * One struct exec belongs to one thread in one call, so nothing here is locked.
 */
#pragma once

#include <pith/abi/elf.h>

#include "internal.h"

/* Arguments and environment as they will lie on the new stack: each with its NUL, in order. */
struct exec_strings {
    char *buffer;       /* by kmalloc; NULL: empty */
    size_t bytes, size; /* that are used, that there are */
    size_t limit;       /* strings and their pointers together: RLIMIT_STACK / 4 */
    u32 argument_count, environment_count; /* strings */
    size_t argument_bytes;                 /* of the arguments; the environment follows */
};

/* A program or its interpreter, before and after it is mapped. */
struct elf_image {
    struct file *file;        /* a reference; NULL: a program that needs no interpreter */
    struct elf_header header; /* a copy, checked */
    struct elf_program_header *segments; /* the same; header.program_header_count of them */
    u64 bias;                            /* added to the addresses in the file */
    u64 low, high;                       /* of the loaded segments, page aligned, in the file */
    bool executable_stack;               /* PT_GNU_STACK wants it */
};

#define EXEC_HEAD_BYTES 256 /* of the file: what tells its kind; a #! line's length */

/* One exec on its way: what the new program will have. */
struct exec {
    const char *name; /* AT_EXECFN */
    struct exec_strings strings;
    struct elf_image program, interpreter;
    struct address_space *space;             /* a reference, until it is moved to a thread */
    struct credentials *credentials;         /* the same */
    u32 secure;                              /* AT_SECURE: it has rights that its caller has not */
    bool dumpable;                           /* its user may look into what will run */
    u64 entry, stack_pointer;                /* where user mode begins */
    char head[EXEC_HEAD_BYTES];              /* filled where they are used, as the next */
    char script_path[PATH_MAX_BYTES];        /* what a script's interpreter is to open */
    char relative_name[PATH_MAX_BYTES + 32]; /* /dev/fd/N/NAME of execveat(2) */
};

/* ---- exec.c: the part before the point of no return, which spawn shares ---- */

struct exec *exec_alloc(const struct exec_request *request) must_check;
void exec_free(struct exec *exec);
/* Opens, maps and checks all; the new address space is complete. */
int exec_prepare(struct exec *exec, const struct exec_request *request) must_check;
/* What a new program does not take over of personality(2). */
void process_personality_reset(struct process *process, const struct exec *exec);
/* The thread's name: the last part of the path. */
void exec_name_set(struct thread_identity *identity, const char *path);

/* ---- exec_strings.c ---- */

void exec_strings_init(struct exec_strings *strings);
void exec_strings_fini(struct exec_strings *strings);
/* -E2BIG, -EFAULT, -ENOMEM. */
int exec_strings_copy(struct exec_strings *strings, const struct exec_request *request) must_check;
/* Puts `head` (with their NULs) in the place of the first argument. */
int exec_strings_replace_first(struct exec_strings *strings, const char *head, size_t bytes,
                               u32 count) must_check;

/* ---- exec_script.c ---- */

/* While exec->program.file is a script: opens what it names instead. -ENOEXEC: no kind we know. */
int exec_resolve_scripts(struct exec *exec) must_check;

/* ---- elf.c ---- */

/* Reads and checks the headers. -ENOEXEC, -ENOMEM, -EIO. */
int elf_image_read(struct elf_image *image) must_check;
void elf_image_release(struct elf_image *image);
/* Opens the interpreter that the program names, if it does. */
int elf_interpreter_open(const struct elf_image *program, struct elf_image *interpreter) must_check;
/* Maps the segments; sets bias. */
int elf_program_map(struct elf_image *image, struct address_space *space, bool has_interpreter)
    must_check;
int elf_interpreter_map(struct elf_image *image, struct address_space *space) must_check;

/* ---- exec_stack.c ---- */

int exec_stack_build(struct exec *exec) must_check;
