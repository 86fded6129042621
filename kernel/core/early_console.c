/*
 * Where the log, and on a machine without a host's link the console, go without any driver: QEMU's
 * (and Bochs's) debug console or the first serial port.
 *
 * `log=debugcon` writes to port 0xe9 (qemu -debugcon stdio), `log=serial` to the UART at 0x3f8
 * (115,200 baud, 8 bits, no parity). Both are polled, slow, and meant for bringing up. A panic
 * before there is a link to the host goes to the debug console as well, ended by a mark: the `pith`
 * command listens there.
 *
 * Context: a log sink.
 */
#include <pith/core.h>

#include "panic.h"

#define DEBUGCON_PORT       0xe9
#define DEBUGCON_PANIC_MARK 0x04 /* host/pith_run.c ends the run at it */
#define SERIAL_PORT         0x3f8
/* The registers of a 16550; the first two are the divisor while the line control says so. */
#define SERIAL_DIVISOR_LOW  SERIAL_PORT
#define SERIAL_DIVISOR_HIGH (SERIAL_PORT + 1)
#define SERIAL_LINE_CONTROL (SERIAL_PORT + 3)
#define SERIAL_LINE_STATUS  (SERIAL_PORT + 5)
#define SERIAL_DIVISOR_SHOW BIT(7)
#define SERIAL_8_BITS       3
#define SERIAL_STATUS_EMPTY BIT(5)
#define SERIAL_WAIT_ROUNDS  100000 /* a port that is not there never gets empty */

static void debugcon_write(const char *line, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        port_write_u8(DEBUGCON_PORT, line[i]);
}

static void serial_write(const char *line, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        for (int round = 0; round < SERIAL_WAIT_ROUNDS; round++) {
            if (port_read_u8(SERIAL_LINE_STATUS) & SERIAL_STATUS_EMPTY)
                break;
        }
        port_write_u8(SERIAL_PORT, line[i]);
    }
}

static void serial_init(void)
{
    port_write_u8(SERIAL_LINE_CONTROL, SERIAL_DIVISOR_SHOW);
    port_write_u8(SERIAL_DIVISOR_LOW, 1);
    port_write_u8(SERIAL_DIVISOR_HIGH, 0);
    port_write_u8(SERIAL_LINE_CONTROL, SERIAL_8_BITS);
}

static bool debugcon_has_log;
static void (*port_write)(const char *bytes, size_t count); /* [const] after boot; NULL: none */

bool early_console_has_log(void)
{
    return debugcon_has_log;
}

void early_console_write(const char *bytes, size_t count)
{
    if (port_write)
        port_write(bytes, count);
}

void early_console_panic(void)
{
    if (!debugcon_has_log)
        log_sink_register(debugcon_write, LOG_DEBUG);
    port_write_u8(DEBUGCON_PORT, DEBUGCON_PANIC_MARK);
}

static int log_set(const char *value)
{
    if (value && !strcmp(value, "debugcon"))
        port_write = debugcon_write;
    else if (value && !strcmp(value, "serial"))
        port_write = serial_write;
    else
        return -EINVAL;
    if (port_write == serial_write)
        serial_init();
    debugcon_has_log = port_write == debugcon_write;
    log_sink_register(port_write, LOG_DEBUG);
    return 0;
}

PARAMETER(log, "log", "debugcon|serial", "sends the kernel's log to a port as well",
          .set = log_set);
