/* What is built of Mbed TLS: SHA-256, which needs memcpy and memset and nothing else of a C
 * library. */
#ifndef POLICY_MANIFEST_MBEDTLS_CONFIG_H
#define POLICY_MANIFEST_MBEDTLS_CONFIG_H

#define MBEDTLS_SHA256_C
#define MBEDTLS_PLATFORM_C
#define MBEDTLS_PLATFORM_NO_STD_FUNCTIONS
#define MBEDTLS_DEPRECATED_REMOVED

#endif
