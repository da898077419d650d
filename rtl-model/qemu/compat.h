/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the device gets into QEMU: as an object of its build, or (TRIOVIT_PLUGIN) as a plugin of one
 * that somebody else has built, with headers of the same version. And what differs between
 * versions; TRIOVIT_QEMU is the major one.
 */
#ifndef TRIOVIT_QEMU_COMPAT_H
#define TRIOVIT_QEMU_COMPAT_H

#if TRIOVIT_QEMU >= 10
#include "system/reset.h"
#define TRIOVIT_PROPERTY const Property
#define TRIOVIT_PROPERTY_END
#define TRIOVIT_PLUGIN_VERSION 4
#else
#include "sysemu/reset.h"
#define TRIOVIT_PROPERTY Property
#define TRIOVIT_PROPERTY_END DEFINE_PROP_END_OF_LIST()
#define TRIOVIT_PLUGIN_VERSION 1
#endif

#ifdef TRIOVIT_PLUGIN
/*
 * Layouts depend on what configure has found, and config/ states what Debian's finds. A wrong one
 * would crash far away from here, so what can be compared is.
 */
static bool triovit_check_layouts(Error **errp)
{
    QEMU_BUILD_BUG_ON(_Alignof(MemoryRegion) != 16);
#if TRIOVIT_QEMU < 10
    if (object_type_get_instance_size(TYPE_DEVICE) != sizeof(DeviceState) ||
        object_type_get_instance_size(TYPE_MEMORY_REGION) != sizeof(MemoryRegion)) {
        error_setg(errp, "triovit: this plugin is for QEMU %s", TRIOVIT_QEMU_VERSION);
        return false;
    }
#endif
    return true;
}

#define TRIOVIT_EXPORT __attribute__((visibility("default")))
#define TRIOVIT_REGISTER(info)                                                                     \
    TRIOVIT_EXPORT int qemu_plugin_version = TRIOVIT_PLUGIN_VERSION;                               \
    TRIOVIT_EXPORT int qemu_plugin_install(uint64_t id, const void *host, int argc, char **argv);  \
    int qemu_plugin_install(uint64_t id, const void *host, int argc, char **argv)                  \
    {                                                                                              \
        type_register_static(&(info));                                                             \
        return 0;                                                                                  \
    }
#else
static bool triovit_check_layouts(Error **errp)
{
    return true;
}

#define TRIOVIT_REGISTER(info)                                                                     \
    static void triovit_register(void)                                                             \
    {                                                                                              \
        type_register_static(&(info));                                                             \
    }                                                                                              \
    type_init(triovit_register)
#endif

#endif
