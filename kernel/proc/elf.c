/*
 * ELF programs: headers read and checked, segments mapped (gABI chapter 5, psABI 3).
 *
 *     file:   | headers | text ......... | data ... |
 *     memory: | R       | R X            | RW  |bss |  each segment from its page on; what a
 *                                                      segment's memory has beyond its file part
 *                                                      is cleared, then anonymous
 *
 * Nothing is read but the headers: pages come when they are touched. A program at fixed addresses
 * (ET_EXEC) is mapped there; a position-independent one at a random base; the interpreter (ld.so,
 * named by PT_INTERP) where mmap finds room, as is a position-independent program that names none,
 * for it is an interpreter itself ("L41 lecture 3, Role of the run-time linker").
 *
 * All that the file says is hostile, and it may change while it is read. So each header is copied
 * once and only the copy is looked at, and sizes and addresses are checked before they are added:
 *
 *     - segments ascend, do not overlap, end below USER_END, and fit their pages (-ENOEXEC)
 *     - file_bytes <= memory_bytes; offset and address agree modulo the page
 *
 * A fault behind the file's end is the program's own SIGBUS.
 *
 * Context: exec, in an address space that nobody else sees. Sleeps.
 */
#include <pith/abi/mman.h>

#include "exec.h"

#define SEGMENTS_MAX         (PAGE_SIZE / sizeof(struct elf_program_header))
#define INTERPRETER_NAME_MAX PATH_MAX_BYTES

/* ---- Headers ---- */

/* x86-64 little endian only; ET_EXEC and ET_DYN; a table of headers within a page. */
static int header_check(const struct elf_header *header)
{
    if (memcmp(header->ident, ELF_MAGIC, 4) != 0 || header->ident[4] != ELF_CLASS_64 ||
        header->ident[5] != ELF_DATA_LITTLE || header->machine != ELF_MACHINE_X86_64)
        return -ENOEXEC;
    if (header->type != ELF_EXECUTABLE && header->type != ELF_DYNAMIC)
        return -ENOEXEC;
    if (header->program_header_bytes != sizeof(struct elf_program_header) ||
        header->program_header_count == 0 || header->program_header_count > SEGMENTS_MAX)
        return -ENOEXEC;
    return 0;
}

/* An empty segment maps nothing and proves nothing: it is passed over, checks included. */
static bool is_loaded(const struct elf_program_header *segment)
{
    return segment->type == ELF_SEGMENT_LOAD && segment->memory_bytes != 0;
}

/*
 * Each sum is made only when it cannot wrap. Offset and address agree modulo the page, or no
 * mapping could show the one at the other.
 */
static int segment_check(const struct elf_program_header *segment)
{
    if (segment->file_bytes > segment->memory_bytes || segment->memory_bytes > USER_END ||
        segment->address > USER_END - segment->memory_bytes)
        return -ENOEXEC;
    if ((segment->address ^ segment->offset) & ~PAGE_MASK)
        return -ENOEXEC;
    if (segment->offset + segment->file_bytes < segment->offset)
        return -ENOEXEC;
    return 0;
}

/* Checks the loaded segments, which ascend, and finds what they span. */
static int segments_check(struct elf_image *image)
{
    u64 end = 0;

    image->low = U64_MAX;
    for (u32 i = 0; i < image->header.program_header_count; i++) {
        const struct elf_program_header *segment = &image->segments[i];
        int error;

        if (segment->type == ELF_SEGMENT_GNU_STACK)
            image->executable_stack = segment->flags & ELF_EXECUTE;
        if (!is_loaded(segment))
            continue;
        error = segment_check(segment);
        if (error)
            return error;
        if (segment->address < end)
            return -ENOEXEC;
        end = segment->address + segment->memory_bytes;
        image->low = MIN(image->low, ALIGN_DOWN(segment->address, PAGE_SIZE));
    }
    image->high = ALIGN_UP(end, PAGE_SIZE);
    return image->low < image->high ? 0 : -ENOEXEC;
}

static int read_exactly(struct file *file, void *to, size_t bytes, u64 offset)
{
    ssize_t result = file_read_kernel(file, to, bytes, offset);

    if (result < 0)
        return result;
    return (size_t)result == bytes ? 0 : -ENOEXEC;
}

/* Once into our memory, then checked: the file may change under us, our copy does not. */
int elf_image_read(struct elf_image *image)
{
    struct elf_header *header = &image->header;
    size_t bytes;
    int error;

    error = read_exactly(image->file, header, sizeof(*header), 0);
    if (!error)
        error = header_check(header);
    if (error)
        return error;
    bytes = header->program_header_count * sizeof(*image->segments);
    image->segments = kmalloc(bytes, 0);
    if (!image->segments)
        return -ENOMEM;
    error = read_exactly(image->file, image->segments, bytes, header->program_headers);
    if (!error)
        error = segments_check(image);
    return error;
}

void elf_image_release(struct elf_image *image)
{
    kfree(image->segments);
    if (image->file)
        file_put(image->file);
}

/* ---- The interpreter ---- */

/* A broken interpreter is another error than a broken program: ELIBBAD (execve(2)). */
static int interpreter_open_named(const struct elf_image *program,
                                  const struct elf_program_header *segment,
                                  struct elf_image *interpreter)
{
    u64 bytes = segment->file_bytes;
    char *name;
    int error;

    if (bytes < 2 || bytes > INTERPRETER_NAME_MAX)
        return -ENOEXEC;
    name = kmalloc(bytes, 0);
    if (!name)
        return -ENOMEM;
    error = read_exactly(program->file, name, bytes, segment->offset);
    if (!error && name[bytes - 1] != '\0')
        error = -ENOEXEC;
    if (!error)
        error = file_open_executable(NULL, name, LOOKUP_FOLLOW, &interpreter->file);
    kfree(name);
    if (error)
        return error;
    error = elf_image_read(interpreter);
    return error == -ENOEXEC ? -ELIBBAD : error;
}

/* The first PT_INTERP counts. */
int elf_interpreter_open(const struct elf_image *program, struct elf_image *interpreter)
{
    for (u32 i = 0; i < program->header.program_header_count; i++)
        if (program->segments[i].type == ELF_SEGMENT_INTERPRETER)
            return interpreter_open_named(program, &program->segments[i], interpreter);
    return 0;
}

/* ---- Mapping ---- */

static u32 region_flags(const struct elf_program_header *segment)
{
    u32 flags = REGION_MAY_READ | REGION_MAY_WRITE | REGION_MAY_EXECUTE;

    flags |= (segment->flags & ELF_READ) ? REGION_READ : 0;
    flags |= (segment->flags & ELF_WRITE) ? REGION_WRITE : 0;
    flags |= (segment->flags & ELF_EXECUTE) ? REGION_EXECUTE : 0;
    return flags;
}

static void request_init(struct map_request *request, u64 address, u64 bytes, u32 flags)
{
    *request = (struct map_request){
        .address = address,
        .bytes = bytes,
        .flags = flags,
        .map_flags = MAP_PRIVATE | MAP_FIXED,
    };
}

/* Clears from the end of the segment's file part to the end of its page. */
static int clear_page_rest(struct address_space *space, u64 from)
{
    static const char zeros[PAGE_SIZE];
    u64 bytes = ALIGN_UP(from, PAGE_SIZE) - from;

    /* The page is mapped and may be written: what fails is memory for the copy. */
    return address_space_write(space, from, zeros, bytes) == bytes ? 0 : -ENOMEM;
}

/*
 * The file's own operation says what is behind the pages; one that cannot be mapped is no program.
 */
static int map_file_part(struct elf_image *image, struct address_space *space,
                         const struct elf_program_header *segment, u64 start)
{
    u64 lead = segment->address & ~PAGE_MASK, address;
    struct map_request request;
    int error;

    request_init(&request, start - lead, ALIGN_UP(segment->file_bytes + lead, PAGE_SIZE),
                 region_flags(segment));
    request.offset_pages = segment->offset >> PAGE_SHIFT;
    if (!image->file->operations->map)
        return -ENOEXEC;
    error = image->file->operations->map(image->file, &request);
    if (error)
        return error;
    return address_space_map(space, &request, &address);
}

/*
 * The file's part is mapped in whole pages; what of its last page belongs to the memory's part is
 * cleared, in a private copy; the rest is anonymous.
 */
static int map_segment(struct elf_image *image, struct address_space *space,
                       const struct elf_program_header *segment)
{
    u64 start = image->bias + segment->address;
    u64 file_end = start + segment->file_bytes, end = start + segment->memory_bytes;
    u64 anonymous_start = ALIGN_UP(file_end, PAGE_SIZE), address;
    struct map_request request;
    int error = 0;

    if (segment->file_bytes)
        error = map_file_part(image, space, segment, start);
    else
        anonymous_start = ALIGN_DOWN(start, PAGE_SIZE);
    if (!error && end > file_end && (file_end & ~PAGE_MASK) && segment->file_bytes &&
        (segment->flags & ELF_WRITE))
        error = clear_page_rest(space, file_end);
    if (error || ALIGN_UP(end, PAGE_SIZE) <= anonymous_start)
        return error;
    request_init(&request, anonymous_start, ALIGN_UP(end, PAGE_SIZE) - anonymous_start,
                 region_flags(segment));
    return address_space_map(space, &request, &address);
}

/* /proc/PID/stat's codes and data: the first that is executed, the last that is written. */
static void note_segment(struct address_space *space, const struct elf_program_header *segment,
                         u64 bias)
{
    u64 start = bias + segment->address, end = start + segment->file_bytes;

    if ((segment->flags & ELF_EXECUTE) && !space->code_start) {
        space->code_start = start;
        space->code_end = end;
    }
    if (segment->flags & ELF_WRITE) {
        space->data_start = start;
        space->data_end = end;
    }
}

static int map_segments(struct elf_image *image, struct address_space *space)
{
    for (u32 i = 0; i < image->header.program_header_count; i++) {
        int error;

        if (!is_loaded(&image->segments[i]))
            continue;
        error = map_segment(image, space, &image->segments[i]);
        if (error)
            return error;
    }
    return 0;
}

/* The heap begins behind the program, wherever that was put. */
int elf_program_map(struct elf_image *image, struct address_space *space, bool has_interpreter)
{
    int error;

    /* A position-independent program without an interpreter is one itself (ld.so run by name). */
    if (image->header.type == ELF_DYNAMIC && !has_interpreter)
        error = elf_interpreter_map(image, space);
    else {
        if (image->header.type == ELF_DYNAMIC)
            image->bias = layout_program_base(space) - image->low;
        error = map_segments(image, space);
    }
    if (error)
        return error;
    for (u32 i = 0; i < image->header.program_header_count; i++)
        if (is_loaded(&image->segments[i]))
            note_segment(space, &image->segments[i], image->bias);
    space->heap_start = layout_heap_start(space, image->bias + image->high);
    space->heap_end = space->heap_start;
    return 0;
}

/* Reserves room for all segments in one piece, then maps them into it; holes go back. */
int elf_interpreter_map(struct elf_image *image, struct address_space *space)
{
    struct map_request request;
    u64 address, hole;
    int error;

    request_init(&request, 0, image->high - image->low, 0);
    request.map_flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    error = address_space_map(space, &request, &address);
    if (error)
        return error;
    image->bias = address - image->low;
    error = map_segments(image, space);
    hole = image->low;
    for (u32 i = 0; !error && i < image->header.program_header_count; i++) {
        const struct elf_program_header *segment = &image->segments[i];
        u64 start = ALIGN_DOWN(segment->address, PAGE_SIZE);

        if (!is_loaded(segment))
            continue;
        if (start > hole)
            error = address_space_unmap(space, image->bias + hole, start - hole);
        hole = ALIGN_UP(segment->address + segment->memory_bytes, PAGE_SIZE);
    }
    return error;
}
