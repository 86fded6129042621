/* Linux's terminal modes and ioctls (asm-generic/termbits.h, ioctls.h of its user API). */
#pragma once

#include <pith/types.h>

#define TERMIOS_CHARACTERS 19

struct termios {
    u32 c_iflag, c_oflag, c_cflag, c_lflag;
    u8 c_line;
    u8 c_cc[TERMIOS_CHARACTERS];
};
_Static_assert(sizeof(struct termios) == 36, "struct termios of the kernel's ABI");

struct termios2 {
    u32 c_iflag, c_oflag, c_cflag, c_lflag;
    u8 c_line;
    u8 c_cc[TERMIOS_CHARACTERS];
    u32 c_ispeed, c_ospeed;
};

/* System V's form: the low halves of the modes, and the first characters. */
#define TERMIO_CHARACTERS 8

struct termio {
    u16 c_iflag, c_oflag, c_cflag, c_lflag;
    u8 c_line;
    u8 c_cc[TERMIO_CHARACTERS];
};
_Static_assert(sizeof(struct termio) == 18, "struct termio of the kernel's ABI");

struct winsize {
    u16 ws_row, ws_col, ws_xpixel, ws_ypixel;
};

enum termios_character {
    VINTR = 0,
    VQUIT = 1,
    VERASE = 2,
    VKILL = 3,
    VEOF = 4,
    VTIME = 5,
    VMIN = 6,
    VSWTC = 7,
    VSTART = 8,
    VSTOP = 9,
    VSUSP = 10,
    VEOL = 11,
    VREPRINT = 12,
    VDISCARD = 13,
    VWERASE = 14,
    VLNEXT = 15,
    VEOL2 = 16,
};

#define IGNBRK             0000001u
#define BRKINT             0000002u
#define ISTRIP             0000040u
#define INLCR              0000100u
#define IGNCR              0000200u
#define ICRNL              0000400u
#define IUCLC              0001000u
#define IXON               0002000u
#define IXANY              0004000u
#define IMAXBEL            0020000u
#define IUTF8              0040000u

#define OPOST              0000001u
#define OLCUC              0000002u
#define ONLCR              0000004u
#define OCRNL              0000010u
#define ONOCR              0000020u
#define ONLRET             0000040u
#define TABDLY             0014000u
#define XTABS              0014000u

#define B38400             0000017u
#define CS8                0000060u
#define CREAD              0000200u
#define HUPCL              0002000u
#define CBAUD              0010017u

#define ISIG               0000001u
#define ICANON             0000002u
#define ECHO               0000010u
#define ECHOE              0000020u
#define ECHOK              0000040u
#define ECHONL             0000100u
#define NOFLSH             0000200u
#define TOSTOP             0000400u
#define ECHOCTL            0001000u
#define ECHOKE             0004000u
#define IEXTEN             0100000u

#define TCGETS             0x5401u
#define TCSETS             0x5402u
#define TCSETSW            0x5403u
#define TCSETSF            0x5404u
#define TCGETA             0x5405u
#define TCSETA             0x5406u
#define TCSETAW            0x5407u
#define TCSETAF            0x5408u
#define TCSBRK             0x5409u
#define TCXONC             0x540Au
#define TCFLSH             0x540Bu
#define TIOCEXCL           0x540Cu
#define TIOCNXCL           0x540Du
#define TIOCSCTTY          0x540Eu
#define TIOCGPGRP          0x540Fu
#define TIOCSPGRP          0x5410u
#define TIOCOUTQ           0x5411u
#define TIOCSTI            0x5412u
#define TIOCGWINSZ         0x5413u
#define TIOCSWINSZ         0x5414u
#define TIOCINQ            0x541Bu /* FIONREAD */
#define TIOCPKT            0x5420u
#define TIOCNOTTY          0x5422u
#define TIOCSETD           0x5423u
#define TIOCGETD           0x5424u
#define TCSBRKP            0x5425u
#define TIOCGSID           0x5429u
#define TIOCGLCKTRMIOS     0x5456u
#define TIOCSLCKTRMIOS     0x5457u
#define TCGETS2            0x802C542Au
#define TCSETS2            0x402C542Bu
#define TCSETSW2           0x402C542Cu
#define TCSETSF2           0x402C542Du
#define TIOCGPTN           0x80045430u
#define TIOCSPTLCK         0x40045431u
#define TIOCGPKT           0x80045438u
#define TIOCGPTLCK         0x80045439u
#define TIOCGPTPEER        0x5441u

#define TCIFLUSH           0
#define TCOFLUSH           1
#define TCIOFLUSH          2
#define TCOOFF             0
#define TCOON              1
#define TCIOFF             2
#define TCION              3

#define TIOCPKT_DATA       0x00
#define TIOCPKT_FLUSHREAD  0x01
#define TIOCPKT_FLUSHWRITE 0x02
#define TIOCPKT_STOP       0x04
#define TIOCPKT_START      0x08
#define TIOCPKT_NOSTOP     0x10
#define TIOCPKT_DOSTOP     0x20
