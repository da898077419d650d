#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A whole system in a guest: boots Debian with systemd on a machine with two accelerators, where
guest/test installs and uses the packages.

    system.py PLUGIN KERNEL MODULE ROOT DTB JOB SIM DEBS

KERNEL is an unpacked linux-image package, MODULE triovit.ko for it, ROOT what root.py has made, JOB
one of those that tests/qemu/jobs.sh has made from a model, SIM triovit-sim, DEBS the folder of the
packages. What the guest says on its second serial line is the verdict, in TAP.
"""

import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import threading

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / 'qemu'), str(TESTS / 'cli')]

import pictures  # noqa: E402
from initial import Archive, modules  # noqa: E402
from qemu import Qemu  # noqa: E402

CC = 'aarch64-linux-gnu-gcc'
GUEST = TESTS / 'system/guest'
# Modules that the driver needs.
NEEDED = ('drm', 'gpu_sched', 'drm_dma_helper')
SIZES = ((200, 150), (113, 241), (96, 96), (1000, 7), (33, 40))
LIMIT = 2000  # seconds; on a quiet machine a tenth is enough
WORDS = ('console=ttyPS0 rdinit=/sbin/init panic=-1 nowatchdog rcupdate.rcu_cpu_stall_suppress=1 '
         'suspend.pm_test_delay=1 systemd.getty_auto=0')


def add_driver(archive, kernel, module):
    release = next(kernel.glob('lib/modules/*'))
    folder = f'usr/lib/modules/{release.name}'
    for name, data in modules(kernel, NEEDED).items():
        archive.add(f'{folder}/kernel/{name}.ko', 0o100644, data)
    for name in ('modules.order', 'modules.builtin', 'modules.builtin.modinfo'):
        archive.file(f'{folder}/{name}', release / name)
    # Where DKMS puts it, which would need a compiler in the guest.
    archive.file(f'{folder}/updates/dkms/triovit.ko', module)


def add_example(archive, folder, debs):
    """The example in C, from the packages that a user builds it with."""
    for deb in debs.glob('libtriovit*.deb'):
        subprocess.run(['dpkg-deb', '-x', deb, folder / 'dev'], check=True)
    usr = folder / 'dev/usr'
    subprocess.run([CC, usr / 'share/doc/libtriovit-dev/examples/classify.c', '-I',
                    usr / 'include', '-L', next(usr.glob('lib/*-linux-gnu*')), '-ltriovit',
                    # The library's own libraries are the guest's.
                    '-Wl,--allow-shlib-undefined', '-o', folder / 'classify'], check=True)
    archive.file('usr/local/bin/classify', folder / 'classify', 0o100755)


def add_answers(archive, folder, job, sim):
    """A model, pictures, bytes, and what the host says of them."""
    model = job.with_suffix('.safetensors')
    names = [str(number) for number in range(len(SIZES))]
    archive.file('srv/model.safetensors', model)
    for name, (width, height) in zip(names, SIZES):
        pixels = pictures.picture(width, height, int(name))
        pictures.write_png(folder / f'{name}.png', width, height, pixels)
        pictures.write_ppm(folder / f'{name}.ppm', width, height, pixels)
        for kind in ('png', 'ppm'):
            archive.file(f'srv/{name}.{kind}', folder / f'{name}.{kind}')
    said = subprocess.run([sim, 'run', '--json', model, *(f'{name}.png' for name in names)],
                          cwd=folder, capture_output=True, text=True, check=True).stdout
    archive.add('srv/sim.json', 0o100644, said.encode())
    example = ''.join(f'./{name}.ppm\n' + ''.join(
        f'  {best["label"]:20} {best["probability"]:.7g}\n' for best in answer['best'])
        for name, answer in zip(names, json.loads(said)))
    archive.add('srv/example.txt', 0o100644, example.encode())
    # The job's input segment, and what the output segment is after it, as busctl writes bytes.
    dump, at, size = job.read_bytes(), 1024, 0
    for segment in range(3):
        at += (size + 63) & ~63
        size = struct.unpack_from('<QI', dump, 256 + 128 + 16 * segment)[1]
    output = job.with_suffix('.out').read_bytes()
    for name, head, data in (('input', '', dump[at:at + size]), ('output', 'aya{sv} ', output)):
        text = f'{head}{len(data)} {" ".join(map(str, data))}\n'
        archive.add(f'srv/{name}', 0o100644, text.encode())


def payload(folder, kernel, module, job, sim, debs):
    """What the guest has beside Debian."""
    archive = Archive()
    archive.add('root', 0o040700)
    add_driver(archive, kernel, module)
    add_example(archive, folder, debs)
    add_answers(archive, folder, job, sim)
    for deb in debs.glob('*.deb'):
        archive.file(f'root/debs/{deb.name}', deb)
    archive.file('root/tap.sh', TESTS / 'lib/tap.sh')
    # A service's: dbus-daemon does not know DynamicUser's.
    archive.add('etc/sysusers.d/camera.conf', 0o100644, b'u camera -\n')
    for name in ('test', 'known'):
        archive.file(f'root/{name}', GUEST / name)
    unit = 'triovit-test.service'
    archive.file(f'etc/systemd/system/{unit}', GUEST / unit)
    archive.add(f'etc/systemd/system/multi-user.target.wants/{unit}', 0o120777,
                f'../{unit}'.encode())
    return archive.finish()


def run(folder, plugin, kernel, dtb):
    vmlinuz = next(kernel.glob('boot/vmlinuz-*'))
    with Qemu(plugin, folder, '-m', '2G', '-kernel', str(vmlinuz), '-initrd',
              str(folder / 'initrd'), '-dtb', dtb, '-append', WORDS, '-no-reboot',
              '-serial', f'file:{folder}/console', '-serial', 'stdio',
              '-device', 'triovit,addr=0xa0010000,irq=90',
              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as guest:
        timer = threading.Timer(LIMIT, guest.process.kill)
        timer.start()
        ended = False
        for line in guest.process.stdout:
            line = line.decode(errors='replace').rstrip('\r\n')
            if line == '@end':
                ended = True
            elif re.match(r'(not )?ok |1\.\.|#', line):
                print(line, flush=True)
            else:
                print(f'# {line}', flush=True)
        timer.cancel()
        return ended


def main():
    plugin, kernel, module, root, dtb, job, sim, debs = (pathlib.Path(path).resolve()
                                                         for path in sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        # The kernel unpacks one after the other.
        with open(folder / 'initrd', 'wb') as initrd:
            initrd.write(root.read_bytes())
            initrd.write(payload(folder, kernel, module, job, sim, debs))
        ended = run(folder, plugin, kernel, dtb)
        if not ended:
            print('# the guest did not come to its end; its console:')
            for line in (folder / 'console').read_text(errors='replace').splitlines()[-60:]:
                print(f'# {line}')
    return 0 if ended else 1


if __name__ == '__main__':
    sys.exit(main())
