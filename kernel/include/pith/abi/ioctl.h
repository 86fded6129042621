/* Linux's ioctls of all files (asm-generic/ioctls.h of its user API). */
#pragma once

#define FIONREAD 0x541Bu
#define FIONBIO  0x5421u
#define FIOASYNC 0x5452u
#define FIONCLEX 0x5450u
#define FIOCLEX  0x5451u
#define FIOQSIZE 0x5460u

/* linux/fs.h */
#define FIGETBSZ      0x2u
#define FICLONE       0x40049409u
#define FICLONERANGE  0x4020940du
#define FS_IOC_FIEMAP 0xc020660bu
