/*
 * The segments of this program: what its file says, which is what the kernel mapped.
 *
 * From L41, Lecture 3: The Process Model ("ELF binaries") and CSC 374, Lecture 2 ("Loading
 * Executable Binaries"). To see: the kernel maps the LOAD segments and starts the interpreter that
 * INTERP names; a LOAD segment that is longer in memory than in the file ends with the bss.
 */
#include <elf.h>
#include <stdio.h>
#include <sys/auxv.h>

static const char *name_of(unsigned type)
{
    switch (type) {
    case PT_LOAD:
        return "LOAD";
    case PT_DYNAMIC:
        return "DYNAMIC";
    case PT_INTERP:
        return "INTERP";
    case PT_PHDR:
        return "PHDR";
    case PT_TLS:
        return "TLS";
    case PT_NOTE:
        return "NOTE";
    case PT_GNU_EH_FRAME:
        return "EH_FRAME";
    case PT_GNU_PROPERTY:
        return "PROPERTY";
    case PT_GNU_STACK:
        return "STACK";
    case PT_GNU_RELRO:
        return "RELRO";
    default:
        return "other";
    }
}

int main(void)
{
    /* The kernel tells the program where its headers lie in memory. */
    const Elf64_Phdr *header = (const Elf64_Phdr *)getauxval(AT_PHDR);
    const char *base = (const char *)header - header->p_vaddr; /* the first describes the table */

    for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++, header++) {
        printf("%-8s %8lx %8lx %c%c%c", name_of(header->p_type), (unsigned long)header->p_filesz,
               (unsigned long)header->p_memsz, header->p_flags & PF_R ? 'r' : '-',
               header->p_flags & PF_W ? 'w' : '-', header->p_flags & PF_X ? 'x' : '-');
        printf("%s%s\n", header->p_type == PT_INTERP ? "  " : "",
               header->p_type == PT_INTERP ? base + header->p_vaddr : "");
    }
    return 0;
}
