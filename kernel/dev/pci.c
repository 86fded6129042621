/*
 * PCI's configuration space by ports 0xcf8 and 0xcfc (PCI Local Bus 3.0, 3.2.2.3.2), and what is on
 * bus 0. The firmware has given the devices their addresses, and QEMU puts all of ours on that bus.
 *
 * A function is named by bus << 16 | device << 11 | function << 8, as the address port wants it.
 *
 * Locking: only the boot's single thread and a device's probe come here, so the pair of ports needs
 * no lock.
 */
#include <pith/virtio.h>

#include "virtio.h"

#define PORT_ADDRESS        0xcf8
#define PORT_DATA           0xcfc
#define ADDRESS_ENABLE      BIT(31)

#define CONFIG_ID           0x00
#define CONFIG_HEADER_TYPE  0x0e
#define HEADER_MULTIPLE     0x80

#define VENDOR_VIRTIO       0x1af4
#define VENDOR_NONE         0xffff
#define DEVICE_VIRTIO_FIRST 0x1000
#define DEVICE_VIRTIO_LAST  0x107f

u32 pci_read(u32 function, u32 offset)
{
    port_write_u32(PORT_ADDRESS, (u32)ADDRESS_ENABLE | function | (offset & 0xfc));
    return port_read_u32(PORT_DATA);
}

u16 pci_read_u16(u32 function, u32 offset)
{
    return pci_read(function, offset) >> (8 * (offset & 2));
}

u8 pci_read_u8(u32 function, u32 offset)
{
    return pci_read(function, offset) >> (8 * (offset & 3));
}

void pci_write(u32 function, u32 offset, u32 value)
{
    port_write_u32(PORT_ADDRESS, (u32)ADDRESS_ENABLE | function | (offset & 0xfc));
    port_write_u32(PORT_DATA, value);
}

/* Not the word around it: that may hold bits that are cleared by writing them (the status). */
void pci_write_u16(u32 function, u32 offset, u16 value)
{
    port_write_u32(PORT_ADDRESS, (u32)ADDRESS_ENABLE | function | (offset & 0xfc));
    port_write_u16(PORT_DATA + (offset & 2), value);
}

static void function_probe(u32 function)
{
    u32 id = pci_read(function, CONFIG_ID);
    u16 device = id >> 16;

    if ((u16)id == VENDOR_VIRTIO && device >= DEVICE_VIRTIO_FIRST && device <= DEVICE_VIRTIO_LAST)
        virtio_pci_found(function, device);
}

bool pci_init(void)
{
    port_write_u32(PORT_ADDRESS, (u32)ADDRESS_ENABLE);
    if (port_read_u32(PORT_ADDRESS) != (u32)ADDRESS_ENABLE)
        return false;
    for (u32 device = 0; device < 32; device++) {
        u32 first = device << 11;
        u32 functions;

        if (pci_read_u16(first, CONFIG_ID) == VENDOR_NONE)
            continue;
        functions = pci_read_u8(first, CONFIG_HEADER_TYPE) & HEADER_MULTIPLE ? 8 : 1;
        for (u32 i = 0; i < functions; i++)
            function_probe(first | i << 8);
    }
    return true;
}
