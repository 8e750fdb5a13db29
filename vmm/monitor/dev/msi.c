/* Address and data of a message signalled interrupt; see msi.h. Calls nothing. */
#include "msi.h"

#define ADDRESS_REDIR 0x8u
#define ADDRESS_LOGIC 0x4u
#define DATA_ASSERT   0x4000u
#define DATA_LEVEL    0x8000u
#define MODE_RESERVED (1u << 3 | 1u << APIC_STARTUP)

bool msi_decode(uint64_t address, uint32_t data, struct apic_msg *msg)
{
    unsigned mode = data >> 8 & 7u;
    bool logical = (address & ADDRESS_LOGIC) != 0;

    if (address - MSI_BASE >= MSI_BYTES || (MODE_RESERVED >> mode & 1u)) return false;
    /* Redirection picks one processor of a logical group; a physical destination is one already. */
    if (logical && (address & ADDRESS_REDIR) && mode == APIC_FIXED) mode = APIC_LOWEST;
    *msg = (struct apic_msg){
        .dest = (uint32_t)(address >> 12 & 0xffu),
        .vector = (uint8_t)data,
        .mode = (uint8_t)mode,
        .logical = logical,
        .level = (data & DATA_LEVEL) != 0,
        .assert = !(data & DATA_LEVEL) || (data & DATA_ASSERT),
    };
    /* The end of a level is no interrupt. */
    return msg->assert;
}
