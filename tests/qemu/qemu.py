# SPDX-License-Identifier: MIT
"""What tests of the QEMU device and of the driver on it share: starting QEMU, and asking it things."""

import json
import os
import pathlib
import re
import socket
import subprocess
import time

MACHINE = os.environ.get('TV_MACHINE', 'zcu102')
if MACHINE == 'zynq':
    QEMU = os.environ.get('TV_QEMU', 'qemu-system-arm')
    BOARD = ['-M', 'xilinx-zynq-a9']
    DEVICE = 'triovit,target=zynq7020,address-bits=32'
    WINDOW, SPI = 0x43c00000, 29
else:
    QEMU = os.environ.get('TV_QEMU', 'qemu-system-aarch64')
    BOARD = ['-M', 'xlnx-zcu102']
    DEVICE = 'triovit'
    WINDOW, SPI = 0xa0000000, 89
PATIENCE = 120  # seconds; what takes that long on a busy machine has gone wrong


def no_sound():
    """The machine's display has audio, which looks for a sound card unless it is told not to."""
    said = subprocess.run([QEMU, '--version'], capture_output=True, text=True, check=True).stdout
    # Before version 8 -audio wants a sound card's model with it.
    new = int(re.search(r'version (\d+)', said)[1]) >= 8
    return (['-audio', 'none'] if new else []), ({} if new else {'QEMU_AUDIO_DRV': 'none'})


class Qemu:
    """A machine with one accelerator. More arguments go to QEMU as they are."""

    def __init__(self, plugin, folder, *arguments, device='', **streams):
        self.folder = pathlib.Path(folder)
        control = self.folder / 'qmp'
        device = f'{DEVICE},id=accel,addr={WINDOW:#x},irq={SPI}{device}'
        command = [QEMU, *BOARD, '-m', '512M', '-display', 'none', '-nodefaults',
                   '-plugin', plugin, '-device', device, '-d', 'guest_errors',
                   '-D', str(self.folder / 'qemu.log'), '-qmp', f'unix:{control},server,nowait',
                   *arguments]
        sound, environment = no_sound()
        with open(self.folder / 'qemu.err', 'wb') as errors:
            self.process = subprocess.Popen(command + sound, stderr=errors,
                                            env=dict(os.environ, **environment), **streams)
        until = time.monotonic() + PATIENCE
        self.control = socket.socket(socket.AF_UNIX)
        self.control.settimeout(PATIENCE)
        while True:
            try:
                self.control.connect(str(control))
                break
            except OSError:
                self.check_alive()
                assert time.monotonic() < until, 'QEMU does not open its control socket'
                time.sleep(0.02)
        self.lines = self.control.makefile('rw', encoding='utf-8')
        try:
            self.lines.readline()
            self.ask('qmp_capabilities')
        except OSError:
            self.process.wait()
            self.check_alive()
            raise

    def check_alive(self):
        code = self.process.poll()
        assert code is None, f'QEMU ended with {code}: {self.said()}'

    def said(self):
        return (self.folder / 'qemu.err').read_text(errors='replace')

    def ask(self, command, **arguments):
        """A QMP command."""
        self.lines.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
        self.lines.flush()
        while True:
            line = self.lines.readline()
            assert line, f'QEMU has gone: {self.said()}'
            answer = json.loads(line)
            assert 'error' not in answer, f'{command}: {answer}'
            if 'return' in answer:
                return answer['return']

    def misbehave(self, how, value=True):
        """Sets one of the device's x- properties; after a hang that was asked for has begun."""
        while self.ask('qom-get', path='/machine/peripheral/accel', property='x-hang'):
            time.sleep(0.01)
        self.ask('qom-set', path='/machine/peripheral/accel', property=f'x-{how}', value=value)

    def log(self):
        return (self.folder / 'qemu.log').read_text(errors='replace')

    def close(self):
        self.process.kill()
        self.process.wait()
        self.lines.close()
        self.control.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
