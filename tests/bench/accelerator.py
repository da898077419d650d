#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the accelerator reaches by the cycle model: the tables of docs/performance.md, as markdown.

Time does not depend on data, so networks without weights do.
"""
import argparse
import json
import pathlib
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]
NETWORKS = ('b0', 'b1', 'b2', 'b3')
OTHERS = ('kv260', 'zc706', 'zynq7020')
SIZES = (224, 256, 288)
# The simulator of the paper's authors, scaled to 2048 multipliers: compute alone.
PUBLISHED = {('b1', 224): 95.4, ('b1', 256): 96.3, ('b1', 288): 93.9, ('b2', 224): 96.6}


def profile(sim, network, size, target, images, percent=100):
    command = [sim, 'profile', network, '--size', size, '--images', images, '--target', target,
               '--dram-percent', percent, '--json']
    done = subprocess.run([str(each) for each in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit(f'accelerator.py: exit code {done.returncode}: {" ".join(map(str, command))}')
    return json.loads(done.stdout)


def row(cells):
    print('| ' + ' | '.join(cells) + ' |', flush=True)


def head(cells):
    row(cells)
    print('|' + '---|' * len(cells))


def share(told):
    return f'{told["utilisation"]:.1f}'


def rate(told):
    return f'{told["fps"]:.1f}'


def zcu102(sim, networks):
    head(('network', 'cold FPS', '1 image: %', 'FPS', 'at 80 %', '4 images: %', 'FPS', 'at 80 %',
          'best: %', 'FPS', 'GOPS of 819.2', 'at 80 %', 'published'))
    for network in networks:
        for size in SIZES:
            told = {(images, percent): profile(sim, network, size, 'zcu102', images, percent)
                    for images in (1, 4, 8) for percent in (100, 80)}
            cells = [f'{network.upper()}-{size}', f'{told[1, 100]["cold_fps"]:.1f}']
            for images in (1, 4):
                cells += [share(told[images, 100]), rate(told[images, 100]),
                          share(told[images, 80])]
            best = max((4, 8), key=lambda images: told[images, 100]['fps'])
            cells += [share(told[best, 100]), rate(told[best, 100]),
                      f'{told[best, 100]["gops"]:.1f}', share(told[best, 80]),
                      str(PUBLISHED.get((network, size), '–'))]
            row(cells)


def others(sim, networks):
    cells = ['network']
    for target in OTHERS:
        cells += [f'{target}, 1 image: %', 'FPS', '4: %', 'FPS']
    head(cells)
    for network in networks:
        for size in SIZES:
            cells = [f'{network.upper()}-{size}']
            for target in OTHERS:
                for images in (1, 4):
                    told = profile(sim, network, size, target, images)
                    cells += [share(told), rate(told)]
            row(cells)


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('networks', nargs='*', default=NETWORKS, metavar='NETWORK',
                        help='b0 to b3 (default: all)')
    parser.add_argument('--build', type=pathlib.Path, default=SOURCE / 'build/gcc', metavar='DIR',
                        help='where triovit was built (default build/gcc, of tests/run)')
    arguments = parser.parse_args()
    sim = arguments.build / 'tools' / 'triovit-sim'

    zcu102(sim, arguments.networks)
    print()
    others(sim, arguments.networks)


main()
