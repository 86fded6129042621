/* Linux's access control lists, as the attributes system.posix_acl_* have them (acl(5)). */
#pragma once

#include <pith/compiler.h>

#define ACL_VERSION 2u

struct abi_acl_header {
    u32 version;
};

struct abi_acl_entry {
    u16 tag;         /* ACL_* */
    u16 permissions; /* as the bits of a class in a mode */
    u32 id;          /* of ACL_USER and ACL_GROUP; else ACL_NO_ID */
};
_Static_assert(sizeof(struct abi_acl_entry) == 8, "struct abi_acl_entry");

#define ACL_USER_OBJ  0x01u
#define ACL_USER      0x02u
#define ACL_GROUP_OBJ 0x04u
#define ACL_GROUP     0x08u
#define ACL_MASK      0x10u
#define ACL_OTHER     0x20u
#define ACL_NO_ID     (~0u)
