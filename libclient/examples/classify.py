#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""triovitd over D-Bus, without a library: classify.py MODEL.safetensors PICTURE.ppm

Runs the model twice: on bytes in a message, and on a session's memory. The picture has the size of
the model's input already. Needs python3-dbus. TRIOVIT_ADDRESS is the address of another bus than the
system's.
"""
import mmap
import os
import sys

import dbus

NAME, TOP = 'org.triovit.Accelerator1', '/org/triovit/Accelerator1'


def show(result):
    print(result['device'], result['cycles'], 'cycles')
    for index, label, probability in result['top'][0]:
        print(f'  {index} {label} {probability:.7g}')


def main(package, picture):
    address = os.environ.get('TRIOVIT_ADDRESS')
    bus = dbus.bus.BusConnection(address) if address else dbus.SystemBus()
    manager = dbus.Interface(bus.get_object(NAME, TOP), NAME + '.Manager')
    with open(picture, 'rb') as file:
        pixels = file.read().split(b'\n', 3)[3]
    with open(package, 'rb') as file:
        path = manager.LoadModel(dbus.types.UnixFd(file), dbus.Dictionary(signature='sv'))
    options = dbus.Dictionary({'top': dbus.UInt32(3)}, signature='sv')

    model = dbus.Interface(bus.get_object(NAME, path), NAME + '.Model')
    output, result = model.Run(dbus.ByteArray(pixels), options, byte_arrays=True)
    show(result)

    path, memory, layout = manager.OpenSession(path, dbus.Dictionary(signature='sv'))
    session = dbus.Interface(bus.get_object(NAME, path), NAME + '.Session')
    memory = memory.take()
    with mmap.mmap(memory, layout['slots'] * layout['slot-size']) as slots:
        os.close(memory)
        slots.seek(layout['input-offset'])
        slots.write(pixels)
        show(session.Run(dbus.UInt32(0), options))
        slots.seek(layout['output-offset'])
        assert slots.read(layout['output-size']) == output
    session.Close()


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
