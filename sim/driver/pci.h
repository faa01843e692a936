/*
 * PCI bus ids in the forms that NVML accepts.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pci_address {
    uint32_t domain, bus, device;
};

/* "domain:bus:device.function", "domain:bus:device" or "bus:device.function", hex, any
 * case. Return: false when TEXT is something else. */
bool pci_parse(const char *text, struct pci_address *address);
