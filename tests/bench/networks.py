#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Networks of the family with random weights, each from checkpoint to answer.

Each is quantized, compiled for zcu102, run on one image and compared with its float network. What is
printed of it: processor seconds and peak memory of triovit-quantize, size of the program, seconds of
triovit-sim run, and the logits' SQNR. A network is NAME-SIZE, b0 to b3 or "made-up" at a multiple of
32; without any, b1, b2 and b3 at 224, 256 and 288 and one that is made up.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
MADE_UP = ('b0', '--widths', '8,24,40,72,104', '--depths', '2,1,3,1,2', '--head-dim', '8')
DEFAULT = [f'b{member}-{size}' for member in (1, 2, 3) for size in (224, 256, 288)]
DEFAULT.append('made-up-160')
CLASSES = 1000


def measured(command):
    """Output, seconds, seconds of a processor and peak memory in MiB; it must succeed."""
    command = [str(each) for each in command]
    started = time.monotonic()
    with tempfile.TemporaryFile('w+') as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        output.seek(0)
        text = output.read()
    if process.returncode:
        sys.exit(f'networks.py: exit code {process.returncode}: {" ".join(command)}')
    return text, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def write_labels(path, folder):
    """A random network has no names for its classes: the folders' and made-up ones."""
    names = sorted(each.name for each in folder.iterdir() if each.is_dir())
    names += [f'class-{i}' for i in range(len(names), CLASSES)]
    path.write_text('\n'.join(names[:CLASSES]) + '\n')


def bench(network, arguments, folder):
    name, _, size = network.rpartition('-')
    tools = arguments.build / 'tools'
    sim, quantize = tools / 'triovit-sim', tools / 'triovit-quantize'
    checkpoint, model, labels = (folder / each for each in ('checkpoint', 'model', 'labels'))
    image = min(arguments.images.glob('*/*.*'))
    threads = ('--threads', arguments.threads) if arguments.threads else ()

    write_labels(labels, arguments.images)
    member = MADE_UP if name == 'made-up' else (name,)
    measured([sim, 'random', *member, '--size', size, '--classes', CLASSES, '-o', checkpoint])
    _, _, seconds, peak = measured([quantize, checkpoint, '--calibrate', arguments.images,
                                    '--limit', arguments.limit, '--labels', labels, '-o', model,
                                    '--quiet', *threads])
    program = json.loads(measured([sim, 'inspect', '--json', model])[0])['programs'][0]
    _, run, _, _ = measured([sim, 'run', '--json', model, image])
    compared = json.loads(measured([sim, 'compare', '--json', '--quiet', '--limit', 4, *threads,
                                    '--layer-images', 0, '--labels', labels, checkpoint, model,
                                    arguments.images])[0])
    return (f'{network:<12} {seconds:10.1f} {peak:9.0f} {program["macs"] / 1e6:8.1f} '
            f'{program["commands"]:9d} {program["weights"] / 2**20:12.2f} '
            f'{program["scratch"] / 2**20:12.2f} {run:6.2f} {compared["logits_sqnr"]:8.1f}')


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('networks', nargs='*', default=DEFAULT, metavar='NAME-SIZE')
    parser.add_argument('--build', type=pathlib.Path, default=SOURCE / 'build/gcc', metavar='DIR',
                        help='where triovit was built (default build/gcc, of tests/run)')
    parser.add_argument('--images', type=pathlib.Path, default=SOURCE / 'demo/images',
                        metavar='DIR', help='with a folder for each label (default demo/images)')
    parser.add_argument('--limit', type=int, default=16, metavar='N',
                        help='calibration images (default 16)')
    parser.add_argument('--threads', type=int, metavar='N', help='(default: all processors)')
    arguments = parser.parse_args()

    print('network      quantize/s  peak/MiB    MMACs  commands  weights/MiB  scratch/MiB  run/s  '
          'SQNR/dB', flush=True)
    for network in arguments.networks:
        with tempfile.TemporaryDirectory() as folder:
            print(bench(network, arguments, pathlib.Path(folder)), flush=True)


main()
