#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""libtriovit as others find it: its symbols, its header, its examples.

libtriovit.py LIBRARY CLASSIFY STREAM TRIOVITD SIM QUANTIZE
"""
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import tap
from pictures import picture, write_png, write_ppm
from service import Bus, Running, need

LIBRARY = sys.argv[1]
classify, stream, daemon, sim, quantize = map(tap.Program, sys.argv[2:7])
HEADER = tap.SOURCE / 'libclient/triovit.h'
EXAMPLES = tap.SOURCE / 'libclient/examples'
TOP = tempfile.TemporaryDirectory()
SIDE = 96  # of the demo's input, and what it resizes to


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_symbols(_):
    """what the header declares is what the library exports, in its version, and nothing else"""
    need('nm')
    declared = re.findall(r'^\w[^/#\n]*?\b(triovit_\w+)\(', HEADER.read_text(), re.M)
    exported = {line.split()[0] for line in
                output('nm', '-D', '--defined-only', '--format=posix', LIBRARY).splitlines()}
    # The sanitizers' own are none of the library's.
    exported = {name for name in exported if not re.match('_?_(asan|ubsan|odr)_', name)}
    expected_names = {f'{name}@@TRIOVIT_1' for name in declared} | {'TRIOVIT_1'}
    assert len(declared) > 40 and len(set(declared)) == len(declared)
    assert exported == expected_names, exported ^ expected_names


def test_depends(_):
    """it needs libsystemd and the C library alone"""
    need('readelf')
    dynamic = output('readelf', '-d', LIBRARY)
    assert re.findall(r'SONAME.*\[(.*)\]', dynamic) == ['libtriovit.so.1']
    needed = {re.sub(r'\.so.*', '', name) for name in re.findall(r'NEEDED.*\[(.*)\]', dynamic)}
    assert needed - {'ld-linux-aarch64', 'ld-linux-armhf'} <= {
        'libsystemd', 'libc', 'libm', 'libgcc_s'}, needed


def test_documented(_):
    """the manual page names every function"""
    manual = (tap.SOURCE / 'docs/man/libtriovit.3').read_text()
    for name in re.findall(r'^\w[^/#\n]*?\b(triovit_\w+)\(', HEADER.read_text(), re.M):
        # Of two forms one; of those that release what others return, none.
        assert re.search(f'^.Fn {name}( [.,])?$', manual, re.M) or \
            re.search('_(async|free)$', name), name


def test_languages(folder):
    """the header is C and C++, without warnings"""
    if 'MESON_EXE_WRAPPER' in os.environ:
        raise tap.Skip('needs no other machine')
    for compiler, name, *options in (('cc', 'x.c', '-std=c99', '-pedantic'),
                                     ('g++', 'x.cc', '-std=c++11', '-pedantic')):
        need(compiler)
        (folder / name).write_text('#include <triovit.h>\n'
                                   'int main(void) { triovit_close(0); return 0; }\n')
        subprocess.run([compiler, '-Wall', '-Wextra', '-Werror', *options, '-c', name, '-o',
                        '/dev/null', f'-I{HEADER.parent}'], cwd=folder, check=True)


# --- answers ---------------------------------------------------------------------------------


@functools.cache
def model():
    path = pathlib.Path(TOP.name) / 'model.safetensors'
    quantize(tap.SOURCE / 'demo/shapes16-b0.safetensors', '--calibrate',
             tap.SOURCE / 'demo/images', '--limit', 4, '-o', path, '--quiet').expect(0)
    return path


def expected(*paths):
    """what triovit-sim says of PNG images: of each its best classes, as (label, probability)"""
    answers = json.loads(sim('run', '--json', model(), *paths).expect(0).out)
    return [[(best['label'], best['class'], f'{best["probability"]:.7g}')
             for best in answer['best']] for answer in answers]


class Serving:
    """A daemon on a bus that the examples find."""

    def __init__(self, folder):
        self.bus = Bus(folder)
        self.running = Running(daemon, self.bus, '--software', 'zcu102')
        os.environ['TRIOVIT_ADDRESS'] = self.bus.address

    def __enter__(self):
        return self

    def __exit__(self, *_):
        del os.environ['TRIOVIT_ADDRESS']
        self.running.__exit__()
        self.bus.__exit__()


def test_classify(folder):
    """the example in C says what triovit-sim says of the same pictures"""
    sizes = ((200, 150), (113, 241), (96, 96), (1000, 7), (33, 40))
    for number, (width, height) in enumerate(sizes):
        pixels = picture(width, height, number)
        write_png(folder / f'{number}.png', width, height, pixels)
        write_ppm(folder / f'{number}.ppm', width, height, pixels)
    names = [folder / f'{number}.ppm' for number in range(len(sizes))]
    answers = expected(*(name.with_suffix('.png') for name in names))
    with Serving(folder):
        said = classify(model(), *names).expect(0).out
        wrong = classify(model(), folder / 'bus.conf', names[0]).expect(1, 'no binary PPM')
        classify(folder / 'bus.conf', names[0]).expect(1, 'bus.conf: ')
    lines = [line for name, best in zip(names, answers)
             for line in [str(name)] + [f'  {label:20} {share}' for label, _, share in best]]
    assert said.splitlines() == lines, said
    assert wrong.out.splitlines() == lines[:6]


def test_no_daemon(folder):
    """without a daemon the example says so"""
    with Bus(folder) as bus:
        os.environ['TRIOVIT_ADDRESS'] = bus.address
        classify(model(), 'x.ppm').expect(1, 'triovitd does not run')
        del os.environ['TRIOVIT_ADDRESS']


def grey_frame(width, height, seed):
    """luma of limited range, and the grey that it is"""
    luma = bytes(picture(width, height, seed)[::3])
    grey = [max(0, min(255, (9539 * (code - 16) + 4096) >> 13)) for code in luma]
    return luma + bytes([128]) * (width * height // 2), bytes(c for g in grey for c in (g, g, g))


def test_stream(folder):
    """the example that polls answers every frame of a stream, whatever came in between"""
    width, height, count = 120, 100, 12
    frames = [grey_frame(width, height, number) for number in range(count)]
    for number, (_, pixels) in enumerate(frames):
        write_png(folder / f'{number}.png', width, height, pixels)
    answers = expected(*(folder / f'{number}.png' for number in range(count)))
    with Serving(folder):
        done = subprocess.run([*stream.command, model(), str(width), str(height), '600000'],
                              input=b''.join(frame for frame, _ in frames), timeout=tap.TIMEOUT,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done
    lines = [f'{number} {best[0][0]} {best[0][2]}' for number, best in enumerate(answers)]
    assert sorted(done.stdout.decode().splitlines()) == sorted(lines), done


def python_with_dbus():
    for python in (sys.executable, '/usr/bin/python3'):
        if not subprocess.run([python, '-c', 'import dbus'], stderr=subprocess.DEVNULL).returncode:
            return python
    raise tap.Skip('python3-dbus is not installed')


def test_python(folder):
    """the example in Python says it twice, without the library"""
    python = python_with_dbus()
    pixels = picture(SIDE, SIDE, 5)
    write_ppm(folder / 'x.ppm', SIDE, SIDE, pixels)
    with Serving(folder):
        done = subprocess.run([python, EXAMPLES / 'classify.py', model(), folder / 'x.ppm'],
                              timeout=tap.TIMEOUT, stdout=subprocess.PIPE, text=True, check=True)
    write_png(folder / 'x.png', SIDE, SIDE, pixels)
    best = expected(folder / 'x.png')[0][:3]
    found = re.findall(r'^  (\d+) (\S+) (\S+)$', done.stdout, re.M)
    assert found == 2 * [(str(index), label, share) for label, index, share in best], done.stdout


sys.exit(tap.main(globals()))
