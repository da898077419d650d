# SPDX-License-Identifier: MIT
"""triovitctl with a daemon, for the tests of its commands."""
import contextlib
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading

import tap
from service import Bus, Running

program, daemon, quantize, sim = map(tap.Program, sys.argv[1:5])
COMMANDS = ('status', 'devices', 'models', 'load', 'classify', 'bench', 'top', 'monitor', 'doctor')
CHECKPOINT = tap.SOURCE / 'demo/shapes16-b0.safetensors'
IMAGES = tap.SOURCE / 'demo/images'
STAR = IMAGES / 'star_checker/000007.png'
DISK = IMAGES / 'disk_checker/000001.png'
TOP = tempfile.TemporaryDirectory()
PATIENCE = 240
BRIDGE = '/usr/bin/systemd-stdio-bridge'


@functools.cache
def model(*options):
    """a package of the demo's network, by options of triovit-quantize"""
    path = pathlib.Path(TOP.name) / f'{"-".join(options)}.safetensors'
    quantize(CHECKPOINT, '--calibrate', IMAGES, '--limit', 4, '-o', path, '--quiet',
             *options).expect(0)
    return path


def interruptible():
    """whatever started the tests: what a shell runs in the background ignores Ctrl-C"""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Ctl:
    """triovitctl, for the daemon on a bus."""

    def __init__(self, *where):
        self.where = where

    def __call__(self, *arguments, **how):
        return program(*arguments, *self.where, **how)

    def json(self, *arguments):
        return json.loads(self(*arguments, '--json').expect(0).out)

    def fed(self, data, *arguments):
        """data: bytes, which come through a pipe, or an open file"""
        feed = {'input': data} if isinstance(data, bytes) else {'stdin': data}
        done = subprocess.run(program.command + [*arguments, *self.where], capture_output=True,
                              timeout=tap.TIMEOUT, check=False, **feed)
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
        return tap.Result(program.command + [*arguments], done)

    def start(self, *arguments, **how):
        """begins, with standard output to be read from, which ends after some minutes"""
        process = subprocess.Popen(program.command + [*map(str, arguments), *self.where],
                                   preexec_fn=interruptible,
                                   **{'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE,
                                      'text': True, **how})
        timer = threading.Timer(PATIENCE, process.kill)
        timer.daemon = True
        timer.start()
        return process


@contextlib.contextmanager
def served(folder, *options, rules=''):
    """triovitctl, a daemon and the bus that both are on"""
    with Bus(folder, rules) as bus, Running(daemon, bus, *options) as running:
        yield Ctl('--address', bus.address), running, bus


def over_ssh(folder, bus):
    """triovitctl as from another machine: with an ssh that goes no further than that bus"""
    if not os.access(BRIDGE, os.X_OK):
        raise tap.Skip(f'{BRIDGE} is not installed')
    ssh = folder / 'ssh'
    ssh.write_text(f'#!/bin/sh\nexec {BRIDGE} --bus-path={bus.address}\n')
    ssh.chmod(0o755)
    os.environ['PATH'] = f'{folder}:{os.environ["PATH"]}'
    return Ctl('-H', 'nobody@nowhere')
