# SPDX-License-Identifier: MIT
"""A bus and a triovitd for tests of programs that talk to it."""
import select
import shutil
import subprocess

import tap


def need(program):
    if not shutil.which(program):
        raise tap.Skip(f'{program} is not installed')


class Bus:
    """A dbus-daemon of its own; rules: more of its configuration."""

    def __init__(self, folder, rules=''):
        need('dbus-daemon')
        need('busctl')
        config = folder / 'bus.conf'
        config.write_text(
            '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"\n'
            '"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">\n'
            f'<busconfig><type>session</type><listen>unix:path={folder}/bus</listen>'
            '<auth>EXTERNAL</auth><policy context="default"><allow user="*"/><allow own="*"/>'
            '<allow send_destination="*"/><allow receive_sender="*"/></policy>'
            f'{rules}</busconfig>\n')
        self.process = subprocess.Popen(
            ['dbus-daemon', '--nofork', '--nopidfile', '--nosyslog', f'--config-file={config}',
             '--print-address=1'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = self.process.stdout.readline().strip()
        assert self.address, 'dbus-daemon does not start'

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def call(self, *arguments):
        return subprocess.run(['busctl', f'--address={self.address}', *arguments],
                              capture_output=True, text=True, timeout=60)


class Running:
    """A daemon that serves, until the end of the block."""

    def __init__(self, daemon, bus, *arguments):
        self.process = subprocess.Popen(
            [*daemon.command, '--address', bus.address, *map(str, arguments)],
            stderr=subprocess.PIPE, text=True)
        self.log = ''
        while 'serves as' not in self.log:
            ready, _, _ = select.select([self.process.stderr], [], [], 60)
            assert ready, 'no word within a minute'
            line = self.process.stderr.readline()
            assert line, f'it has ended: {self.log}'
            self.log += line

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def end(self):
        """exit code and what was logged"""
        code = self.process.wait(timeout=60)
        return code, self.process.stderr.read()
