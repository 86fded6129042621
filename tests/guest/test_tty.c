/*
 * Terminals, by pseudo-terminals: the line discipline, its characters, sizes, job control.
 *
 * covers: ioctl setsid vhangup
 */
#include "guest.h"

#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <termios.h>

struct terminal {
    int master, slave;
    char name[64];
};

static struct terminal new_terminal(void)
{
    struct terminal terminal;

    terminal.master = CHECK_OK(posix_openpt(O_RDWR | O_NOCTTY));
    CHECK_OK(grantpt(terminal.master));
    CHECK_OK(unlockpt(terminal.master));
    CHECK_EQ(ptsname_r(terminal.master, terminal.name, sizeof(terminal.name)), 0);
    terminal.slave = CHECK_OK(open(terminal.name, O_RDWR | O_NOCTTY));
    return terminal;
}

static struct termios modes_of(int fd)
{
    struct termios modes;

    CHECK_OK(tcgetattr(fd, &modes));
    return modes;
}

static void change(int fd, tcflag_t input_off, tcflag_t local_off)
{
    struct termios settings;

    CHECK_OK(tcgetattr(fd, &settings));
    settings.c_iflag &= ~input_off;
    settings.c_lflag &= ~local_off;
    CHECK_OK(tcsetattr(fd, TCSANOW, &settings));
}

static void type(const struct terminal *terminal, const char *text)
{
    CHECK_EQ(write(terminal->master, text, strlen(text)), strlen(text));
}

/* What can be read from `fd` is exactly `text` (and no more comes at once). */
static void expect(int fd, const char *text)
{
    char got[512] = "";
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    size_t length = 0;

    while (length < strlen(text)) {
        CHECK_EQ(poll(&entry, 1, 10000), 1);
        length += CHECK_OK(read(fd, got + length, sizeof(got) - 1 - length));
    }
    CHECK_STR_EQ(got, text);
}

static int is_readable(int fd)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};

    return CHECK_OK(poll(&entry, 1, 0)) && (entry.revents & POLLIN);
}

TEST(tty_pair_carries_a_line_and_its_echo)
{
    struct terminal terminal = new_terminal();

    type(&terminal, "hello\n");
    expect(terminal.slave, "hello\n");
    expect(terminal.master, "hello\r\n");
    CHECK_EQ(write(terminal.slave, "out\n", 4), 4);
    expect(terminal.master, "out\r\n");
}

TEST(tty_canonical_mode_waits_for_the_line)
{
    struct terminal terminal = new_terminal();

    type(&terminal, "par");
    CHECK_EQ(is_readable(terminal.slave), 0);
    type(&terminal, "tial\n");
    expect(terminal.slave, "partial\n");
}

TEST(tty_canonical_read_gives_one_line_at_a_time)
{
    struct terminal terminal = new_terminal();
    char text[100];

    type(&terminal, "one\ntwo\n");
    CHECK_EQ(read(terminal.slave, text, sizeof(text)), 4);
    CHECK_MEM_EQ(text, "one\n", 4);
    CHECK_EQ(read(terminal.slave, text, 2), 2);
    CHECK_EQ(read(terminal.slave, text, sizeof(text)), 2);
    CHECK_MEM_EQ(text, "o\n", 2);
}

TEST(tty_erase_kill_and_word_erase_edit_the_line)
{
    struct terminal terminal = new_terminal();

    change(terminal.slave, 0, ECHO);
    type(&terminal, "abc\177\177d\n");
    expect(terminal.slave, "ad\n");
    type(&terminal, "abc\025d\n");
    expect(terminal.slave, "d\n");
    type(&terminal, "one two \027three\n");
    expect(terminal.slave, "one three\n");
    type(&terminal, "a\026\177b\n"); /* ^V takes the next as it is */
    expect(terminal.slave, "a\177b\n");
}

TEST(tty_erase_echoes_backspace_space_backspace)
{
    struct terminal terminal = new_terminal();

    type(&terminal, "a\177");
    expect(terminal.master, "a\b \b");
}

TEST(tty_end_of_file_character_ends_a_read)
{
    struct terminal terminal = new_terminal();
    char text[10];

    change(terminal.slave, 0, ECHO);
    type(&terminal, "\004");
    CHECK_EQ(read(terminal.slave, text, sizeof(text)), 0);
    type(&terminal, "ab\004");
    CHECK_EQ(read(terminal.slave, text, sizeof(text)), 2);
    type(&terminal, "c\n");
    CHECK_EQ(read(terminal.slave, text, sizeof(text)), 2);
}

TEST(tty_raw_mode_gives_every_byte_at_once)
{
    struct terminal terminal = new_terminal();
    struct termios settings;

    CHECK_OK(tcgetattr(terminal.slave, &settings));
    cfmakeraw(&settings);
    CHECK_OK(tcsetattr(terminal.slave, TCSANOW, &settings));
    type(&terminal, "a\003\r\004");
    expect(terminal.slave, "a\003\r\004");
    CHECK_EQ(is_readable(terminal.master), 0);
    CHECK_EQ(write(terminal.slave, "x\n", 2), 2);
    expect(terminal.master, "x\n");
}

TEST(tty_raw_mode_with_vmin_and_vtime)
{
    struct terminal terminal = new_terminal();
    struct termios settings;
    uint64_t start;
    char text[10];

    CHECK_OK(tcgetattr(terminal.slave, &settings));
    cfmakeraw(&settings);
    settings.c_cc[VMIN] = 0;
    settings.c_cc[VTIME] = 0;
    CHECK_OK(tcsetattr(terminal.slave, TCSANOW, &settings));
    CHECK_EQ(read(terminal.slave, text, 1), 0);
    settings.c_cc[VTIME] = 1;
    CHECK_OK(tcsetattr(terminal.slave, TCSANOW, &settings));
    start = now_ms();
    CHECK_EQ(read(terminal.slave, text, 1), 0);
    CHECK_GE(now_ms() - start, 90);
    settings.c_cc[VMIN] = 3;
    settings.c_cc[VTIME] = 0;
    CHECK_OK(tcsetattr(terminal.slave, TCSANOW, &settings));
    type(&terminal, "ab");
    if (CHECK_OK(fork()) == 0) {
        sleep_ms(50);
        type(&terminal, "c");
        _exit(0);
    }
    CHECK_EQ(read(terminal.slave, text, 10), 3);
}

TEST(tty_carriage_return_becomes_newline_as_icrnl_says)
{
    struct terminal terminal = new_terminal();

    change(terminal.slave, 0, ECHO);
    type(&terminal, "a\r");
    expect(terminal.slave, "a\n");
    change(terminal.slave, ICRNL, 0);
    type(&terminal, "b\r\n");
    expect(terminal.slave, "b\r\n");
}

TEST(tty_control_characters_echo_with_a_caret)
{
    struct terminal terminal = new_terminal();

    type(&terminal, "\001\n");
    expect(terminal.master, "^A\r\n");
}

TEST(tty_default_settings_are_linuxs)
{
    struct terminal terminal = new_terminal();
    struct termios settings;

    CHECK_OK(tcgetattr(terminal.slave, &settings));
    CHECK_EQ(settings.c_iflag & (ICRNL | IXON), ICRNL | IXON);
    CHECK_EQ(settings.c_oflag & (OPOST | ONLCR), OPOST | ONLCR);
    CHECK_EQ(settings.c_lflag, ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN);
    CHECK_EQ(settings.c_cc[VINTR], 3);
    CHECK_EQ(settings.c_cc[VQUIT], 28);
    CHECK_EQ(settings.c_cc[VERASE], 127);
    CHECK_EQ(settings.c_cc[VKILL], 21);
    CHECK_EQ(settings.c_cc[VEOF], 4);
    CHECK_EQ(settings.c_cc[VSUSP], 26);
    CHECK_EQ(settings.c_cc[VMIN], 1);
    CHECK_EQ(cfgetospeed(&settings), B38400);
}

/* System V's struct termio, as Linux has it. */
struct short_modes {
    uint16_t iflag, oflag, cflag, lflag;
    uint8_t line, cc[8];
};

TEST(tty_short_form_of_the_modes_changes_what_it_has_room_for)
{
    struct terminal terminal = new_terminal();
    struct pollfd entry = {.fd = terminal.slave, .events = POLLIN};
    struct short_modes low;
    struct termios before, after;

    before = modes_of(terminal.slave);
    before.c_iflag |= 1 << 16;
    before.c_cc[VSUSP] = 9;
    CHECK_OK(tcsetattr(terminal.slave, TCSANOW, &before));
    memset(&low, 0, sizeof(low));
    CHECK_OK(ioctl(terminal.slave, TCGETA, &low));
    CHECK_EQ(((const unsigned char *)&low)[sizeof(low) - 1],
             0); /* padding: nothing of the kernel's */
    CHECK_EQ(low.lflag, before.c_lflag & 0xffff);
    CHECK_EQ(low.cc[VERASE], 127);
    low.lflag &= ~ECHO;
    low.cc[VERASE] = 8;
    CHECK_OK(ioctl(terminal.slave, TCSETA, &low));
    after = modes_of(terminal.slave);
    CHECK_EQ(after.c_lflag, before.c_lflag & ~ECHO);
    CHECK_EQ(after.c_iflag, before.c_iflag);
    CHECK_EQ(after.c_cc[VERASE], 8);
    CHECK_EQ(after.c_cc[VSUSP], 9);
    CHECK_OK(ioctl(terminal.slave, TCSETAW, &low));
    type(&terminal, "gone\n");
    CHECK_EQ(poll(&entry, 1, 10000), 1); /* Linux hands input on by a thread of its own */
    CHECK_OK(ioctl(terminal.slave, TCSETAF, &low));
    CHECK_EQ(is_readable(terminal.slave), 0);
    CHECK_ERRNO(ioctl(terminal.slave, TCGETA, NULL), EFAULT);
    CHECK_ERRNO(ioctl(terminal.slave, TCSETA, NULL), EFAULT);
}

TEST(tty_locked_modes_stay_as_they_are)
{
    struct terminal terminal = new_terminal();
    struct termios locked, before, after;

    NEEDS_ROOT();
    CHECK_OK(ioctl(terminal.slave, TIOCGLCKTRMIOS, &locked));
    CHECK_EQ(locked.c_lflag, 0);
    locked.c_lflag = ECHO;
    locked.c_cc[VINTR] = 1;
    CHECK_OK(ioctl(terminal.slave, TIOCSLCKTRMIOS, &locked));
    before = after = modes_of(terminal.slave);
    after.c_lflag &= ~(ECHO | ICANON);
    after.c_cc[VINTR] = after.c_cc[VQUIT] = 7;
    CHECK_OK(tcsetattr(terminal.slave, TCSADRAIN, &after));
    after = modes_of(terminal.slave);
    CHECK_EQ(after.c_lflag, before.c_lflag & ~ICANON);
    CHECK_EQ(after.c_cc[VINTR], 3);
    CHECK_EQ(after.c_cc[VQUIT], 7);
    CHECK_OK(ioctl(terminal.slave, TIOCGLCKTRMIOS, &after));
    CHECK_EQ(after.c_lflag, ECHO);
    CHECK_OK(setresuid(65534, 65534, 65534));
    CHECK_ERRNO(ioctl(terminal.slave, TIOCSLCKTRMIOS, &locked), EPERM);
}

TEST(tty_tcflush_drops_input)
{
    struct terminal terminal = new_terminal();
    struct pollfd entry = {.fd = terminal.slave, .events = POLLIN};
    int count;

    change(terminal.slave, 0, ECHO);
    type(&terminal, "gone\n");
    CHECK_EQ(poll(&entry, 1, 10000), 1); /* Linux hands input on by a thread of its own */
    CHECK_OK(ioctl(terminal.slave, FIONREAD, &count));
    CHECK_EQ(count, 5);
    CHECK_OK(tcflush(terminal.slave, TCIFLUSH));
    CHECK_EQ(is_readable(terminal.slave), 0);
    CHECK_OK(tcdrain(terminal.slave));
}

TEST(tty_tcflush_makes_room_for_who_types)
{
    struct terminal terminal = new_terminal();
    struct pollfd entry = {.fd = terminal.master, .events = POLLOUT};
    char line[128];

    change(terminal.slave, 0, ECHO);
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    CHECK_OK(fcntl(terminal.master, F_SETFL, O_NONBLOCK));
    while (write(terminal.master, line, sizeof(line)) > 0)
        continue;
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(poll(&entry, 1, 0), 0);
    CHECK_OK(tcflush(terminal.slave, TCIFLUSH));
    CHECK_EQ(poll(&entry, 1, 10000), 1);
    CHECK(write(terminal.master, line, sizeof(line)) > 0);
}

/* Longer than the terminal holds, so that each waits in the middle of its writes. */
TEST(tty_writes_of_two_processes_do_not_mix)
{
    enum {
        BLOCK = 3000,
        BLOCKS = 20
    };
    struct terminal terminal = new_terminal();
    static char block[BLOCK], got[2 * BLOCK * BLOCKS];
    size_t length = 0, run = 0;
    pid_t children[2];

    for (int i = 0; i < 2; i++) {
        memset(block, 'a' + i, sizeof(block));
        children[i] = CHECK_OK(fork());
        for (int n = 0; children[i] == 0 && n < BLOCKS; n++)
            CHECK_EQ(write(terminal.slave, block, BLOCK), BLOCK);
        if (children[i] == 0)
            _exit(0);
    }
    while (length < sizeof(got))
        length += CHECK_OK(read(terminal.master, got + length, sizeof(got) - length));
    for (size_t i = 0; i < length; i++) {
        run++;
        if (i + 1 < length && got[i + 1] == got[i])
            continue;
        CHECK_EQ(run % BLOCK, 0);
        run = 0;
    }
    CHECK_EXIT(children[0], 0);
    CHECK_EXIT(children[1], 0);
}

static int new_edge_watch(int fd)
{
    struct epoll_event event = {.events = EPOLLOUT | EPOLLET};
    int watch = CHECK_OK(epoll_create1(0));

    CHECK_OK(epoll_ctl(watch, EPOLL_CTL_ADD, fd, &event));
    return watch;
}

/* A writer that waits for nothing but edges of EPOLLOUT puts out `count` bytes, one a write. */
static void write_by_edges(const char *name, int count)
{
    int slave = CHECK_OK(open(name, O_RDWR | O_NOCTTY | O_NONBLOCK)), watch = new_edge_watch(slave);
    struct epoll_event event;

    for (int written = 0; written < count;) {
        if (write(slave, "x", 1) == 1) {
            written++;
            continue;
        }
        CHECK_EQ(errno, EAGAIN);
        CHECK_EQ(epoll_wait(watch, &event, 1, 10000), 1);
    }
    _exit(0);
}

TEST(tty_writers_that_wait_for_edges_all_come_to_their_end)
{
    enum {
        WRITERS = 3,
        BYTES = 1000
    };
    struct terminal terminal = new_terminal();
    pid_t writers[WRITERS];
    char bytes[512];

    for (int i = 0; i < WRITERS; i++) {
        writers[i] = CHECK_OK(fork());
        if (writers[i] == 0)
            write_by_edges(terminal.name, BYTES);
    }
    for (int got = 0; got < WRITERS * BYTES;)
        got += CHECK_OK(read(terminal.master, bytes, sizeof(bytes)));
    for (int i = 0; i < WRITERS; i++)
        CHECK_EXIT(writers[i], 0);
}

static int is_writable(int fd)
{
    struct pollfd entry = {.fd = fd, .events = POLLOUT};

    return CHECK_OK(poll(&entry, 1, 0)) && (entry.revents & POLLOUT);
}

/* VSTOP is typed: no edge may be left over in `watch` when it has had its effect. */
static void type_stop(const struct terminal *terminal, int watch)
{
    struct epoll_event event;

    type(terminal, "\023");
    while (is_writable(terminal->slave))
        sleep_ms(1);
    CHECK_OK(epoll_wait(watch, &event, 1, 0));
}

TEST(tty_output_that_goes_on_is_an_edge_for_epoll)
{
    struct terminal terminal = new_terminal();
    int watch = new_edge_watch(terminal.slave);
    struct epoll_event event;
    struct termios modes;

    CHECK_EQ(epoll_wait(watch, &event, 1, 0), 1);
    type_stop(&terminal, watch);
    type(&terminal, "\021"); /* VSTART */
    CHECK_EQ(epoll_wait(watch, &event, 1, 10000), 1);
    type_stop(&terminal, watch);
    type(&terminal, "\003"); /* VINTR */
    CHECK_EQ(epoll_wait(watch, &event, 1, 10000), 1);
    CHECK_OK(tcflow(terminal.slave, TCOOFF));
    CHECK(!is_writable(terminal.slave));
    CHECK_OK(epoll_wait(watch, &event, 1, 0));
    CHECK_OK(tcflow(terminal.slave, TCOON));
    CHECK_EQ(epoll_wait(watch, &event, 1, 10000), 1);
    modes = modes_of(terminal.slave);
    modes.c_iflag |= IXANY;
    CHECK_OK(tcsetattr(terminal.slave, TCSANOW, &modes));
    type_stop(&terminal, watch);
    type(&terminal, "a");
    CHECK_EQ(epoll_wait(watch, &event, 1, 10000), 1);
    type_stop(&terminal, watch);
    change(terminal.slave, IXON, 0);
    CHECK_EQ(epoll_wait(watch, &event, 1, 10000), 1);
}

static void type_and_wait(const struct terminal *terminal, const char *text, int writable)
{
    type(terminal, text);
    while (is_writable(terminal->slave) != writable)
        sleep_ms(1);
}

TEST(tty_output_that_tcflow_holds_is_let_go_by_tcflow_alone)
{
    struct terminal terminal = new_terminal();

    CHECK_OK(tcflow(terminal.slave, TCOOFF));
    CHECK_OK(tcflow(terminal.slave, TCOOFF));
    type(&terminal, "\021a\n"); /* VSTART, and a line that shows when it was seen */
    expect(terminal.slave, "a\n");
    CHECK(!is_writable(terminal.slave));
    type(&terminal, "\003b\n"); /* VINTR */
    expect(terminal.slave, "b\n");
    CHECK(!is_writable(terminal.slave));
    change(terminal.slave, IXON, 0);
    CHECK(!is_writable(terminal.slave));
    CHECK_OK(tcflow(terminal.slave, TCOON));
    CHECK(is_writable(terminal.slave));
}

TEST(tty_output_that_was_stopped_by_its_character_is_not_let_go_by_tcflow)
{
    struct terminal terminal = new_terminal();

    type_and_wait(&terminal, "\023", 0);
    CHECK_OK(tcflow(terminal.slave, TCOON));
    CHECK(!is_writable(terminal.slave));
    CHECK_OK(tcflow(terminal.slave, TCOOFF)); /* but what holds it takes both over */
    CHECK_OK(tcflow(terminal.slave, TCOON));
    CHECK(is_writable(terminal.slave));
}

TEST(tty_tcflow_sends_the_far_side_the_characters_that_stop_and_start_it)
{
    struct terminal terminal = new_terminal();
    struct termios modes = modes_of(terminal.slave);

    CHECK_OK(tcflow(terminal.slave, TCIOFF));
    expect(terminal.master, "\023");
    CHECK_OK(tcflow(terminal.slave, TCION));
    expect(terminal.master, "\021");
    modes.c_cc[VSTOP] = _POSIX_VDISABLE;
    CHECK_OK(tcsetattr(terminal.slave, TCSANOW, &modes));
    CHECK_OK(tcflow(terminal.slave, TCIOFF));
    CHECK_EQ(is_readable(terminal.master), 0);
    CHECK_ERRNO(tcflow(terminal.slave, 4), EINVAL);
}

static int packet_status_of(int master)
{
    struct pollfd entry = {.fd = master, .events = POLLPRI};
    char status[2] = {-1, -1};

    CHECK_EQ(poll(&entry, 1, 10000), 1);
    CHECK_EQ(read(master, status, sizeof(status)), 1);
    return status[0];
}

TEST(tty_packet_mode_tells_of_stops_and_of_who_does_them)
{
    struct terminal terminal = new_terminal();

    CHECK_OK(ioctl(terminal.master, TIOCPKT, &(int){1}));
    CHECK_OK(tcflow(terminal.slave, TCOOFF));
    CHECK_EQ(packet_status_of(terminal.master), TIOCPKT_STOP);
    CHECK_OK(tcflow(terminal.slave, TCOON));
    CHECK_EQ(packet_status_of(terminal.master), TIOCPKT_START);
    change(terminal.slave, IXON, 0);
    CHECK_EQ(packet_status_of(terminal.master), TIOCPKT_NOSTOP);
    change(terminal.slave, 0, ECHO);
    CHECK_EQ(is_readable(terminal.master), 0);
}

/* In the leader of a new session whose terminal it is; SIGHUP is counted. */
static void hang_up(struct terminal *terminal)
{
    struct pollfd entry = {.fd = terminal->slave, .events = POLLIN};
    char byte;
    int again;

    CHECK_OK(setsid());
    CHECK_OK(ioctl(terminal->slave, TIOCSCTTY, 0));
    type(terminal, "old\n");
    CHECK_EQ(poll(&entry, 1, 10000), 1);
    handle_signal(SIGHUP, count_signal, SA_RESTART);
    CHECK_OK(syscall(SYS_vhangup));
    CHECK_EQ(signals_counted, 1);
    CHECK_EQ(read(terminal->slave, &byte, 1), 0);
    CHECK_ERRNO(write(terminal->slave, "x", 1), EIO);
    CHECK_ERRNO(tcgetpgrp(terminal->slave), EIO);
    CHECK_ERRNO(tcsetpgrp(terminal->slave, getpid()), ENOTTY);
    CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
    entry.events = POLLIN | POLLOUT;
    CHECK_EQ(poll(&entry, 1, 0), 1);
    CHECK_EQ(entry.revents, POLLIN | POLLOUT | POLLERR | POLLHUP);
    again = CHECK_OK(open(terminal->name, O_RDWR | O_NOCTTY));
    type(terminal, "new\n");
    expect(again, "new\n");
    CHECK_EQ(read(terminal->slave, &byte, 1), 0);
    CHECK_OK(close(terminal->slave));
    CHECK_EQ(write(again, "seen", 4), 4);
    CHECK_EQ(poll(&(struct pollfd){.fd = terminal->master, .events = POLLIN}, 1, 10000), 1);
}

TEST(vhangup_ends_what_is_open_of_the_terminal_and_leaves_the_line)
{
    struct terminal terminal = new_terminal();
    pid_t child;

    NEEDS_ROOT();
    if (prctl(PR_CAPBSET_READ, CAP_SYS_TTY_CONFIG) != 1)
        SKIP("this root may not hang terminals up");
    child = CHECK_OK(fork());
    if (child == 0) {
        hang_up(&terminal);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(vhangup_is_for_those_with_the_right_and_does_nothing_without_a_terminal)
{
    pid_t child;

    NEEDS_ROOT();
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setsid());
        if (prctl(PR_CAPBSET_READ, CAP_SYS_TTY_CONFIG) == 1)
            CHECK_OK(syscall(SYS_vhangup));
        CHECK_OK(setresuid(12345, 12345, 12345));
        CHECK_ERRNO(syscall(SYS_vhangup), EPERM);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(tty_window_size_is_kept_and_shared)
{
    struct terminal terminal = new_terminal();
    struct winsize size = {.ws_row = 33, .ws_col = 99}, seen;

    CHECK_OK(ioctl(terminal.master, TIOCSWINSZ, &size));
    CHECK_OK(ioctl(terminal.slave, TIOCGWINSZ, &seen));
    CHECK_EQ(seen.ws_row, 33);
    CHECK_EQ(seen.ws_col, 99);
}

TEST(tty_isatty_and_device_numbers)
{
    struct terminal terminal = new_terminal();
    struct stat status;

    CHECK_EQ(isatty(terminal.slave), 1);
    CHECK_EQ(isatty(terminal.master), 1);
    CHECK_OK(fstat(terminal.slave, &status));
    CHECK(S_ISCHR(status.st_mode));
    CHECK_EQ(status.st_rdev >> 8, 136);
    CHECK_ERRNO(lseek(terminal.slave, 0, SEEK_SET), ESPIPE);
}

TEST(tty_master_reads_eio_and_hangs_up_after_the_slave_is_closed)
{
    struct terminal terminal = new_terminal();
    struct pollfd entry = {.fd = terminal.master, .events = POLLIN};
    char byte;

    close(terminal.slave);
    CHECK_EQ(poll(&entry, 1, 0), 1);
    CHECK_EQ(entry.revents & POLLHUP, POLLHUP);
    CHECK_ERRNO(read(terminal.master, &byte, 1), EIO);
    terminal.slave = CHECK_OK(open(terminal.name, O_RDWR | O_NOCTTY));
    type(&terminal, "x\n");
    expect(terminal.slave, "x\n");
}

TEST(tty_slave_is_at_end_of_file_after_the_master_is_closed)
{
    struct terminal terminal = new_terminal();
    char byte;

    close(terminal.master);
    CHECK_EQ(read(terminal.slave, &byte, 1), 0);
    CHECK_ERRNO(write(terminal.slave, "x", 1), EIO);
    CHECK_ERRNO(open(terminal.name, O_RDWR | O_NOCTTY), ENOENT);
    CHECK_ERRNO(tcgetpgrp(terminal.slave), EIO);
    CHECK_ERRNO(tcsetpgrp(terminal.slave, getpgrp()), ENOTTY);
    CHECK_EQ(isatty(terminal.slave), 0);
}

TEST(tty_locked_slave_gives_eio)
{
    int master = CHECK_OK(posix_openpt(O_RDWR | O_NOCTTY)), locked = 1;
    char name[64];

    CHECK_OK(unlockpt(master));
    CHECK_EQ(ptsname_r(master, name, sizeof(name)), 0);
    CHECK_OK(ioctl(master, TIOCSPTLCK, &locked));
    CHECK_ERRNO(open(name, O_RDWR | O_NOCTTY), EIO);
}

/* ---- A session with a controlling terminal ---- */

/* Runs `leader` as the leader of a session on a new terminal; its exit status must be 0. */
static struct terminal in_session(void (*leader)(int tty), pid_t *child_out)
{
    struct terminal terminal = new_terminal();

    *child_out = CHECK_OK(fork());
    if (*child_out == 0) {
        close(terminal.master);
        CHECK_OK(setsid());
        CHECK_OK(ioctl(terminal.slave, TIOCSCTTY, 0));
        leader(terminal.slave);
        _exit(0);
    }
    close(terminal.slave);
    return terminal;
}

static void leader_checks_control(int tty)
{
    int again = CHECK_OK(open("/dev/tty", O_RDWR));

    CHECK_EQ(tcgetsid(tty), getpid());
    CHECK_EQ(tcgetpgrp(tty), getpid());
    CHECK_EQ(tcgetpgrp(again), getpid());
    signal(SIGHUP, SIG_IGN); /* giving it up sends one */
    CHECK_OK(ioctl(tty, TIOCNOTTY));
    CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
}

TEST(tty_controls_the_session_that_took_it)
{
    pid_t child;

    in_session(leader_checks_control, &child);
    CHECK_GT(child, 0);
    CHECK_EXIT(child, 0);
}

static void leader_is_stolen_from(int tty)
{
    raise(SIGSTOP); /* it exits when the thief goes on */
    _exit(tty < 0);
}

/* The leader's exit must take the terminal from itself only, and hang up nobody else's group. */
TEST(tty_stolen_while_its_leader_exits_is_the_thiefs)
{
    NEEDS_ROOT();
    for (int round = 0; round < 20; round++) {
        struct terminal terminal;
        pid_t leader, thief;
        int slave, status;

        terminal = in_session(leader_is_stolen_from, &leader);
        CHECK_EQ(waitpid(leader, &status, WUNTRACED), leader);
        slave = CHECK_OK(open(terminal.name, O_RDWR | O_NOCTTY));
        thief = CHECK_OK(fork());
        if (thief == 0) {
            CHECK_OK(setsid());
            signal(SIGHUP, SIG_IGN); /* on Linux the leader's exit may still send one */
            CHECK_OK(kill(leader, SIGCONT));
            CHECK_OK(ioctl(slave, TIOCSCTTY, 1));
            CHECK_EQ(tcgetsid(slave), getpid());
            while (kill(leader, 0) == 0) /* until the parent has reaped it */
                sched_yield();
            CHECK_EQ(tcgetsid(slave), getpid());
            CHECK_EQ(tcgetpgrp(slave), getpid());
            _exit(0);
        }
        CHECK_EXIT(leader, 0);
        CHECK_EXIT(thief, 0);
        close(slave);
        close(terminal.master);
    }
}

static void leader_opens(int tty)
{
    char name[64];

    CHECK_EQ(ttyname_r(tty, name, sizeof(name)), 0);
    signal(SIGHUP, SIG_IGN); /* giving it up sends one */
    CHECK_OK(ioctl(tty, TIOCNOTTY));
    CHECK_OK(open(name, O_RDWR)); /* without O_NOCTTY */
    CHECK_OK(open("/dev/tty", O_RDWR));
}

TEST(tty_becomes_controlling_by_open_without_o_noctty)
{
    struct terminal terminal;
    pid_t child;

    terminal = in_session(leader_opens, &child);
    CHECK_GT(terminal.master, 0);
    CHECK_EXIT(child, 0);
}

static void leader_waits_for_signal(int tty)
{
    handle_signal(SIGINT, count_signal, 0);
    handle_signal(SIGQUIT, count_signal, 0);
    handle_signal(SIGTSTP, count_signal, 0);
    handle_signal(SIGWINCH, count_signal, 0);
    CHECK_EQ(write(tty, "r\n", 2), 2);
    for (int seen = 0; seen < 4; seen++) {
        char line[16];

        while (signals_counted == seen)
            sleep_ms(1);
        snprintf(line, sizeof(line), "%d\n", (int)last_signal);
        CHECK_EQ(write(tty, line, strlen(line)), strlen(line));
    }
}

TEST(tty_intr_quit_susp_and_resize_signal_the_foreground_group)
{
    struct winsize size = {.ws_row = 10, .ws_col = 20};
    struct terminal terminal;
    pid_t child;

    terminal = in_session(leader_waits_for_signal, &child);
    expect(terminal.master, "r\r\n");
    type(&terminal, "\003");
    expect(terminal.master, "^C2\r\n");
    type(&terminal, "\034");
    expect(terminal.master, "^\\3\r\n");
    type(&terminal, "\032");
    expect(terminal.master, "^Z20\r\n");
    CHECK_OK(ioctl(terminal.master, TIOCSWINSZ, &size));
    expect(terminal.master, "28\r\n");
    CHECK_EXIT(child, 0);
}

/* A child in a background group runs `action`; returns its wait status. */
static int in_background(int tty, void (*action)(int tty))
{
    pid_t child = CHECK_OK(fork());
    int status;

    if (child == 0) {
        CHECK_OK(setpgid(0, 0));
        action(tty);
        _exit(42);
    }
    setpgid(child, child);
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    if (WIFSTOPPED(status))
        kill(child, SIGKILL);
    return status;
}

static void read_byte(int tty)
{
    char byte;

    (void)!read(tty, &byte, 1);
}

static void read_byte_ignoring(int tty)
{
    char byte;

    signal(SIGTTIN, SIG_IGN);
    CHECK_ERRNO(read(tty, &byte, 1), EIO);
}

static void write_byte(int tty)
{
    (void)!write(tty, "b", 1);
}

static void change_settings(int tty)
{
    struct termios settings;

    tcgetattr(tty, &settings);
    tcsetattr(tty, TCSANOW, &settings);
}

static void leader_checks_background(int tty)
{
    struct termios settings;
    int status = in_background(tty, read_byte);

    CHECK(WIFSTOPPED(status));
    CHECK_EQ(WSTOPSIG(status), SIGTTIN);
    status = in_background(tty, read_byte_ignoring);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 42);
    status = in_background(tty, write_byte);
    CHECK(WIFEXITED(status)); /* without TOSTOP */
    status = in_background(tty, change_settings);
    CHECK(WIFSTOPPED(status));
    CHECK_EQ(WSTOPSIG(status), SIGTTOU);
    CHECK_OK(tcgetattr(tty, &settings));
    settings.c_lflag |= TOSTOP;
    CHECK_OK(tcsetattr(tty, TCSANOW, &settings));
    status = in_background(tty, write_byte);
    CHECK(WIFSTOPPED(status));
    CHECK_EQ(WSTOPSIG(status), SIGTTOU);
}

TEST(tty_background_processes_are_stopped)
{
    struct terminal terminal;
    pid_t child;

    terminal = in_session(leader_checks_background, &child);
    CHECK_GT(terminal.master, 0);
    CHECK_EXIT(child, 0);
}

static void leader_moves_foreground(int tty)
{
    pid_t child = CHECK_OK(fork());
    int status;

    if (child == 0) {
        char byte;

        CHECK_OK(setpgid(0, 0));
        while (tcgetpgrp(tty) != getpid())
            sleep_ms(1);
        CHECK_EQ(read(tty, &byte, 1), 1);
        _exit(byte);
    }
    CHECK_OK(setpgid(child, child));
    CHECK_ERRNO(tcsetpgrp(tty, 999999), ESRCH);
    CHECK_OK(tcsetpgrp(tty, child));
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(WEXITSTATUS(status), 'q');
    signal(SIGTTOU, SIG_IGN);
    CHECK_OK(tcsetpgrp(tty, getpid()));
}

TEST(tty_foreground_group_moves_by_tcsetpgrp)
{
    struct terminal terminal;
    pid_t child;

    terminal = in_session(leader_moves_foreground, &child);
    type(&terminal, "q\n");
    CHECK_EXIT(child, 0);
}

static void leader_pauses(int tty)
{
    for (;;)
        pause();
}

TEST(tty_hangup_of_the_master_signals_the_session_leader)
{
    struct terminal terminal;
    pid_t child;

    terminal = in_session(leader_pauses, &child);
    WAIT_FOR_STATE(child, 'S');
    close(terminal.master);
    CHECK_KILLED(child, SIGHUP);
}

static void leader_with_foreground_child(int tty)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        CHECK_OK(setpgid(0, 0));
        for (;;)
            pause();
    }
    CHECK_OK(setpgid(child, child));
    CHECK_OK(tcsetpgrp(tty, child));
    CHECK_EQ(write(tty, ".\n", 2), 2);
}

TEST(tty_exit_of_the_leader_hangs_up_the_foreground_group)
{
    struct terminal terminal;
    pid_t child;
    char byte;

    terminal = in_session(leader_with_foreground_child, &child);
    expect(terminal.master, ".\r\n");
    CHECK_EXIT(child, 0);
    CHECK_ERRNO(read(terminal.master, &byte, 1), EIO); /* nobody has the slave any more */
}
