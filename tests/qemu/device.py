#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The QEMU device without a guest: registers, rings, DMA, interrupt, faults, reset, through qtest.

    device.py PLUGIN JOB    JOB: one of those that tests/qemu/jobs.c has written
"""

import base64
import pathlib
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'cli'))

import tap  # noqa: E402
from qemu import PATIENCE, Qemu, SPI, WINDOW  # noqa: E402

PLUGIN, JOBS = sys.argv[1], pathlib.Path(sys.argv[2]).parent

# <triovit/regs.h>
ID, VERSION, TARGET, LIMITS, CONTROL, STATUS, IRQ_STATUS, IRQ_MASK, ERROR = (
    0x00, 0x04, 0x08, 0x1c, 0x20, 0x24, 0x28, 0x2c, 0x30)
WATCHDOG, SUBMIT, COMPLETE, RING_SIZE, HEAD, TAIL = 0x34, 0x40, 0x48, 0x50, 0x54, 0x58
DONE, FAILED = 1, 2
RING, RECORDS, MEMORY = 0x01000000, 0x01100000, 0x02000000
ENTRIES = 8
# Nothing of the machine answers there.
NOTHING = 0x60000000


class Job:
    """One as in <triovit/dump.h>."""

    def __init__(self, name):
        dump = (JOBS / f'{name}.job').read_bytes()
        self.segments, at = [], 1024
        for i in range(8):
            _, size, rights = struct.unpack_from('<QII', dump, 256 + 128 + 16 * i)
            self.segments.append([dump[at:at + size], rights])
            at += (size + 63) & ~63


class Board(Qemu):
    """A machine without a program, whose bus the test drives."""

    def __init__(self, folder, device=''):
        super().__init__(PLUGIN, folder, '-qtest', 'stdio', '-qtest-log', '/dev/null',
                         # A processor that sleeps: then the machine's clock goes on.
                         '-device', 'loader,addr=0x1000,data=0x17ffffffd503207f,data-len=8',
                         '-device', 'loader,addr=0x1000,cpu-num=0', device=device,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.level = False
        self.queued = 0
        self.bus('irq_intercept_in /machine/soc/gic')

    def bus(self, line):
        self.process.stdin.write(line.encode() + b'\n')
        self.process.stdin.flush()
        while True:
            answer = self.process.stdout.readline().decode().split()
            assert answer, f'QEMU has gone: {self.said()}'
            if answer[0] == 'IRQ':
                if answer[2] == str(SPI):
                    self.level = answer[1] == 'raise'
                continue
            assert answer[0] == 'OK', f'{line}: {answer}'
            return answer[1] if len(answer) > 1 else None

    def read(self, register, width='l'):
        return int(self.bus(f'read{width} {WINDOW + register:#x}'), 16)

    def write(self, register, value, width='l'):
        self.bus(f'write{width} {WINDOW + register:#x} {value:#x}')

    def load(self, address, size):
        return base64.b64decode(self.bus(f'b64read {address:#x} {size:#x}'))

    def store(self, address, data):
        # QEMU takes lines of any length, but slowly.
        for at in range(0, len(data), 1 << 16):
            part = data[at:at + (1 << 16)]
            self.bus(f'b64write {address + at:#x} {len(part):#x} {base64.b64encode(part).decode()}')

    def until(self, what, condition):
        limit = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < limit, f'{what}: not after {PATIENCE} s'
            time.sleep(0.001)

    def start(self, ring=RING, records=RECORDS):
        for register, value in ((SUBMIT, ring), (COMPLETE, records)):
            self.write(register, value & 0xffffffff)
            self.write(register + 4, value >> 32)
        self.write(RING_SIZE, ENTRIES)
        self.write(IRQ_MASK, DONE | FAILED)
        self.write(CONTROL, 1)

    def place(self, job, at=MEMORY, move=None):
        """Puts a job's segments into memory; move: {segment: another address}. The descriptor."""
        descriptor, where = bytearray(struct.pack('<Q', 0x1234) + bytes(248)), {}
        for i, (data, rights) in enumerate(job.segments):
            if not data:
                continue
            where[i] = (move or {}).get(i, at)
            if where[i] == at:
                self.store(at, data)
                at += (len(data) + 63) & ~63
            struct.pack_into('<QII', descriptor, 128 + 16 * i, where[i], len(data), rights)
        return bytes(descriptor), where

    def submit(self, descriptor):
        self.store(RING + self.queued % ENTRIES * 256, descriptor)
        self.queued += 1
        self.write(TAIL, self.queued)

    def record(self, index):
        self.until(f'job {index}', lambda: self.read(HEAD) > index)
        data = self.load(RECORDS + index % ENTRIES * 128, 128)
        names = 'job index fault segment offset command executed start end'.split()
        return dict(zip(names, struct.unpack_from('<QIBBxxIII4xQQ', data)))


def digest(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return value


def golden_digest():
    header = (tap.SOURCE / 'include/triovit/golden.h').read_text()
    return int(header.split('TV_GOLDEN_DIGEST ')[1].split('ull')[0], 16)


def test_identification(folder):
    """the window answers as the contract says, and to nothing but aligned 32 bits"""
    with Board(folder) as board:
        assert board.read(ID) == 0x56495254
        assert board.read(VERSION) == 0x00010001
        assert board.read(TARGET) == 1
        assert board.read(LIMITS) == 12 << 8 | 40
        assert board.read(ID, 'w') == 0 and board.read(ID, 'b') == 0 and board.read(ID, 'q') == 0
        board.write(IRQ_MASK, 3, 'w')
        assert board.read(IRQ_MASK) == 0
        board.write(IRQ_MASK, 3)
        assert board.read(IRQ_MASK) == 3
        assert board.read(0xffc) == 0


def test_configuration(folder):
    """properties choose configuration and address width"""
    with Board(folder, device=',target=zynq7020,address-bits=32') as board:
        assert board.read(TARGET) == 4
        assert board.read(LIMITS) & 0xff == 32


def test_refused(folder):
    """a configuration that cannot be is an error of QEMU's command line"""
    for wrong, said in (('target=abacus', "'abacus'"), ('address-bits=20', '32 to 64 bits'),
                        ('irq=100000', 'not 100000')):
        try:
            Qemu(PLUGIN, folder, device=f',{wrong}').close()
        except AssertionError as gone:
            assert 'ended with 1:' in str(gone) and said in str(gone), gone
        else:
            raise AssertionError(f'{wrong} is taken')


def test_golden(folder):
    """the golden job: DMA both ways, record, interrupt and its end"""
    with Board(folder) as board:
        descriptor, where = board.place(Job('golden'))
        board.start()
        assert not board.level
        board.submit(descriptor)
        record = board.record(0)
        assert record['job'] == 0x1234 and record['index'] == 0
        assert record['fault'] == 0 and record['executed'] == 11
        assert record['end'] > record['start']
        assert digest(board.load(where[3], 304)) == golden_digest()
        assert board.read(IRQ_STATUS) == DONE and board.level
        board.write(IRQ_STATUS, DONE)
        assert board.read(IRQ_STATUS) == 0 and not board.level


def test_network(folder):
    """the demo network, twice in the queue: the functional model's bits, back to back"""
    with Board(folder) as board:
        first, where = board.place(Job('network'))
        second, other = board.place(Job('network'), at=MEMORY + 0x01000000)
        board.start()
        board.write(CONTROL, 0)
        board.submit(first)
        board.submit(second)
        board.write(CONTROL, 1)
        before, after = board.record(0), board.record(1)
        expected = (JOBS / 'network.out').read_bytes()
        for record, place in ((before, where), (after, other)):
            assert record['fault'] == 0, record
            assert board.load(place[3], len(expected)) == expected
        assert after['start'] == before['end']


def test_wrap(folder):
    """more jobs than the ring has entries"""
    with Board(folder) as board:
        descriptor, _ = board.place(Job('golden'))
        board.start()
        for i in range(3 * ENTRIES):
            board.submit(descriptor)
            assert board.record(i)['fault'] == 0


def test_faults(folder):
    """no memory behind a segment, a segment that is too small, a descriptor that is none"""
    with Board(folder) as board:
        job = Job('golden')
        board.start()
        board.submit(board.place(job, move={2: NOTHING})[0])
        record = board.record(0)
        assert (record['fault'], record['segment'], record['offset']) == (5, 2, 0), record
        # The accelerator's own registers are no memory either.
        board.submit(board.place(job, move={3: WINDOW})[0])
        record = board.record(1)
        assert (record['fault'], record['segment']) == (5, 3), record
        descriptor = bytearray(board.place(job)[0])
        struct.pack_into('<I', descriptor, 128 + 16 * 2 + 8, 64)
        board.submit(bytes(descriptor))
        assert board.record(2)['fault'] == 1
        board.submit(b'\xff' * 256)
        assert board.record(3)['fault'] == 1
        board.submit(board.place(job)[0])
        assert board.record(4)['fault'] == 0


def test_part_of_a_segment(folder):
    """a segment whose memory ends within it faults at the first byte without"""
    with Board(folder) as board:
        job = Job('golden')
        board.start()
        descriptor, _ = board.place(job, move={2: 0x20000000 - 64})
        board.submit(descriptor)
        record = board.record(0)
        assert (record['fault'], record['segment'], record['offset']) == (5, 2, 64), record


def test_halts(folder):
    """rings without memory behind them halt the device, and only a reset helps"""
    with Board(folder) as board:
        board.start(ring=NOTHING)
        board.write(TAIL, 1)
        assert board.read(ERROR) == 6 and board.read(STATUS) == 8
        assert board.read(IRQ_STATUS) == FAILED and board.level
        board.write(CONTROL, 2)
        assert not board.level
        board.until('reset', lambda: not board.read(CONTROL) & 2)
        assert board.read(STATUS) == 0 and board.read(ERROR) == 0
        board.start(records=NOTHING)
        board.queued = 0
        board.submit(board.place(Job('golden'))[0])
        board.until('halt', lambda: board.read(ERROR))
        assert board.read(ERROR) == 7 and board.read(HEAD) == 0


def test_reset_while_running(folder):
    """a reset drops the job that runs, without a record, whatever it was doing"""
    with Board(folder) as board:
        descriptor, _ = board.place(Job('network'))
        board.start()
        board.store(RECORDS, b'\xee' * 128)
        board.misbehave('hang')
        board.submit(descriptor)
        assert board.read(STATUS) & 1
        board.write(CONTROL, 2)
        assert board.read(STATUS) & 1 == 0
        board.until('reset', lambda: not board.read(CONTROL) & 2)
        assert board.load(RECORDS, 128) == b'\xee' * 128
        board.queued = 0
        board.start()
        board.submit(descriptor)
        assert board.record(0)['fault'] == 0


def test_system_reset(folder):
    """a reset of the machine resets the device"""
    with Board(folder) as board:
        board.start()
        board.submit(board.place(Job('golden'))[0])
        board.record(0)
        assert board.level
        board.ask('system_reset')
        board.until('reset', lambda: board.read(RING_SIZE) == 0)
        assert not board.level and board.read(STATUS) & 1 == 0


def test_misbehaviour(folder):
    """for tests of drivers: a device that hangs, loses interrupts, raises one for nothing"""
    with Board(folder) as board:
        descriptor, _ = board.place(Job('golden'))
        board.start()
        board.misbehave('mute')
        board.submit(descriptor)
        board.record(0)
        board.read(ID)
        assert board.read(IRQ_STATUS) == DONE and not board.level
        board.misbehave('mute', False)
        board.read(ID)
        assert board.level
        board.write(IRQ_STATUS, DONE)
        assert not board.level
        board.misbehave('spurious')
        board.read(ID)
        assert board.level
        assert board.read(IRQ_STATUS) == 0 and not board.level
        board.misbehave('hang')
        board.submit(descriptor)
        cycles = board.read(0x38)
        time.sleep(0.05)
        assert board.read(0x38) == cycles and board.read(HEAD) == 1


if __name__ == '__main__':
    sys.exit(tap.main(globals()))
