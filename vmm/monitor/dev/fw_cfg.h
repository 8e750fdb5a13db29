/*
 * Firmware configuration device (QEMU docs/specs/fw_cfg.rst): how unmodified PC firmware learns
 * about the machine it is to set up. Items are bytes that stay where the caller has them; the guest
 * reads them by ports 0x510 and 0x511, or has them copied into its memory through 0x514.
 */
#ifndef VMM_MONITOR_DEV_FW_CFG_H
#define VMM_MONITOR_DEV_FW_CFG_H

#include "bus.h"
#include "state.h"

#define FW_CFG_PORT        0x510u
#define FW_CFG_FILES_MAX   24u
#define FW_CFG_NAME_BYTES  56u /* with the NUL */
#define FW_CFG_KEYS_MAX    20u
#define FW_CFG_VALUE_BYTES 16u

/** Keys of items without a name. */
#define FW_CFG_UUID          0x0002u
#define FW_CFG_RAM_BYTES     0x0003u
#define FW_CFG_NO_GRAPHICS   0x0004u
#define FW_CFG_CPUS          0x0005u
#define FW_CFG_KERNEL_BYTES  0x0008u
#define FW_CFG_INITRD_BYTES  0x000bu
#define FW_CFG_BOOT_MENU     0x000eu
#define FW_CFG_CPUS_MAX      0x000fu
#define FW_CFG_KERNEL        0x0011u
#define FW_CFG_INITRD        0x0012u
#define FW_CFG_CMDLINE_BYTES 0x0014u
#define FW_CFG_CMDLINE       0x0015u
#define FW_CFG_IRQ0_OVERRIDE 0x8002u

struct fw_cfg_item {
    const uint8_t *bytes;
    uint32_t size;
    uint16_t key;
};

struct fw_cfg {
    const struct dev_host *host;
    struct fw_cfg_item file[FW_CFG_FILES_MAX];
    unsigned files;
    struct fw_cfg_item value[FW_CFG_KEYS_MAX];
    uint8_t value_bytes[FW_CFG_KEYS_MAX][FW_CFG_VALUE_BYTES];
    unsigned values;
    uint8_t directory[4u + FW_CFG_FILES_MAX * 64u]; /* as the guest reads it */

    uint16_t selector;
    uint32_t offset;      /* of the next byte in the item selected; stops at its end */
    uint32_t dma_address; /* upper half, waiting for the lower */
};

extern const struct dev_state fw_cfg_state;

bool fw_cfg_init(struct fw_cfg *f, struct bus *bus, const struct dev_host *host);

/** An item of that name, which must stay as it is. @return false: no place left, or the name is too
 *  long */
bool fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *bytes, uint32_t size);
/** An item that only has a number, which must stay as it is. @return false: no place left */
bool fw_cfg_add_item(struct fw_cfg *f, uint16_t key, const void *bytes, uint32_t size);
/** A short one; copied. @return false: no place left, or @size above
 *  FW_CFG_VALUE_BYTES */
bool fw_cfg_add_value(struct fw_cfg *f, uint16_t key, const void *bytes, uint32_t size);

#endif
