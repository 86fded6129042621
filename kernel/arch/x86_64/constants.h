/*
 * The processor's own numbers (SDM 3A and 4) and where boot puts what, for C and assembly alike.
 * Only plain numbers: C's suffixes and casts are no assembly.
 */
#pragma once

#define IMAGE_BASE       0xffffffff80000000 /* KERNEL_IMAGE of arch.h */
#define BOOT_TABLE_FLAGS 0x003              /* present, writable */
#define BOOT_PAGE_FLAGS  0x083              /* and a large page */
#define BOOT_STACK_BYTES 16384

/* Selectors. The order of the last three is what sysret wants (SDM 2B "SYSRET"). */
#define TRAMPOLINE_CS_32 0x18 /* of the trampoline's own table */
/* "Multiboot2 Specification" 2.0, 3.1.1 and 3.1.5; what the loader leaves in eax, 3.3 */
#define MULTIBOOT2_HEADER_MARK      0xe85250d6
#define MULTIBOOT2_TAG_ENTRY        3
#define MULTIBOOT2_TAG_MODULE_ALIGN 6
#define MULTIBOOT2_LOADER_MARK      0x36d76289

#define TRAMPOLINE_ADDRESS          0x8000 /* where other CPUs begin; kept out of boot_info.usable */

#define KERNEL_CS                   0x08
#define KERNEL_DS                   0x10
#define USER_DS                     0x1b
#define USER_CS                     0x23
#define TSS_SEL                     0x28

/* Descriptors: present, accessed; code for 64-bit mode, data flat and writable. */
#define DESCRIPTOR_KERNEL_CODE 0x00af9b000000ffff
#define DESCRIPTOR_CODE_32     0x00cf9b000000ffff
#define DESCRIPTOR_DATA        0x00cf93000000ffff
#define DESCRIPTOR_USER_CODE   0x00affb000000ffff
#define DESCRIPTOR_USER_DATA   0x00cff3000000ffff

#define CR0_PE                 0x00000001
#define CR0_MP                 0x00000002
#define CR0_EM                 0x00000004
#define CR0_TS                 0x00000008
#define CR0_ET                 0x00000010
#define CR0_NE                 0x00000020
#define CR0_WP                 0x00010000
#define CR0_AM                 0x00040000
#define CR0_PG                 0x80000000

#define CR4_TSD                0x00000004
#define CR4_DE                 0x00000008
#define CR4_PAE                0x00000020
#define CR4_MCE                0x00000040
#define CR4_PGE                0x00000080
#define CR4_OSFXSR             0x00000200
#define CR4_OSXMMEXCPT         0x00000400
#define CR4_UMIP               0x00000800
#define CR4_FSGSBASE           0x00010000
#define CR4_OSXSAVE            0x00040000
#define CR4_SMEP               0x00100000
#define CR4_SMAP               0x00200000

#define EFER_SCE               0x001
#define EFER_LME               0x100
#define EFER_NXE               0x800

#define MSR_APIC_BASE          0x1b
#define MSR_SYSENTER_CS        0x174
#define MSR_TSC_DEADLINE       0x6e0
#define MSR_X2APIC             0x800 /* the register at offset n of the APIC's page: 0x800 + n / 16 */
#define MSR_EFER               0xc0000080
#define MSR_STAR               0xc0000081
#define MSR_LSTAR              0xc0000082
#define MSR_CSTAR              0xc0000083
#define MSR_SYSCALL_MASK       0xc0000084
#define MSR_FS_BASE            0xc0000100
#define MSR_GS_BASE            0xc0000101
#define MSR_KERNEL_GS_BASE     0xc0000102
#define MSR_TSC_AUX            0xc0000103

#define RFLAGS_CF              0x000001
#define RFLAGS_FIXED           0x000002
#define RFLAGS_PF              0x000004
#define RFLAGS_AF              0x000010
#define RFLAGS_ZF              0x000040
#define RFLAGS_SF              0x000080
#define RFLAGS_TF              0x000100
#define RFLAGS_IF              0x000200
#define RFLAGS_DF              0x000400
#define RFLAGS_OF              0x000800
#define RFLAGS_IOPL            0x003000
#define RFLAGS_NT              0x004000
#define RFLAGS_RF              0x010000
#define RFLAGS_VM              0x020000
#define RFLAGS_AC              0x040000
#define RFLAGS_ID              0x200000

#define CPUID_1_ECX_RDRAND     0x40000000
#define CPUID_1_EDX_SEP        0x00000800
#define CPUID_80000001_EDX_NX  0x00100000
