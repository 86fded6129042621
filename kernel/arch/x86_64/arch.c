/*
 * The order in which the machine is brought up.
 */
#include <pith/core.h>

#include "boot.h"
#include "features.h"

void arch_init_early(void)
{
    boot_info_init();
    parameters_parse(boot_info.command_line);
    features_init();
    features_enable();
    page_tables_init();
}
