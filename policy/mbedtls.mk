# SHA-256 of Mbed TLS for digests of images: freestanding for root, hosted for bhmanifest. Included by
# policy/policy.mk, which puts the objects into libmanifest.a and into the tool.

MBEDTLS := build/third-party/mbedtls
MBEDTLS_FLAGS := -isystem $(MBEDTLS)/include -Ipolicy/manifest '-DMBEDTLS_CONFIG_FILE="mbedtls_config.h"'
MBEDTLS_OBJS := $(patsubst %,build/policy/mbedtls/%.o,sha256 platform_util)
MBEDTLS_HOST_OBJS := $(MBEDTLS_OBJS:%.o=%.host.o)

VMM_CFLAGS_archive := $(MBEDTLS_FLAGS)
build/vmm/obj/vmm/root/archive.o: $(MBEDTLS)/.stamp

# Debian's source package, pinned by the checksum of its .dsc; `make clean` keeps it.
$(MBEDTLS)/.stamp: tests/lib/fetch-source.sh
	$(Q)$< mbedtls 2.28.3-1 a8bf91b5ffb40654efb0ebe0c962ac1e87b8eed5e104880982eaa70dd4bb33e3
	@touch $@

build/policy/mbedtls/%.o: $(MBEDTLS)/.stamp policy/manifest/mbedtls_config.h build/.toolchain
	$(call say,CC,mbedtls/$*.c)
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out $(WARNINGS),$(USER_CFLAGS)) -w $(MBEDTLS_FLAGS) -c -o $@ $(MBEDTLS)/library/$*.c

build/policy/mbedtls/%.host.o: $(MBEDTLS)/.stamp policy/manifest/mbedtls_config.h
	$(call say,HOSTCC,mbedtls/$*.c)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(filter-out -W%,$(MANIFEST_HOST_FLAGS)) -w $(MBEDTLS_FLAGS) -c -o $@ $(MBEDTLS)/library/$*.c
