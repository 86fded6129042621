/*
 * What /proc/cpuinfo says of the processor: its names, and its features by the names that Linux
 * gives them, which programs look for (libraries choose their routines by them).
 *
 * A name stands where CPUID has its bit; a bit without a name is not shown, and Linux would not
 * show most of those either. A feature that the kernel must turn on for programs is shown only
 * where it has done so: a program that believes in AVX without XCR0's bit dies of an invalid
 * instruction.
 *
 * Context: any, after arch_init_early. All CPUs are taken to be alike. Nothing is cached: CPUID is
 * asked each time, which under a hypervisor is an exit, but only cpuinfo's readers pay for it.
 */
#include <pith/core.h>

#include "features.h"

#define LEAF_VENDOR        0
#define LEAF_BASIC         1
#define LEAF_NAME_FIRST    0x80000002
#define LEAF_NAME_LAST     0x80000004
#define LEAF_ADDRESS_SIZES 0x80000008
#define REGISTER_BITS      32

/* SDM 2A "CPUID"; APM 3 "CPUID" for 8000_0001h. */
static const struct flag_register {
    struct cpuid_word word;
    const char *names[REGISTER_BITS];
} flag_registers[] = {
    {{1, 0, IN_EDX},
     {"fpu",  "vme",  "de",   "pse", "tsc",  "msr", "pae",   "mce", "cx8",     "apic", NULL,
      "sep",  "mtrr", "pge",  "mca", "cmov", "pat", "pse36", "pn",  "clflush", NULL,   "dts",
      "acpi", "mmx",  "fxsr", "sse", "sse2", "ss",  "ht",    "tm",  "ia64",    "pbe"}},
    {{0x80000001, 0, IN_EDX},
     {[11] = "syscall",
      [19] = "mp",
      [20] = "nx",
      [22] = "mmxext",
      [25] = "fxsr_opt",
      [26] = "pdpe1gb",
      [27] = "rdtscp",
      [29] = "lm",
      [30] = "3dnowext",
      [31] = "3dnow"}},
    {{1, 0, IN_ECX}, {"pni",    "pclmulqdq", "dtes64", "monitor", "ds_cpl",
                      "vmx",    "smx",       "est",    "tm2",     "ssse3",
                      "cid",    "sdbg",      "fma",    "cx16",    "xtpr",
                      "pdcm",   NULL,        "pcid",   "dca",     "sse4_1",
                      "sse4_2", "x2apic",    "movbe",  "popcnt",  "tsc_deadline_timer",
                      "aes",    "xsave",     NULL,     "avx",     "f16c",
                      "rdrand", "hypervisor"}},
    {{0x80000001, 0, IN_ECX},
     {"lahf_lm", "cmp_legacy", "svm", "extapic", "cr8_legacy", "abm", "sse4a", "misalignsse",
      "3dnowprefetch", "osvw", "ibs", "xop", "skinit",
      "wdt", [16] = "fma4", [21] = "tbm", [22] = "topoext", [23] = "perfctr_core"}},
    {{7, 0, IN_EBX},
     {"fsgsbase",   "tsc_adjust", "sgx",        "bmi1",     "hle",      "avx2",     NULL,
      "smep",       "bmi2",       "erms",       "invpcid",  "rtm",      "cqm",      NULL,
      "mpx",        "rdt_a",      "avx512f",    "avx512dq", "rdseed",   "adx",      "smap",
      "avx512ifma", NULL,         "clflushopt", "clwb",     "intel_pt", "avx512pf", "avx512er",
      "avx512cd",   "sha_ni",     "avx512bw",   "avx512vl"}},
    {{0xd, 1, IN_EAX}, {"xsaveopt", "xsavec", "xgetbv1", "xsaves"}},
    {{7, 0, IN_ECX},
     {[1] = "avx512vbmi",
      [2] = "umip",
      [6] = "avx512_vbmi2",
      [8] = "gfni",
      [9] = "vaes",
      [10] = "vpclmulqdq",
      [11] = "avx512_vnni",
      [12] = "avx512_bitalg",
      [14] = "avx512_vpopcntdq",
      [16] = "la57",
      [22] = "rdpid",
      [27] = "movdiri",
      [28] = "movdir64b"}},
    {{7, 0, IN_EDX},
     {[4] = "fsrm", [8] = "avx512_vp2intersect", [10] = "md_clear", [14] = "serialize"}},
    {{0x80000007, 0, IN_EDX}, {[8] = "constant_tsc"}},
};

/* Shown only where the kernel has turned them on. */
static const struct {
    enum feature feature;
    const char *name;
} turned_on[] = {
    {FEATURE_FSGSBASE, "fsgsbase"},
    {FEATURE_XSAVE, "xsave"},
    {FEATURE_X2APIC, "x2apic"},
    {FEATURE_SMAP, "smap"},
    {FEATURE_SMEP, "smep"},
    {FEATURE_UMIP, "umip"},
    {FEATURE_NX, "nx"},
    {FEATURE_XSAVE, "avx"},
    {FEATURE_XSAVE, "avx2"},
    {FEATURE_XSAVE, "avx512f"},
    {FEATURE_XSAVE, "fma"},
    {FEATURE_XSAVE, "f16c"},
};

static bool is_off(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(turned_on); i++) {
        if (!strcmp(turned_on[i].name, name) && !cpu_has(turned_on[i].feature))
            return true;
    }
    return false;
}

const char *cpu_flag_next(u32 *position)
{
    while (*position < ARRAY_SIZE(flag_registers) * REGISTER_BITS) {
        const struct flag_register *source = &flag_registers[*position / REGISTER_BITS];
        u32 bit = (*position)++ % REGISTER_BITS;

        if (source->names[bit] && cpuid_word(&source->word) & BIT(bit) &&
            !is_off(source->names[bit]))
            return source->names[bit];
    }
    return NULL;
}

/*
 * SDM 2A "CPUID", Figure "Version Information": the extended fields count where the base is full.
 */
static void version_read(struct cpu_description *description)
{
    u32 version = cpuid(LEAF_BASIC, 0).eax;

    description->stepping = version & 0xf;
    description->model = version >> 4 & 0xf;
    description->family = version >> 8 & 0xf;
    if (description->family == 6 || description->family == 0xf)
        description->model |= (version >> 16 & 0xf) << 4;
    if (description->family == 0xf)
        description->family += version >> 20 & 0xff;
}

static void name_read(struct cpu_description *description)
{
    for (u32 leaf = LEAF_NAME_FIRST; leaf <= LEAF_NAME_LAST; leaf++) {
        struct cpuid_result part = cpuid(leaf, 0);

        memcpy(description->name + (leaf - LEAF_NAME_FIRST) * sizeof(part), &part, sizeof(part));
    }
}

#define LEAF_LARGEST_EXTENDED 0x80000000
#define LEAF_L2               0x80000006

/* APM 3 "CPUID" for 8000_0006h: L2's size in ECX, its TLB's 4 KiB entries in EBX. */
static void cache_read(struct cpu_description *description)
{
    struct cpuid_result l2;

    if (cpuid(LEAF_LARGEST_EXTENDED, 0).eax < LEAF_L2)
        return;
    l2 = cpuid(LEAF_L2, 0);
    description->cache_bytes = (l2.ecx >> 16) * 1024;
    description->tlb_entries = (l2.ebx >> 16 & 0xfff) + (l2.ebx & 0xfff);
}

#define LEAF_CACHES       4
#define LEAF_CACHES_AMD   0x8000001d
#define LEAF_FEATURES_AMD 0x80000001
#define FEATURE_TOPOLOGY  BIT(22) /* in ECX: the leaf of caches is there */

/* SDM 2A "CPUID", leaf 4; APM 3, 8000_001Dh, has the same form. Counts are less by one. */
bool cpu_cache_describe(u32 number, struct cpu_cache *cache_out)
{
    static const char types[] = {0, 'D', 'I', 'U'};
    bool is_amd = cpuid(LEAF_LARGEST_EXTENDED, 0).eax >= LEAF_CACHES_AMD &&
                  cpuid(LEAF_FEATURES_AMD, 0).ecx & FEATURE_TOPOLOGY;
    struct cpuid_result leaf;
    u32 sharers;

    if (!is_amd && cpuid(LEAF_VENDOR, 0).eax < LEAF_CACHES)
        return false;
    leaf = cpuid(is_amd ? LEAF_CACHES_AMD : LEAF_CACHES, number);
    if ((leaf.eax & 0x1f) == 0 || (leaf.eax & 0x1f) >= sizeof(types))
        return false;
    sharers = leaf.eax >> 14 & 0xfff;
    *cache_out = (struct cpu_cache){
        .type = types[leaf.eax & 0x1f],
        .level = leaf.eax >> 5 & 7,
        .line_bytes = (leaf.ebx & 0xfff) + 1,
        .partitions = (leaf.ebx >> 12 & 0x3ff) + 1,
        .ways = (leaf.ebx >> 22) + 1,
        .sets = leaf.ecx + 1,
        .sharers = sharers ? 2u << (31 - __builtin_clz(sharers)) : 1,
    };
    return true;
}

void cpu_describe(struct cpu_description *description_out)
{
    struct cpuid_result vendor = cpuid(LEAF_VENDOR, 0), sizes = cpuid(LEAF_ADDRESS_SIZES, 0);
    u32 parts[] = {vendor.ebx, vendor.edx, vendor.ecx};

    *description_out = (struct cpu_description){
        .cpuid_level = vendor.eax,
        .cache_line_bytes = (cpuid(LEAF_BASIC, 0).ebx >> 8 & 0xff) * 8,
        .physical_bits = sizes.eax & 0xff,
        .virtual_bits = 48, /* four levels of tables, whatever the CPU could */
    };
    memcpy(description_out->vendor, parts, sizeof(parts));
    version_read(description_out);
    name_read(description_out);
    cache_read(description_out);
}
