/*
 * Names for addresses of the kernel, from the symbol table of its image.
 *
 * The image is mapped and searched where it lies; a panic prints few addresses, so nothing is
 * sorted. What the image says is checked against its size: a broken one gives no names.
 */
#include "pith.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ADDRESS_MARK   "[<"
#define ADDRESS_DIGITS 16

struct symbols {
    const Elf64_Sym *table;
    size_t count;
    const char *names; /* ends with a 0 */
    size_t names_size;
};

struct image {
    const uint8_t *bytes;
    size_t size;
};

/* The section's bytes, or NULL if they do not lie within the image. */
static const void *section_bytes(const struct image *image, const Elf64_Shdr *section)
{
    if (section->sh_offset > image->size || section->sh_size > image->size - section->sh_offset)
        return NULL;
    return image->bytes + section->sh_offset;
}

static bool find_tables(const struct image *image, struct symbols *symbols)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)image->bytes;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(image->bytes + header->e_shoff);

    if (header->e_shoff > image->size || header->e_shentsize != sizeof(*sections) ||
        header->e_shnum > (image->size - header->e_shoff) / sizeof(*sections))
        return false;
    for (unsigned i = 0; i < header->e_shnum; i++) {
        const Elf64_Shdr *names;

        if (sections[i].sh_type != SHT_SYMTAB || sections[i].sh_link >= header->e_shnum)
            continue;
        names = &sections[sections[i].sh_link];
        symbols->table = section_bytes(image, &sections[i]);
        symbols->count = sections[i].sh_size / sizeof(*symbols->table);
        symbols->names = section_bytes(image, names);
        symbols->names_size = names->sh_size;
        return symbols->table && symbols->names && names->sh_size &&
               !symbols->names[names->sh_size - 1];
    }
    return false;
}

struct symbols *symbols_open(int kernel_fd)
{
    struct symbols *symbols = calloc(1, sizeof(*symbols));
    struct stat status;
    struct image image;
    void *bytes;

    if (!symbols || fstat(kernel_fd, &status) || status.st_size < (off_t)sizeof(Elf64_Ehdr))
        goto none;
    bytes = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE, kernel_fd, 0);
    if (bytes == MAP_FAILED)
        goto none;
    image = (struct image){bytes, status.st_size};
    if (find_tables(&image, symbols))
        return symbols;
    munmap(bytes, status.st_size);
none:
    free(symbols);
    return NULL;
}

/* The function that holds `address`, and how far in; NULL: none does. */
static const char *symbols_find(const struct symbols *symbols, uint64_t address, uint64_t *offset)
{
    for (size_t i = 0; i < symbols->count; i++) {
        const Elf64_Sym *symbol = &symbols->table[i];
        uint64_t size = symbol->st_size ? symbol->st_size : 1;

        if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || address < symbol->st_value ||
            address - symbol->st_value >= size || symbol->st_name >= symbols->names_size)
            continue;
        *offset = address - symbol->st_value;
        return symbols->names + symbol->st_name;
    }
    return NULL;
}

void symbols_print_line(const struct symbols *symbols, int fd, const char *line, size_t size,
                        const char *line_end)
{
    char *copy = text("%.*s", (int)size, line);
    char *from = copy, *mark;
    struct buffer out = {0};

    while (symbols && (mark = strstr(from, ADDRESS_MARK))) {
        char *end;
        uint64_t offset, address = strtoull(mark + strlen(ADDRESS_MARK), &end, 16);
        const char *name = NULL;

        if (end - mark == (int)strlen(ADDRESS_MARK) + ADDRESS_DIGITS && end[0] == '>' &&
            end[1] == ']') {
            end += strlen(">]");
            name = symbols_find(symbols, address, &offset);
        }
        buffer_append(&out, from, end - from);
        if (name) {
            char *named = text(" %s+0x%llx", name, (unsigned long long)offset);

            buffer_append(&out, named, strlen(named));
            free(named);
        }
        from = end;
    }
    buffer_append(&out, from, strlen(from));
    buffer_append(&out, line_end, strlen(line_end));
    if (write(fd, out.data, out.size) < 0)
        from = copy; /* nobody reads it */
    buffer_free(&out);
    free(copy);
}
