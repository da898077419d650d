#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The driver in a guest: boots a kernel on a machine with two accelerators and runs guest/ in it.

    driver.py PLUGIN KERNEL MODULE TESTS BUSYBOX DTB JOB SIM [time|clock|debug|faults]
              [libraries=DIR] [kunit=MODULE]

KERNEL is an unpacked linux-image package, MODULE triovit.ko for it, TESTS the test program, which
may need shared LIBRARIES of a root file system, SIM triovit-sim. What the program says on the serial line is the verdict, in TAP; lines that begin with
@ ask something of this side: the device to misbehave, or to execute what was dumped. With "time" the
guest's clock counts its instructions, and what takes how long is tested; "clock" measures that by the real clock; "debug" and "faults" are
for a kernel that looks for mistakes: the same tests there, or KUnit's and with memory running short.
"""

import base64
import gzip
import pathlib
import re
import subprocess
import sys
import tempfile
import threading

from initial import Archive, modules
from qemu import DEVICE, MACHINE, SPI, WINDOW, Qemu

HERE = pathlib.Path(__file__).resolve().parent
# Modules that the driver, and the tests, need.
NEEDED = ('drm', 'gpu_sched', 'drm_dma_helper', 'vgem')
# What the guest asks the device for.
MISBEHAVE = {'hang': ('hang', True), 'mute': ('mute', True), 'unmute': ('mute', False),
             'spurious': ('spurious', True), 'halt': ('halt', True), 'stuck': ('resets', 0),
             'stuck-later': ('resets', 2), 'unstuck': ('resets', 0xffffffff)}
# The zynq's console is its second port.
SERIAL = ['-serial', 'null'] * (MACHINE == 'zynq') + ['-serial', 'stdio']
LIMIT = 1800  # seconds; many times what it takes


def add_libraries(archive, root):
    """What a program that talks to the driver is linked with."""
    loader = next(root.glob('lib/ld-linux-*'))
    archive.file(f'lib/{loader.name}', loader, 0o100755)
    for name in ('libc.so.6', 'libdrm.so.2'):
        path = next(root.glob(f'**/*-linux-gnu*/{name}'))
        archive.file(f'lib/{name}', path, 0o100755)


def initial(kernel, module, tests, busybox, jobs, libraries, kunit):
    archive = Archive()
    archive.file('init', HERE / 'guest/init', 0o100755)
    archive.file('bin/busybox', busybox, 0o100755)
    archive.add('bin/sh', 0o120777, b'busybox')
    archive.file('guest-tests', tests, 0o100755)
    if libraries:
        add_libraries(archive, pathlib.Path(libraries))
    order = modules(kernel, NEEDED)
    for name, data in order.items():
        archive.add(f'modules/{name}.ko', 0o100644, data)
    archive.file('modules/triovit.ko', module)
    if kunit:
        archive.file('modules/triovit_test.ko', kunit)
    archive.add('modules/order', 0o100644,
                ''.join(f'{name}.ko\n' for name in [*order, 'triovit']).encode())
    for path in (path for end in ('job', 'out', 'cycles') for path in jobs.glob(f'*.{end}')):
        archive.file(f'jobs/{path.name}', path)
    return gzip.compress(archive.finish(), 1)


def replay(sim, dump, rest):
    """Whether the model ends as the accelerator did."""
    dump.write_bytes(base64.b64decode(rest))
    done = subprocess.run([sim, 'replay', dump], capture_output=True, text=True, check=False)
    for line in (done.stdout + done.stderr).splitlines():
        print(f'# {line}', flush=True)
    return done.returncode == 0


def answer(guest, sim, line):
    """What a line that begins with @ asks for."""
    what, _, rest = line[1:].partition(' ')
    good = True
    if what in MISBEHAVE:
        guest.misbehave(*MISBEHAVE[what])
    elif what == 'dump':
        good = replay(sim, guest.folder / 'dump', rest)
    else:
        good = False
    guest.process.stdin.write(b'done\n' if good else b'failed\n')
    guest.process.stdin.flush()


def run(folder, plugin, kernel, dtb, image, sim, mode):
    (folder / 'initrd').write_bytes(image)
    vmlinuz = next(kernel.glob('boot/vmlinuz-*'))
    append = f'console=ttyPS0 panic=-1 oops=panic nowatchdog suspend.pm_test_delay=1 triovit={mode}'
    # Figures are of the kernel as it is, else what is freed is poisoned.
    if mode not in ('time', 'clock'):
        append += ' slub_debug=FZP,kmalloc-*'
    clock = ['-icount', 'shift=0,sleep=off'] if mode == 'time' else []
    with Qemu(plugin, folder, *clock, '-m', '1G', '-kernel', str(vmlinuz), '-initrd',
              str(folder / 'initrd'), '-dtb', dtb, '-append', append, '-no-reboot',
              *SERIAL, '-device', f'{DEVICE},addr={WINDOW + 0x10000:#x},irq={SPI + 1}',
              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as guest:
        timer = threading.Timer(LIMIT, guest.process.kill)
        timer.start()
        ended = False
        for line in guest.process.stdout:
            line = line.decode(errors='replace').rstrip('\r\n')
            if line.startswith('@'):
                if line == '@end':
                    ended = True
                else:
                    answer(guest, sim, line)
            elif re.match(r'(not )?ok |1\.\.|#', line):
                print(line, flush=True)
            else:
                print(f'# {line}', flush=True)
        timer.cancel()
        return ended


def main():
    plugin, kernel, module, tests, busybox, dtb, job, sim, *more = sys.argv[1:]
    mode = next((word for word in more if word in ('time', 'clock', 'debug', 'faults')), '')
    options = dict(word.split('=', 1) for word in more if '=' in word)
    kernel = pathlib.Path(kernel)
    image = initial(kernel, module, tests, busybox, pathlib.Path(job).parent,
                    options.get('libraries'), options.get('kunit'))
    with tempfile.TemporaryDirectory() as folder:
        ended = run(pathlib.Path(folder), plugin, kernel, dtb, image, sim, mode)
    if not ended:
        print('# the guest did not come to its end')
    return 0 if ended else 1


if __name__ == '__main__':
    sys.exit(main())
