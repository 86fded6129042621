/* Which of the processor's features are here and in use; features.c has the table. */
#pragma once

#include <pith/arch.h>

enum feature {
    FEATURE_NX,
    FEATURE_PAGE_1G,
    FEATURE_SMEP,
    FEATURE_SMAP,
    FEATURE_UMIP,
    FEATURE_FSGSBASE,
    FEATURE_XSAVE,
    FEATURE_XSAVEOPT,
    FEATURE_X2APIC,
    FEATURE_TSC_DEADLINE,
    FEATURE_RDTSCP,
    FEATURE_RDRAND,
    FEATURE_ERMS,
    FEATURES,
};

extern u64 features_in_use; /* [const] after features_init: bits of enum feature */

static inline bool cpu_has(enum feature feature)
{
    return features_in_use & BIT(feature);
}

/* Boot CPU: reads what the CPU has, less what the command line switches off. */
void features_init(void);
/* Each CPU: sets the control registers so. */
void features_enable(void);

struct cpuid_result {
    u32 eax, ebx, ecx, edx;
};
/* All 0 for a leaf that the CPU does not have. */
struct cpuid_result cpuid(u32 leaf, u32 subleaf);

/* One of the registers in which CPUID answers. */
struct cpuid_word {
    u32 leaf, subleaf;
    enum {
        IN_EAX,
        IN_EBX,
        IN_ECX,
        IN_EDX
    } reg;
};
u32 cpuid_word(const struct cpuid_word *word);
