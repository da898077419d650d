#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""triovit-sim ablate: sim-ablate.py SIM QUANTIZE"""

import json
import shutil
import sys

import tap

sim = tap.Program(sys.argv[1])
quantize = tap.Program(sys.argv[2])
CHECKPOINT = tap.SOURCE / 'demo/shapes16-b0.safetensors'
IMAGES = tap.SOURCE / 'demo/images'


def calibration(folder):
    """One image of every class."""
    images = folder / 'calibration'
    images.mkdir()
    for label in IMAGES.iterdir():
        shutil.copyfile(min(label.iterdir()), images / f'{label.name}.png')
    return images


def ablation(images, *arguments):
    if tap.SLOW:
        raise tap.Skip('six quantizations: minutes under emulation')
    result = json.loads(sim('ablate', '--json', '--quiet', CHECKPOINT, '--calibrate', images, IMAGES,
                            *arguments).expect(0).out)
    return result, {each['name']: each for each in result['variants']}


def test_ablate(folder):
    """ablate's rows are the models that triovit-quantize makes with the same options"""
    images = calibration(folder)
    result, rows = ablation(images, '--limit', 32, '--size', 32)
    assert (result['calibration_images'], result['images']) == (16, 32)
    assert sum(row['integer'] for row in result['variants']) == 6
    path = folder / 'model.safetensors'
    techniques = {
        'everything': [],
        'neither migration nor shifting': ['--no-migration', '--no-shifting'],
        'shifting, no migration': ['--no-migration'],
        'migration, no shifting': ['--no-shifting'],
        'no search for ranges': ['--no-search'],
        'no correction of biases': ['--no-correction'],
    }
    for name, options in techniques.items():
        quantize(CHECKPOINT, '--calibrate', images, '-o', path, '--size', 32, '--quiet',
                 *options).expect(0)
        single = json.loads(sim('compare', '--json', '--quiet', CHECKPOINT, path, IMAGES, '--limit',
                                32, '--layer-images', 0).expect(0).out)
        assert single['integer_top1'] == rows[name]['top1'], name
        assert single['only_integer_right'] == rows[name]['only_other_right']
        assert single['float_top1'] == result['float_top1']
        for key in ('drop', 'interval', 'agreement', 'logits_sqnr', 'only_float_right'):
            assert single[key] == rows[name][key], (name, key, single, rows[name])
        assert rows[name]['undefined'] == 0
    assert len({row['logits_sqnr'] for row in result['variants'] if row['integer']}) == 6


def test_ablate_divisor(folder):
    """the float network bears powers of two, and equal steps only without a code 0"""
    _, rows = ablation(calibration(folder), '--limit', 16)
    log2 = rows['float, divisor log2, 4 bits']
    assert not log2['integer'] and log2['undefined'] == 0 and log2['agreement'] > 90, log2
    # Nothing else is rounded.
    assert log2['logits_sqnr'] > rows['everything']['logits_sqnr'], rows
    uniform = rows['float, divisor uniform, 4 bits']
    assert uniform['undefined'] > 50 and uniform['logits_sqnr'] is None, uniform
    assert uniform['top1'] <= 100 - uniform['undefined']
    four, eight = (rows[f'float, divisor uniform, {bits} bits, from 1'] for bits in (4, 8))
    assert four['undefined'] == eight['undefined'] == 0
    assert max(four['logits_sqnr'], log2['logits_sqnr']) < eight['logits_sqnr'], rows


def test_ablate_threads(folder):
    """no figure depends on threads; the table has a row for each of them"""
    images = calibration(folder)
    results = [ablation(images, '--limit', 7, '--size', 32, '--threads', threads)[0]
               for threads in (1, 5)]
    for result in results:
        del result['threads']
    assert results[0] == results[1], results
    shown = sim('ablate', CHECKPOINT, '-c', images, IMAGES, '--limit', 7, '--size', 32).expect(
        0, 'EfficientViT-B0', 'calibrated on 16', 'top-1 %', '95 % interval', 'everything')
    lines = shown.out.splitlines()
    assert len(lines) == 4 + 1 + len(results[0]['variants']), shown
    assert not any(line != line.rstrip() for line in lines), shown
    assert 'calibrating: ' in shown.err and 'evaluating: 7 images' in shown.err, shown


def test_ablate_wrong(folder):
    """what cannot be ablated is refused"""
    sim('ablate', CHECKPOINT, IMAGES).expect(2, '--calibrate DIR')
    sim('ablate', CHECKPOINT, '-c', IMAGES).expect(2, 'expected a CHECKPOINT and a DIR')
    sim('ablate', CHECKPOINT, IMAGES, '-c', IMAGES, '--target', 'zcu102').expect(2, '--target')
    model = folder / 'model.safetensors'
    quantize(CHECKPOINT, '--calibrate', IMAGES, '--limit', 1, '-o', model, '--quiet').expect(0)
    sim('ablate', model, IMAGES, '-c', IMAGES).expect(1, str(model), 'expected a checkpoint')
    model.unlink()
    sim('ablate', CHECKPOINT, IMAGES, '-c', folder).expect(1, str(folder))
    sim('ablate', CHECKPOINT, folder, '-c', IMAGES).expect(1, str(folder))


if __name__ == '__main__':
    sys.exit(tap.main(globals()))
