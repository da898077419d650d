#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the driver adds to a job, in a guest with the model as hardware.

Runs the tests of qemu/guest/time.c and prints what they measure: a null job from submission to its
record, less the accelerator's own time, beside an empty call (DRM_IOCTL_VERSION), a fence of vgem's
that is attached and signalled, and two threads that wake each other through pipes. First where the
guest's clock counts its instructions (-icount), a ns each, then by the host's clock. Then networks
with jobs always queued: cycles a job, and those of the cycle model.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PEER = 'empty call'


def command(build):
    """The test's command, without what says which part of it is run; where and how to run it."""
    done = subprocess.run(['meson', 'introspect', '--tests', build], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        sys.exit(f'driver.py: {build} is no build of the lane "guest": ./tests/run -l guest qemu')
    test = next(each for each in json.loads(done.stdout) if each['name'] == 'driver-time')
    return ([word for word in test['cmd'] if word != 'time'],
            {'cwd': build, 'env': {**os.environ, **test['env']}})


def run(how, part):
    """Lines of figures: what they are, then the figures."""
    done = subprocess.run([*how[0], part], **how[1], capture_output=True, text=True, check=False)
    if done.returncode or 'not ok' in done.stdout:
        sys.exit(f'driver.py: the guest says:\n{done.stdout}{done.stderr}')
    return [line[2:].split('\t') for line in done.stdout.splitlines() if '\t' in line]


def print_latency(title, figures):
    rows = {name: [int(value) for value in values] for kind, name, *values in figures
            if kind == 'ns'}
    print(f'{title:14}{"least":>10}{"p50":>10}{"p99":>10}{"most":>10}{"ratio":>8}')
    for name, values in rows.items():
        print(f'{name:14}' + ''.join(f'{value:10}' for value in values) +
              f'{values[1] / rows[PEER][1]:8.1f}')
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', metavar='DIR', default=SOURCE / 'build/guest',
                        help='where the lane "guest" was built (default build/guest)')
    how = command(parser.parse_args().build)
    counted = run(how, 'time')
    print_latency('instructions', counted)
    print_latency('ns', run(how, 'clock'))
    print(f'{"queued":14}{"cycles":>10}{"model":>10}{"jobs/s":>10}')
    for kind, name, *values in counted:
        if kind == 'cycles':
            print(f'{name:14}' + ''.join(f'{value:>10}' for value in values))


if __name__ == '__main__':
    main()
