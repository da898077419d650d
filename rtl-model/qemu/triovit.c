/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The triovit accelerator as a QEMU device, around the model in rtl-model/.
 *
 * It sits on no bus: its window is laid over the system's memory, its interrupt is an SPI of the
 * machine's GIC, both as properties say, so that it can be added to machines as they are.
 *
 * A job takes longer to compute than it lasts in the guest. It is computed by a thread, on mappings
 * of its segments that are made and undone under the BQL, while the guest runs on; the timer that
 * ends the job waits for the thread. The thread calls nothing of QEMU.
 */
#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "qemu/lockable.h"
#include "qemu/log.h"
#include "qemu/module.h"
#include "qemu/thread.h"
#include "qemu/timer.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "exec/memory.h"
#include "hw/intc/arm_gic_common.h"
#include "hw/irq.h"
#include "hw/qdev-core.h"
#include "hw/qdev-properties.h"
#include "migration/vmstate.h"
#include "qom/object.h"
#include "rtl-model/qemu/compat.h"

#include <triovit/regs.h>

#include "rtl-model/device.h"

#define TYPE_TRIOVIT "triovit"
OBJECT_DECLARE_SIMPLE_TYPE(TriovitState, TRIOVIT)

struct TriovitState {
    DeviceState parent_obj;

    MemoryRegion mmio;
    qemu_irq irq;
    QEMUTimer *timer;
    struct tv_device *device;
    bool line; /* as the model has it */

    /* Properties. */
    uint64_t addr;
    uint32_t irq_number;
    uint32_t address_bits;
    char *target_name;
    const struct tv_target *target;

    /* For tests of drivers, see triovit_class_init(). */
    bool hang_next, hang, mute, spurious;
    uint32_t resets; /* that still come to an end */
    bool stuck; /* the last one did not */
    uint64_t hung_at, hung_for; /* ns of the virtual clock */

    /* The thread. lock protects what follows it. */
    QemuThread thread;
    QemuMutex lock;
    QemuCond changed;
    struct tv_device_work *work;
    bool done;
    bool quit;
};

/* --- time ------------------------------------------------------------------ */

static uint64_t triovit_clock(void *opaque)
{
    const TriovitState *s = opaque;
    uint64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    uint64_t ns = s->hang ? s->hung_at : now;

    return muldiv64(ns - s->hung_for, s->target->clock_mhz, 1000);
}

static void triovit_set_hang(TriovitState *s, bool hang)
{
    uint64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

    if (hang && !s->hang) {
        s->hung_at = now;
    } else if (!hang && s->hang) {
        s->hung_for += now - s->hung_at;
    }
    s->hang = hang;
}

/* After each call of the device: when it wants the next. */
static void triovit_update_timer(TriovitState *s)
{
    uint64_t next = tv_device_next(s->device);

    if (next == UINT64_MAX || s->hang) {
        timer_del(s->timer);
    } else {
        /* Rounded up: when the timer fires, the cycle has come. */
        timer_mod(s->timer, muldiv64(next, 1000, s->target->clock_mhz) + 1 + s->hung_for);
    }
}

static void triovit_timer(void *opaque)
{
    TriovitState *s = opaque;

    tv_device_advance(s->device);
    triovit_update_timer(s);
}

/* --- memory ---------------------------------------------------------------- */

static int triovit_dma_read(void *opaque, uint64_t address, void *ret, size_t size)
{
    MemTxResult result = address_space_read(&address_space_memory, address,
                                            MEMTXATTRS_UNSPECIFIED, ret, size);

    return result == MEMTX_OK ? 0 : -EIO;
}

static int triovit_dma_write(void *opaque, uint64_t address, const void *data, size_t size)
{
    MemTxResult result = address_space_write(&address_space_memory, address,
                                             MEMTXATTRS_UNSPECIFIED, data, size);

    return result == MEMTX_OK ? 0 : -EIO;
}

/* Bytes of RAM from an address on; bursts to anything else are answered with an error. */
static hwaddr triovit_ram_at(uint64_t address, hwaddr size, bool write)
{
    MemoryRegionSection section = memory_region_find(get_system_memory(), address, size);
    hwaddr there = 0;

    if (!section.mr) {
        return 0;
    }
    if (section.offset_within_address_space == address && memory_region_is_ram(section.mr) &&
        !memory_region_is_ram_device(section.mr) && !(write && section.readonly)) {
        there = int128_get64(section.size);
    }
    memory_region_unref(section.mr);
    return there;
}

static uint32_t triovit_map(void *opaque, uint64_t address, uint32_t size, uint32_t rights,
                            uint8_t **ret)
{
    bool write = rights & TV_SEGMENT_WRITE;
    hwaddr length = triovit_ram_at(address, size, write);

    if (!length) {
        return 0;
    }
    *ret = address_space_map(&address_space_memory, address, &length, write,
                             MEMTXATTRS_UNSPECIFIED);
    return *ret ? length : 0;
}

static void triovit_unmap(void *opaque, uint8_t *data, uint32_t size, uint32_t rights)
{
    bool write = rights & TV_SEGMENT_WRITE;

    address_space_unmap(&address_space_memory, data, size, write, write ? size : 0);
}

/* --- interrupt ------------------------------------------------------------- */

static void triovit_update_irq(TriovitState *s)
{
    qemu_set_irq(s->irq, (s->line && !s->mute) || s->spurious);
}

static void triovit_interrupt(void *opaque, bool level)
{
    TriovitState *s = opaque;

    s->line = level;
    triovit_update_irq(s);
}

static void triovit_complain(void *opaque, const char *what)
{
    qemu_log_mask(LOG_GUEST_ERROR, "triovit: %s\n", what);
}

/* --- computing ------------------------------------------------------------- */

static void *triovit_thread(void *opaque)
{
    TriovitState *s = opaque;

    qemu_mutex_lock(&s->lock);
    while (!s->quit) {
        if (!s->work || s->done) {
            qemu_cond_wait(&s->changed, &s->lock);
            continue;
        }
        qemu_mutex_unlock(&s->lock);
        tv_device_work_run(s->work);
        qemu_mutex_lock(&s->lock);
        s->done = true;
        qemu_cond_broadcast(&s->changed);
    }
    qemu_mutex_unlock(&s->lock);
    return NULL;
}

static void triovit_start(void *opaque, struct tv_device_work *work)
{
    TriovitState *s = opaque;

    QEMU_LOCK_GUARD(&s->lock);
    s->work = work;
    s->done = false;
    qemu_cond_broadcast(&s->changed);
}

static void triovit_join(void *opaque, struct tv_device_work *work)
{
    TriovitState *s = opaque;

    QEMU_LOCK_GUARD(&s->lock);
    while (!s->done) {
        qemu_cond_wait(&s->changed, &s->lock);
    }
    s->work = NULL;
}

static const struct tv_device_host triovit_host = {
    .read = triovit_dma_read,
    .write = triovit_dma_write,
    .map = triovit_map,
    .unmap = triovit_unmap,
    .interrupt = triovit_interrupt,
    .clock = triovit_clock,
    .start = triovit_start,
    .join = triovit_join,
    .complain = triovit_complain,
};

/* --- registers ------------------------------------------------------------- */

static uint64_t triovit_read(void *opaque, hwaddr offset, unsigned size)
{
    TriovitState *s = opaque;
    uint32_t value = tv_device_read(s->device, offset);

    if (offset == TV_REG_CONTROL && s->stuck) {
        value |= TV_CONTROL_RESET;
    }
    if (offset == TV_REG_IRQ_STATUS && s->spurious) {
        s->spurious = false;
        triovit_update_irq(s);
    }
    triovit_update_timer(s);
    return value;
}

static void triovit_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
    TriovitState *s = opaque;

    if (offset == TV_REG_CONTROL && value & TV_CONTROL_RESET) {
        triovit_set_hang(s, false);
        s->stuck = !s->resets;
        s->resets -= !s->stuck;
    }
    if (s->hang_next) {
        /* The clock stands still if a job begins by this. */
        triovit_set_hang(s, true);
        tv_device_write(s->device, offset, value);
        s->hang_next = !(tv_device_read(s->device, TV_REG_STATUS) & TV_STATUS_RUNNING);
        triovit_set_hang(s, !s->hang_next);
    } else {
        tv_device_write(s->device, offset, value);
    }
    triovit_update_timer(s);
}

/* Where the register interface has no access of this kind, it reads 0 and writes nothing. */
static uint64_t triovit_read_sized(void *opaque, hwaddr offset, unsigned size)
{
    if (size != 4 || offset % 4) {
        qemu_log_mask(LOG_GUEST_ERROR, "triovit: %u bytes read at 0x%" HWADDR_PRIx "\n", size,
                      offset);
        return 0;
    }
    return triovit_read(opaque, offset, size);
}

static void triovit_write_sized(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
    if (size != 4 || offset % 4) {
        qemu_log_mask(LOG_GUEST_ERROR, "triovit: %u bytes written at 0x%" HWADDR_PRIx "\n", size,
                      offset);
        return;
    }
    triovit_write(opaque, offset, value, size);
}

static const MemoryRegionOps triovit_ops = {
    .read = triovit_read_sized,
    .write = triovit_write_sized,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

/* --- the object ------------------------------------------------------------ */

static void triovit_reset(void *opaque)
{
    TriovitState *s = opaque;

    triovit_set_hang(s, false);
    s->hang_next = false;
    s->mute = false;
    s->spurious = false;
    s->resets = UINT32_MAX;
    s->stuck = false;
    tv_device_write(s->device, TV_REG_CONTROL, TV_CONTROL_RESET);
    triovit_update_timer(s);
    triovit_update_irq(s);
}

static qemu_irq triovit_find_irq(uint32_t number, Error **errp)
{
    static const char *const types[] = { "arm_gic", "arm-gicv3" };

    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        Object *gic = object_resolve_path_type("", types[i], NULL);

        if (gic) {
            /* The first of a GIC's interrupts are its processors' own. */
            uint32_t shared = object_property_get_uint(gic, "num-irq", &error_abort) - GIC_INTERNAL;

            if (number >= shared) {
                error_setg(errp, "triovit: the GIC has interrupts 0 to %u, not %u", shared - 1,
                           number);
                return NULL;
            }
            return qdev_get_gpio_in(DEVICE(gic), number);
        }
    }
    error_setg(errp, "triovit: this machine has no GIC to interrupt");
    return NULL;
}

static void triovit_realize(DeviceState *dev, Error **errp)
{
    TriovitState *s = TRIOVIT(dev);
    struct tv_error error = { 0 };

    if (!triovit_check_layouts(errp)) {
        return;
    }
    s->target = tv_target_by_name(s->target_name ?: "zcu102");
    if (!s->target) {
        error_setg(errp, "triovit: no configuration is called '%s'", s->target_name);
        return;
    }
    if (s->address_bits < 32 || s->address_bits > 64) {
        error_setg(errp, "triovit: addresses have 32 to 64 bits, not %u", s->address_bits);
        return;
    }
    s->irq = triovit_find_irq(s->irq_number, errp);
    if (!s->irq) {
        return;
    }
    if (tv_device_new(s->target, s->address_bits, &triovit_host, s, &s->device, &error) < 0) {
        error_setg(errp, "triovit: %s", error.text);
        return;
    }
    s->timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, triovit_timer, s);
    qemu_mutex_init(&s->lock);
    qemu_cond_init(&s->changed);
    qemu_thread_create(&s->thread, TYPE_TRIOVIT, triovit_thread, s, QEMU_THREAD_JOINABLE);
    memory_region_init_io(&s->mmio, OBJECT(dev), &triovit_ops, s, TYPE_TRIOVIT, TV_REG_WINDOW);
    memory_region_add_subregion_overlap(get_system_memory(), s->addr, &s->mmio, 10);
    qemu_register_reset(triovit_reset, s);
}

static bool triovit_get_hang(Object *obj, Error **errp)
{
    return TRIOVIT(obj)->hang_next;
}

static void triovit_change_hang(Object *obj, bool value, Error **errp)
{
    TRIOVIT(obj)->hang_next = value;
}

static bool triovit_get_mute(Object *obj, Error **errp)
{
    return TRIOVIT(obj)->mute;
}

static void triovit_change_mute(Object *obj, bool value, Error **errp)
{
    TriovitState *s = TRIOVIT(obj);

    s->mute = value;
    triovit_update_irq(s);
}

static bool triovit_get_spurious(Object *obj, Error **errp)
{
    return TRIOVIT(obj)->spurious;
}

static void triovit_change_spurious(Object *obj, bool value, Error **errp)
{
    TriovitState *s = TRIOVIT(obj);

    s->spurious = value;
    triovit_update_irq(s);
}

static bool triovit_get_halt(Object *obj, Error **errp)
{
    return tv_device_read(TRIOVIT(obj)->device, TV_REG_STATUS) & TV_STATUS_HALTED;
}

static void triovit_change_halt(Object *obj, bool value, Error **errp)
{
    TriovitState *s = TRIOVIT(obj);

    if (value) {
        tv_device_write(s->device, TV_REG_TAIL, tv_device_read(s->device, TV_REG_HEAD) - 1);
        triovit_update_timer(s);
    }
}

/* The model cannot say what it is in the middle of. */
static const VMStateDescription triovit_vmstate = {
    .name = TYPE_TRIOVIT,
    .unmigratable = 1,
};

static TRIOVIT_PROPERTY triovit_properties[] = {
    DEFINE_PROP_UINT64("addr", TriovitState, addr, 0),
    DEFINE_PROP_UINT32("irq", TriovitState, irq_number, 0),
    DEFINE_PROP_UINT32("address-bits", TriovitState, address_bits, 40),
    DEFINE_PROP_STRING("target", TriovitState, target_name),
    TRIOVIT_PROPERTY_END
};

static void triovit_instance_init(Object *obj)
{
    TriovitState *s = TRIOVIT(obj);

    s->resets = UINT32_MAX;
    object_property_add_uint32_ptr(obj, "x-resets", &s->resets, OBJ_PROP_FLAG_READWRITE);
    object_property_set_description(obj, "x-resets",
                                    "resets that come to an end, others do not");
}

static void triovit_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);

    dc->realize = triovit_realize;
    dc->vmsd = &triovit_vmstate;
    dc->desc = "EfficientViT accelerator";
    dc->user_creatable = true;
    dc->hotpluggable = false;
    device_class_set_props(dc, triovit_properties);

    object_class_property_add_bool(klass, "x-hang", triovit_get_hang, triovit_change_hang);
    object_class_property_set_description(klass, "x-hang",
                                          "the next job at rest hangs, until a reset");
    object_class_property_add_bool(klass, "x-mute", triovit_get_mute, triovit_change_mute);
    object_class_property_set_description(klass, "x-mute", "interrupts get lost");
    object_class_property_add_bool(klass, "x-spurious", triovit_get_spurious,
                                   triovit_change_spurious);
    object_class_property_set_description(klass, "x-spurious",
                                          "an interrupt for nothing, until IRQ_STATUS is read");
    object_class_property_add_bool(klass, "x-halt", triovit_get_halt, triovit_change_halt);
    object_class_property_set_description(klass, "x-halt", "halts as after a wrong doorbell");
}

static const TypeInfo triovit_info = {
    .name = TYPE_TRIOVIT,
    .parent = TYPE_DEVICE,
    .instance_size = sizeof(TriovitState),
    .instance_init = triovit_instance_init,
    .class_init = triovit_class_init,
};

TRIOVIT_REGISTER(triovit_info)
