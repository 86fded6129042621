/* ELF executables (System V gABI, psABI) and the auxiliary vector (linux/auxvec.h). */
#pragma once

#include <pith/types.h>

struct elf_header {
    u8 ident[16];
    u16 type, machine;
    u32 version;
    u64 entry, program_headers, section_headers;
    u32 flags;
    u16 header_bytes, program_header_bytes, program_header_count;
    u16 section_header_bytes, section_header_count, section_names;
};
_Static_assert(sizeof(struct elf_header) == 64, "Elf64_Ehdr");

struct elf_program_header {
    u32 type, flags;
    u64 offset, address, physical_address, file_bytes, memory_bytes, alignment;
};
_Static_assert(sizeof(struct elf_program_header) == 56, "Elf64_Phdr");

#define ELF_MAGIC               "\177ELF"
#define ELF_CLASS_64            2 /* ident[4] */
#define ELF_DATA_LITTLE         1 /* ident[5] */
#define ELF_EXECUTABLE          2 /* ET_EXEC */
#define ELF_DYNAMIC             3 /* ET_DYN */
#define ELF_MACHINE_X86_64      62

#define ELF_SEGMENT_LOAD        1
#define ELF_SEGMENT_INTERPRETER 3
#define ELF_SEGMENT_GNU_STACK   0x6474e551
#define ELF_EXECUTE             1u
#define ELF_WRITE               2u
#define ELF_READ                4u

#define AT_NULL                 0
#define AT_PHDR                 3
#define AT_PHENT                4
#define AT_PHNUM                5
#define AT_PAGESZ               6
#define AT_BASE                 7
#define AT_FLAGS                8
#define AT_ENTRY                9
#define AT_UID                  11
#define AT_EUID                 12
#define AT_GID                  13
#define AT_EGID                 14
#define AT_PLATFORM             15
#define AT_HWCAP                16
#define AT_CLKTCK               17
#define AT_SECURE               23
#define AT_RANDOM               25
#define AT_HWCAP2               26
#define AT_EXECFN               31
#define AT_SYSINFO_EHDR         33
#define AT_MINSIGSTKSZ          51
