/*
 * Where the log goes without any driver: QEMU's debug console or the first serial port.
 *
 * `log=debugcon` writes to port 0xe9 (qemu -debugcon stdio), `log=serial` to the UART at 0x3f8,
 * which is taken as the firmware left it. Both are polled, slow, and meant for bringing up. A panic
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
#define SERIAL_LINE_STATUS  (SERIAL_PORT + 5)
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

static bool debugcon_has_log;

bool early_console_has_log(void)
{
    return debugcon_has_log;
}

void early_console_panic(void)
{
    if (!debugcon_has_log)
        log_sink_register(debugcon_write, LOG_DEBUG);
    port_write_u8(DEBUGCON_PORT, DEBUGCON_PANIC_MARK);
}

static int log_set(const char *value)
{
    if (value && !strcmp(value, "debugcon")) {
        debugcon_has_log = true;
        log_sink_register(debugcon_write, LOG_DEBUG);
    } else if (value && !strcmp(value, "serial")) {
        log_sink_register(serial_write, LOG_DEBUG);
    } else {
        return -EINVAL;
    }
    return 0;
}

PARAMETER(log, "log", "debugcon|serial", "sends the kernel's log to a port as well",
          .set = log_set);
