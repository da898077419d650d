#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the fuzzer's corpus of packages: package.py FOLDER

The smallest packages that are taken, without the padding that would make them large. They are also
what docs/model-format.md says, written down a second time by somebody who has only read that.
"""

import json
import pathlib
import struct
import sys

NONE = -2  # no node
ABSENT = 255  # no segment


def operand(offset=0, pitch=0, segment=ABSENT, form=0):
    return struct.pack('<IHBB', offset, pitch, segment, form)


def command(**fields):
    """A 1x1 convolution of the input image, all of it, to the classes; then a sum over the map."""
    get = {'opcode': 5, 'images': 1, 'side': 32, 'channels': 3, 'classes': 2, 'split': 0, **fields}
    shape = struct.pack('<BBHHHHHHH', get['opcode'], 0, get['images'], get['side'], get['side'],
                        get['channels'], get['classes'], 1, 0)
    operands = (operand(0, 3, 2, 1) + operand() + operand(0, get['classes'], 4, 0) +
                operand(0, 0, 1, 0))
    stage = struct.pack('<BBBBbB2x', 1, 1, 0, 0, 0, get['split'])
    second = struct.pack('<BBBBbB2x', 1, 1, 0, 0, 0, 0)
    return (shape + operands + bytes(4) + stage + second).ljust(128, b'\0')


def linear(images=1, classes=2):
    """A linear layer from the pool's output to logits."""
    shape = struct.pack('<BBHHHHHHH', 1, 0, images, 1, 1, classes, classes, 1, 0)
    operands = (operand(0, classes, 4, 0) + operand() + operand(0, 2 * classes, 3, 2) +
                operand(256, 0, 1, 0))
    return (shape + operands + bytes(4) + struct.pack('<BBBBbB', 1, 1, 0, 0, 0, 0)).ljust(128, b'\0')


def program(target=1, images=1, classes=2):
    commands = [command(images=images, classes=classes), linear(images, classes)]
    segments = [64 + 128 * len(commands), 512, images * 32 * 32 * 3, 2 * images * classes,
                images * classes, 0, 0, 0]
    header = struct.pack('<4sHHIHHI8I', b'TVIT', 1, target, len(commands), images, 1 << 3 | 1 << 4,
                         0, *segments)
    return header.ljust(64, b'\0') + b''.join(commands)


def package(programs, labels=None):
    """programs: (name, target id, images)"""
    metadata = {'format': 'triovit-model', 'format_version': '1', 'contract': '1', 'size': '32',
                'resize': '36', 'classes': '2', 'logit_scale': '0.125', 'macs': '6148',
                'nodes': 'conv\npool\nlinear'}
    if labels:
        metadata['labels'] = labels
    tensors = []
    for name, target, images in programs:
        tensors.append((f'program.{name}.{images}', 'U8', program(target, images), None))
        tensors.append((f'weights.{name}.{images}', 'U8', bytes(512), None))
    for name, _, images in programs:
        steps = struct.pack('<8i', 0, 1, 0, images, 2, NONE, 0, images)
        tensors.append((f'steps.{name}.{images}', 'I32', steps, [2, 4]))
    for node in ('conv', 'pool', 'linear'):
        tensors.append((f'scale.{node}', 'F32', struct.pack('<2f', 0.5, 0.25), [2]))
        tensors.append((f'offset.{node}', 'F32', struct.pack('<2f', 0, -1), [2]))
    header, at = {'__metadata__': metadata}, 0
    for name, dtype, data, shape in tensors:
        header[name] = {'dtype': dtype, 'shape': shape or [len(data)],
                        'data_offsets': [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header, separators=(',', ':')).encode()
    return struct.pack('<Q', len(text)) + text + b''.join(data for _, _, data, _ in tensors)


def main(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'one').write_bytes(package([('zcu102', 1, 1)]))
    (folder / 'labels').write_bytes(package([('zynq7020', 4, 3)], 'cat\nd\u00f6g'))
    (folder / 'two').write_bytes(package([('kv260', 2, 1), ('my.board', 0x8001, 2)]))


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit('usage: package.py FOLDER')
    main(sys.argv[1])
