#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""triovitd as a program: its options, its bus, its end, and what the system is told of it."""
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys

import tap

daemon = tap.Program(sys.argv[1])
UNIT = pathlib.Path(sys.argv[2])
NAME = 'org.triovit.Accelerator1'


def need(program):
    if not shutil.which(program):
        raise tap.Skip(f'{program} is not installed')


class Bus:
    """A dbus-daemon of its own."""

    def __init__(self, folder):
        need('dbus-daemon')
        need('busctl')
        config = folder / 'bus.conf'
        config.write_text(
            '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"\n'
            '"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">\n'
            f'<busconfig><type>session</type><listen>unix:path={folder}/bus</listen>'
            '<auth>EXTERNAL</auth><policy context="default"><allow user="*"/><allow own="*"/>'
            '<allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>\n')
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

    def __init__(self, bus):
        self.process = subprocess.Popen([*daemon.command, '--address', bus.address],
                                        stderr=subprocess.PIPE, text=True)
        ready, _, _ = select.select([self.process.stderr], [], [], 60)
        assert ready, 'no word within a minute'
        line = self.process.stderr.readline()
        assert 'serves as' in line, line

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


def test_usage(_):
    """help and version on standard output, wrong usage said with exit code 2"""
    done = daemon('--help').expect(0, 'usage: triovitd')
    assert not done.err and max(map(len, done.out.splitlines())) <= 100
    assert re.fullmatch(r'triovitd \d+\.\d+\.\d+\n', daemon('--version').out)
    for arguments, text in ((['--nonsense'], 'nonsense'), (['extra'], 'extra'),
                            (['--log-level', 'loud'], 'loud'), (['--address'], 'address'),
                            (['--session', '--address', 'x'], 'not both')):
        assert not daemon(*arguments).expect(2, text).out


def test_no_bus(folder):
    """without its bus it says so and ends with 1"""
    daemon('--address', f'unix:path={folder}/none').expect(1, 'No such file')


def test_serves_and_ends(folder):
    """it answers, a second one does not start, SIGTERM and SIGINT are a success"""
    with Bus(folder) as bus:
        for number in (signal.SIGTERM, signal.SIGINT):
            with Running(bus) as running:
                done = bus.call('get-property', NAME, '/org/triovit/Accelerator1',
                                NAME + '.Manager', 'Version')
                assert re.fullmatch(r's "\d+\.\d+\.\d+"\n', done.stdout), done
                daemon('--address', bus.address).expect(1, 'another triovitd')
                running.process.send_signal(number)
                assert running.end() == (0, '')


def test_bus_goes_away(folder):
    """a bus that goes away is a reason to end, with 1"""
    with Bus(folder) as bus, Running(bus) as running:
        bus.process.kill()
        code, log = running.end()
        assert code == 1 and 'bus has gone away' in log, (code, log)


def test_log_level(folder):
    """the level of the log is read and set as of every other service"""
    where = ('org.freedesktop.LogControl1', 'LogLevel')
    with Bus(folder) as bus, Running(bus) as running:
        path = (NAME, '/org/freedesktop/LogControl1')
        assert bus.call('get-property', *path, *where).stdout == 's "info"\n'
        assert bus.call('set-property', *path, *where, 's', 'debug').returncode == 0
        assert bus.call('get-property', *path, *where).stdout == 's "debug"\n'
        done = bus.call('set-property', *path, *where, 's', 'loud')
        assert done.returncode and 'expected debug, info' in done.stderr, done
        running.process.terminate()
        code, log = running.end()
        assert code == 0 and 'log level set to debug' in log


def test_notifies(folder):
    """the service manager hears when it is ready, that it lives, and that it ends"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, Bus(folder) as bus:
        manager.bind(str(folder / 'notify'))
        manager.settimeout(60)
        process = subprocess.Popen(
            [*daemon.command, '--address', bus.address, '--log-level', 'err'],
            env=dict(os.environ, NOTIFY_SOCKET=str(folder / 'notify'), WATCHDOG_USEC='200000'))
        try:
            while not (word := manager.recv(4096)).startswith(b'READY=1'):
                assert word == b'WATCHDOG=1', word
            for _ in range(3):
                assert manager.recv(4096) == b'WATCHDOG=1'
            process.terminate()
            while manager.recv(4096) == b'WATCHDOG=1':
                pass
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
            process.wait()


def test_sandbox(folder):
    """the unit is as locked up as it was: at most 2.0 by systemd's own account"""
    need('systemd-analyze')
    unit = folder / 'triovitd.service'
    text = UNIT.read_text()
    # The file that it starts need not be installed here.
    unit.write_text(re.sub(r'ExecStart=.*', 'ExecStart=/bin/true', text))
    done = subprocess.run(['systemd-analyze', 'security', '--offline=true', '--threshold=20',
                           str(unit)], capture_output=True, text=True, timeout=60)
    level = re.search(r'exposure level for triovitd.service: ([0-9.]+)', done.stdout)
    assert level and float(level[1]) <= 2.0 and done.returncode == 0, done
    done = subprocess.run(['systemd-analyze', 'verify', '--man=no', str(unit)],
                          capture_output=True, text=True, timeout=60)
    assert 'triovitd.service' not in done.stderr, done.stderr


sys.exit(tap.main(globals()))
