/*
 * Where the kernel and the guest's programs lie: beside the command (in build/), or in the
 * directory lib/pith beside the one that holds the command (installed).
 *
 * The kernel is checked before QEMU sees it: QEMU takes what is not an ELF image with a PVH entry
 * for something else, and what it says then helps nobody.
 */
#include "pith.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM_HEADERS_MOST 64
#define NOTES_BYTES_MOST     4096
#define NOTE_PVH             18 /* XEN_ELFNOTE_PHYS32_ENTRY */

/* Whether the notes at `offset` name a PVH entry. */
static bool notes_have_pvh(int fd, off_t offset, size_t size)
{
    _Alignas(4) char notes[NOTES_BYTES_MOST];
    size_t at = 0;
    ssize_t got = pread(fd, notes, size < sizeof(notes) ? size : sizeof(notes), offset);

    while (got > 0 && at + sizeof(Elf64_Nhdr) <= (size_t)got) {
        const Elf64_Nhdr *note = (const Elf64_Nhdr *)(notes + at);

        if (note->n_type == NOTE_PVH)
            return true;
        at += sizeof(*note) + ((note->n_namesz + 3ul) & ~3ul) + ((note->n_descsz + 3ul) & ~3ul);
    }
    return false;
}

/* NULL, or what is wrong with the image. */
static const char *kernel_find_fault(int fd)
{
    Elf64_Phdr segments[PROGRAM_HEADERS_MOST];
    Elf64_Ehdr header;
    struct stat status;
    bool has_entry = false;

    if (fstat(fd, &status) || !S_ISREG(status.st_mode))
        return "it is not a file";
    if (pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_machine != EM_X86_64)
        return "it is not an x86-64 ELF image";
    if (header.e_phnum == 0 || header.e_phnum > PROGRAM_HEADERS_MOST ||
        header.e_phentsize != sizeof(*segments) ||
        pread(fd, segments, header.e_phnum * sizeof(*segments), header.e_phoff) !=
            (ssize_t)(header.e_phnum * sizeof(*segments)))
        return "its program headers are broken";
    for (unsigned i = 0; i < header.e_phnum; i++) {
        if (segments[i].p_offset + segments[i].p_filesz > (uint64_t)status.st_size)
            return "it is cut short";
        if (segments[i].p_type == PT_NOTE)
            has_entry |= notes_have_pvh(fd, segments[i].p_offset, segments[i].p_filesz);
    }
    return has_entry ? NULL : "it has no PVH entry";
}

static char *command_directory(void)
{
    char path[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (size < 0)
        fail("/proc/self/exe: %s; is /proc mounted?", strerror(errno));
    path[size] = '\0';
    *strrchr(path, '/') = '\0';
    return text("%s", path);
}

const char *library_search(struct library *library)
{
    char *directory = command_directory();
    const char *fault;

    library->kernel = text("%s/pith.elf", directory);
    if (access(library->kernel, F_OK)) {
        char *installed = text("%s/../lib/pith", directory);

        free(library->kernel);
        free(directory);
        directory = installed;
        library->kernel = text("%s/pith.elf", directory);
    }
    library->init = text("%s/guest/init", directory);
    library->programs = text("%s/guest/bin", directory);
    free(directory);

    library->kernel_fd = open(library->kernel, O_RDONLY | O_CLOEXEC);
    if (library->kernel_fd < 0)
        return text("the kernel %s cannot be opened: %s", library->kernel, strerror(errno));
    fault = kernel_find_fault(library->kernel_fd);
    if (fault)
        return text("the kernel %s is broken: %s", library->kernel, fault);
    if (access(library->init, R_OK))
        return text("the guest's first program %s cannot be read: %s", library->init,
                    strerror(errno));
    return NULL;
}

void library_find(struct library *library)
{
    const char *problem = library_search(library);

    if (problem)
        fail("%s; run make, or install pith again", problem);
}
