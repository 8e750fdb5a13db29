/*
 * The host's PCI devices, which nobody drives yet: none of them is to reach memory by itself.
 * May call: ports. Never touches anything of a device but its command register.
 */
#ifndef VMM_ROOT_DEVICES_H
#define VMM_ROOT_DEVICES_H

/** Take the bus master bit from what firmware and loader have left with it on bus 0: endpoints
 * there, and the ports through which all others pass (PCI Local Bus 3.0, 6.2.2; PCI Express Base
 * 4.0, 7.5.1.1.3: such a port forwards no request upstream, so no DMA and no MSI). Host bridges
 * and display controllers keep it; the latter scan out of memory.
 *  @return how many had it */
unsigned devices_quiet(void);

#endif
