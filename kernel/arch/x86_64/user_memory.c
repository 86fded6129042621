/*
 * The user's memory: the only functions that open a struct user_ptr.
 *
 * Each checks that the whole range is the user's, then lets user_copy.S do the access. A fault
 * inside is vm/'s to mend; if it cannot, or if the access must not sleep (user_faults_fail), the
 * fixup ends the access.
 *
 *     form         on a fault                                     for
 *     plain        page is read in; may sleep; -EFAULT            arguments and results of calls
 *     _partial     the same; says how much was not copied         data of read and write
 *     _nofault     fails at once, never sleeps                    futexes, under a page's lock, FPU
 *
 * user_faults_fail is this CPU's and still the right one at the end of the access: a _nofault form
 * does not sleep, and an interrupt that comes in between does not preempt the kernel.
 *
 * Context: may sleep, so no spinlock is held; but the _nofault forms anywhere that the address
 * space cannot go away.
 */
#include <pith/core.h>

#include "fpu.h"
#include "trap.h"
#include "user_access.h"

struct patch_site {
    u8 *address;
    u64 kind; /* PATCH_* */
};

/* An entry of the table that FIXUP (user_access.inc) makes; kernel.ld gathers them. */
struct fixup {
    u64 fault, target;
};

extern const struct patch_site patch_sites_start[], patch_sites_end[];
extern const struct fixup fixups_start[], fixups_end[];

size_t user_copy(void *to, const void *from, size_t bytes);
size_t user_clear(void *to, size_t bytes);
ssize_t user_copy_string(char *to, const char *from, size_t most);
int user_load_u32(const u32 *from, u32 *value_out);
int user_compare_exchange_u32(u32 *at, u32 expected, u32 value, u32 *old_out);
int user_fpu_save(void *to, u64 components);
int user_fpu_load(const void *from, u64 components);

/*
 * Each site has three bytes of nothing, which become stac or clac where the CPU has SMAP: no branch
 * is left on the way of each copy. The text is writable still, and no other CPU runs.
 */
void patch_sites_apply(void)
{
    static const u8 instructions[][3] = {
        [PATCH_STAC] = {0x0f, 0x01, 0xcb},
        [PATCH_CLAC] = {0x0f, 0x01, 0xca},
    };

    for (const struct patch_site *site = patch_sites_start; site < patch_sites_end; site++)
        memcpy(site->address, instructions[site->kind], sizeof(instructions[0]));
}

/* Linear: the table has some twenty entries, and a fault that ends here is a program's mistake. */
bool fault_fixup(struct trap_frame *frame)
{
    for (const struct fixup *fixup = fixups_start; fixup < fixups_end; fixup++) {
        if (fixup->fault == frame->rip) {
            frame->rip = fixup->target;
            return true;
        }
    }
    return false;
}

bool user_faults_fail(void)
{
    return cpu_current()->user_faults_fail;
}

static void faults_fail_begin(void)
{
    cpu_current()->user_faults_fail++;
}

static void faults_fail_end(void)
{
    cpu_current()->user_faults_fail--;
}

static void *user_address(struct user_ptr pointer)
{
    return (void *)pointer.address;
}

size_t copy_in_partial(void *to, struct user_ptr from, size_t bytes)
{
    if (!user_range_is_valid(from.address, bytes))
        return bytes;
    return user_copy(to, user_address(from), bytes);
}

size_t copy_out_partial(struct user_ptr to, const void *from, size_t bytes)
{
    if (!user_range_is_valid(to.address, bytes))
        return bytes;
    return user_copy(user_address(to), from, bytes);
}

int copy_in(void *to, struct user_ptr from, size_t bytes)
{
    return copy_in_partial(to, from, bytes) ? -EFAULT : 0;
}

int copy_out(struct user_ptr to, const void *from, size_t bytes)
{
    return copy_out_partial(to, from, bytes) ? -EFAULT : 0;
}

int clear_user(struct user_ptr to, size_t bytes)
{
    if (!user_range_is_valid(to.address, bytes) || user_clear(user_address(to), bytes))
        return -EFAULT;
    return 0;
}

size_t copy_in_nofault(void *to, struct user_ptr from, size_t bytes)
{
    size_t left;

    faults_fail_begin();
    left = copy_in_partial(to, from, bytes);
    faults_fail_end();
    return left;
}

size_t copy_out_nofault(struct user_ptr to, const void *from, size_t bytes)
{
    size_t left;

    faults_fail_begin();
    left = copy_out_partial(to, from, bytes);
    faults_fail_end();
    return left;
}

ssize_t copy_in_string(char *to, struct user_ptr from, size_t size)
{
    size_t most;
    ssize_t length;

    if (from.address >= USER_END)
        return -EFAULT;
    most = MIN(size, USER_END - from.address);
    length = user_copy_string(to, user_address(from), most);
    if (length < 0 || (size_t)length < most)
        return length;
    return most < size ? -EFAULT : -ENAMETOOLONG;
}

int user_load_u32_nofault(struct user_ptr from, u32 *value_out)
{
    int error;

    if (!user_range_is_valid(from.address, sizeof(u32)))
        return -EFAULT;
    faults_fail_begin();
    error = user_load_u32(user_address(from), value_out);
    faults_fail_end();
    return error;
}

int user_compare_exchange_u32_nofault(struct user_ptr at, u32 expected, u32 value, u32 *old_out)
{
    int error;

    if (!user_range_is_valid(at.address, sizeof(u32)))
        return -EFAULT;
    faults_fail_begin();
    error = user_compare_exchange_u32(user_address(at), expected, value, old_out);
    faults_fail_end();
    return error;
}

int user_fpu_save_nofault(struct user_ptr to)
{
    int error;

    if (!user_range_is_valid(to.address, fpu_layout.bytes))
        return -EFAULT;
    faults_fail_begin();
    error = user_fpu_save(user_address(to), fpu_layout.components);
    faults_fail_end();
    return error;
}

int user_fpu_load_nofault(struct user_ptr from)
{
    int error;

    if (!user_range_is_valid(from.address, fpu_layout.bytes))
        return -EFAULT;
    faults_fail_begin();
    error = user_fpu_load(user_address(from), fpu_layout.components);
    faults_fail_end();
    return error;
}
