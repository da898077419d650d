#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""triovitd and polkit, as python-dbusmock plays it; clients are another user's."""
import os
import re
import subprocess
import sys
import time

import tap
from service import Bus, Running, need

daemon = tap.Program(sys.argv[1])
NAME = 'org.triovit.Accelerator1'
PATH = '/org/triovit/Accelerator1'
AUTHORITY = ('org.freedesktop.PolicyKit1', '/org/freedesktop/PolicyKit1/Authority')
MANAGE = 'org.triovit.accelerator1.manage'
NOBODY = 65534
PYTHON = '/usr/bin/python3'  # that Debian's packages are for


class Polkit:
    """The template of python-dbusmock, until the end of the block."""

    def __init__(self, bus):
        self.bus = bus
        self.process = subprocess.Popen(
            [PYTHON, '-m', 'dbusmock', '--template', 'polkitd'], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=bus.address))
        while AUTHORITY[0] not in bus.call('list', '--no-pager').stdout:
            assert self.process.poll() is None, 'python-dbusmock does not start'
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def tell(self, method, *arguments):
        done = self.bus.call('call', *AUTHORITY, 'org.freedesktop.DBus.Mock', method, *arguments)
        assert done.returncode == 0, done
        return done.stdout


def client(bus, *arguments):
    """A call of another user that has begun."""
    return subprocess.Popen(['busctl', f'--address={bus.address}', 'call', NAME, *arguments],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, user=NOBODY,
                            group=NOBODY, extra_groups=[])


def add(bus):
    """exit code and what was said"""
    process = client(bus, PATH, NAME + '.Manager', 'AddSoftware', 's', 'zynq7020')
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


def count_devices(bus):
    return len(re.findall(PATH + '/devices/[0-9]+$',
                          bus.call('tree', '--list', NAME).stdout, re.MULTILINE))


def need_all(folder):
    need('busctl')
    if os.geteuid():
        raise tap.Skip('to act as another user takes root')
    if subprocess.run([PYTHON, '-c', 'import dbusmock'], capture_output=True).returncode:
        raise tap.Skip('python3-dbusmock is not installed')
    # The bus is in it.
    folder.chmod(0o755)


def test_answers(folder):
    """polkit refuses, allows, and is not there"""
    need_all(folder)
    with Bus(folder) as bus, Running(daemon, bus) as running:
        code, said = add(bus)
        assert code and 'Access denied' in said, said
        with Polkit(bus) as polkit:
            code, said = add(bus)
            assert code and 'Access denied' in said, said
            polkit.tell('SetAllowed', 'as', '1', 'org.triovit.accelerator1.publish-model')
            code, said = add(bus)
            assert code and 'Access denied' in said, said
            assert count_devices(bus) == 1
            polkit.tell('SetAllowed', 'as', '1', MANAGE)
            code, said = add(bus)
            assert code == 0 and PATH + '/devices/' in said, said
            assert count_devices(bus) == 2
        code, said = add(bus)
        assert code and 'Access denied' in said, said
        running.process.terminate()
        assert running.end()[0] == 0


def test_leaves(folder):
    """a caller that is killed while polkit thinks has nothing done"""
    need_all(folder)
    with Bus(folder) as bus, Running(daemon, bus) as running, Polkit(bus) as polkit:
        polkit.tell('SetAllowed', 'as', '1', MANAGE)
        polkit.tell('SimulateHang', 'b', 'true')
        process = client(bus, PATH, NAME + '.Manager', 'AddSoftware', 's', 'zynq7020')
        while 'true' not in polkit.tell('HaveHangingCalls'):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        # Others are served meanwhile.
        assert bus.call('get-property', NAME, PATH, NAME + '.Manager', 'Version').returncode == 0
        process.kill()
        process.communicate()
        while not re.search(r'"MaxJobs" 0 ', bus.call('get-property', NAME, PATH, NAME + '.Manager',
                                                      'Usage').stdout):
            time.sleep(0.05)
        polkit.tell('ReleaseHangingCalls')
        polkit.tell('SimulateHang', 'b', 'false')
        assert count_devices(bus) == 1
        code, said = add(bus)
        assert code == 0, said
        running.process.terminate()
        assert running.end()[0] == 0


sys.exit(tap.main(globals()))
