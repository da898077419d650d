#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""triovit-sim replay, on dumps that are made up; real ones come from a guest, see tests/qemu."""

import struct
import sys

import tap

sim = tap.Program(sys.argv[1])
MAGIC = 0x504d4454
NONE = 0xffffffff


def dump(fault=1, version=1, target=1, recorded=1, magic=MAGIC):
    """A job whose program is zeros: BAD_JOB."""
    data = bytearray(1024 + 256)
    struct.pack_into('<IIiII', data, 0, magic, version, -5, recorded, 0)
    struct.pack_into('<I', data, 64 + 8, target)
    struct.pack_into('<Q', data, 256, 7)
    struct.pack_into('<QII', data, 256 + 128, 0, 192, 1)
    struct.pack_into('<QIBB', data, 512, 7, 0, fault, 255)
    struct.pack_into('<II', data, 512 + 20, NONE, 0)
    return bytes(data)


def write(folder, data):
    path = folder / 'dump'
    path.write_bytes(data)
    return path


def test_same(folder):
    """a record that is the model's too"""
    said = sim('replay', write(folder, dump())).expect(0, 'recorded', 'replayed', 'why')
    assert said.out.count('bad job') == 2, said


def test_other(folder):
    """a record that is not the model's"""
    sim('replay', write(folder, dump(fault=4))).expect(1, 'otherwise')


def test_no_record(folder):
    """a job that the accelerator was stuck with"""
    sim('replay', write(folder, dump(recorded=0))).expect(0, 'none', 'status -5', 'replayed')


def test_wrong(folder):
    """files that are no dumps"""
    whole = dump()
    for data, why in ((b'', 'no dump'), (whole[:1023], 'no dump'), (dump(magic=1), 'no dump'),
                      (dump(version=2), 'version 2'), (whole[:1024 + 128], 'ends within'),
                      (dump(target=99), 'configuration 99')):
        sim('replay', write(folder, data)).expect(1, why)
    sim('replay', folder / 'none').expect(1, 'none')


def test_usage(_):
    """arguments"""
    sim('replay').expect(2, 'DUMP')
    sim('replay', 'a', 'b').expect(2, 'DUMP')
    sim('replay', '--help').expect(0, 'devcoredump')


if __name__ == '__main__':
    sys.exit(tap.main(globals()))
