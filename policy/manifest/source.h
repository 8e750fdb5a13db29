/*
 * Lines of a manifest's source: where a node and its properties are. For people only: the blob
 * alone says what is. May call: memcpy-class functions. Never follows /include/ or references: what
 * comes from there has no line.
 */
#ifndef POLICY_MANIFEST_SOURCE_H
#define POLICY_MANIFEST_SOURCE_H

#include <stddef.h>

/**
 * @param text     device tree source, any bytes
 * @param path     of a node: "/", "/vms/desktop"
 * @param property its name, NULL: the node itself
 * @return the line, from 1 on, of the name; of the node if it has no such property; 0: no such node
 */
unsigned source_line(const char *text, size_t bytes, const char *path, const char *property);

#endif
