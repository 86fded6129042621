/*
 * The processor's features: what CPUID says, less what a word of the command line switches off.
 *
 * One table says for each feature where CPUID shows it, which bit of CR4 turns it on, and the word
 * that switches it off. All else asks cpu_has(), so a kernel with `nosmap` behaves as on a CPU that
 * never had SMAP, and every path for an older processor is tested on a new one.
 *
 * CR4 is written whole, never added to: what firmware left on is off.
 *
 * Context: features_init on the boot CPU, after the parameters were parsed; features_enable on
 * each. Other CPUs are taken to be alike.
 */
#include <pith/core.h>

#include "constants.h"
#include "features.h"
#include "registers.h"

struct feature_source {
    struct cpuid_word word;
    u32 bit;
    u64 cr4; /* what turns it on; 0: nothing is needed, or it is another file's work */
};

/* SDM 2A "CPUID". */
static const struct feature_source sources[FEATURES] = {
    [FEATURE_NX] = {{0x80000001, 0, IN_EDX}, 20},
    [FEATURE_PAGE_1G] = {{0x80000001, 0, IN_EDX}, 26},
    [FEATURE_SMEP] = {{7, 0, IN_EBX}, 7, CR4_SMEP},
    [FEATURE_SMAP] = {{7, 0, IN_EBX}, 20, CR4_SMAP},
    [FEATURE_UMIP] = {{7, 0, IN_ECX}, 2, CR4_UMIP},
    [FEATURE_FSGSBASE] = {{7, 0, IN_EBX}, 0, CR4_FSGSBASE},
    [FEATURE_XSAVE] = {{1, 0, IN_ECX}, 26, CR4_OSXSAVE},
    [FEATURE_XSAVEOPT] = {{0xd, 1, IN_EAX}, 0},
    [FEATURE_X2APIC] = {{1, 0, IN_ECX}, 21},
    [FEATURE_TSC_DEADLINE] = {{1, 0, IN_ECX}, 24},
    [FEATURE_RDTSCP] = {{0x80000001, 0, IN_EDX}, 27},
    [FEATURE_RDRAND] = {{1, 0, IN_ECX}, 30},
    [FEATURE_ERMS] = {{7, 0, IN_EBX}, 9},
};

#define HWCAP2_FSGSBASE BIT(1)
#define PAGE_NO_EXECUTE BIT(63) /* SDM 3A "4-Level Paging" */

u64 features_in_use;
pte pte_no_execute;
u64 cpu_hwcap, cpu_hwcap2;
static bool switched_off[FEATURES];

PARAMETER(nosmap, "nosmap", "", "leaves user memory accessible in kernel mode",
          .flag = &switched_off[FEATURE_SMAP]);
PARAMETER(nosmep, "nosmep", "", "leaves user memory executable in kernel mode",
          .flag = &switched_off[FEATURE_SMEP]);
PARAMETER(noumip, "noumip", "", "lets user mode read the descriptor tables' addresses",
          .flag = &switched_off[FEATURE_UMIP]);
PARAMETER(nofsgsbase, "nofsgsbase", "", "leaves the FS and GS bases to system calls",
          .flag = &switched_off[FEATURE_FSGSBASE]);
PARAMETER(noxsave, "noxsave", "", "saves only x87 and SSE registers, by FXSAVE",
          .flag = &switched_off[FEATURE_XSAVE]);
PARAMETER(nox2apic, "nox2apic", "", "uses the local APIC through memory",
          .flag = &switched_off[FEATURE_X2APIC]);
PARAMETER(notscdeadline, "notscdeadline", "", "uses the APIC's own timer",
          .flag = &switched_off[FEATURE_TSC_DEADLINE]);
PARAMETER(nopage1g, "nopage1g", "", "maps memory with pages of 2 MiB",
          .flag = &switched_off[FEATURE_PAGE_1G]);
PARAMETER(nonx, "nonx", "", "leaves data executable", .flag = &switched_off[FEATURE_NX]);
PARAMETER(noxsaveopt, "noxsaveopt", "", "saves all registers at each switch, also unchanged ones",
          .flag = &switched_off[FEATURE_XSAVEOPT]);
PARAMETER(nordtscp, "nordtscp", "", "asks the kernel on which CPU a program runs",
          .flag = &switched_off[FEATURE_RDTSCP]);
PARAMETER(noerms, "noerms", "", "clears and copies pages by no string instructions of bytes",
          .flag = &switched_off[FEATURE_ERMS]);
PARAMETER(nordrand, "nordrand", "", "takes no random numbers from the CPU",
          .flag = &switched_off[FEATURE_RDRAND]);

struct cpuid_result cpuid(u32 leaf, u32 subleaf)
{
    struct cpuid_result result, limit;

    __asm__ volatile("cpuid"
                     : "=a"(limit.eax), "=b"(limit.ebx), "=c"(limit.ecx), "=d"(limit.edx)
                     : "a"(leaf & 0xffff0000), "c"(0));
    if (leaf > limit.eax || (limit.eax ^ leaf) & 0xffff0000)
        return (struct cpuid_result){};
    __asm__ volatile("cpuid"
                     : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx)
                     : "a"(leaf), "c"(subleaf));
    return result;
}

u32 cpuid_word(const struct cpuid_word *word)
{
    struct cpuid_result result = cpuid(word->leaf, word->subleaf);
    u32 registers[] = {result.eax, result.ebx, result.ecx, result.edx};

    return registers[word->reg];
}

/* What programs read as AT_HWCAP and AT_HWCAP2. */
static void hwcap_init(void)
{
    cpu_hwcap = cpuid(1, 0).edx;
    if (cpu_has(FEATURE_FSGSBASE))
        cpu_hwcap2 |= HWCAP2_FSGSBASE;
}

void features_init(void)
{
    for (enum feature feature = 0; feature < FEATURES; feature++) {
        if (!switched_off[feature] &&
            cpuid_word(&sources[feature].word) & BIT(sources[feature].bit))
            features_in_use |= BIT(feature);
    }
    if (!cpu_has(FEATURE_XSAVE))
        features_in_use &= ~BIT(FEATURE_XSAVEOPT);
    pte_no_execute = cpu_has(FEATURE_NX) ? PAGE_NO_EXECUTE : 0;
    hwcap_init();
}

void features_enable(void)
{
    u64 cr4 = CR4_PAE | CR4_PGE | CR4_DE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT;

    if (deterministic)
        cr4 |= CR4_TSD; /* counter_read_emulated answers */

    for (enum feature feature = 0; feature < FEATURES; feature++) {
        if (cpu_has(feature))
            cr4 |= sources[feature].cr4;
    }
    cr4_write(cr4);
}
