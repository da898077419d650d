#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""triovit-sim on models that triovit-quantize has made: sim-model.py SIM QUANTIZE"""

import functools
import json
import math
import pathlib
import resource
import shutil
import signal
import struct
import sys
import tempfile

import tap

sim = tap.Program(sys.argv[1])
quantize = tap.Program(sys.argv[2])
CHECKPOINT = tap.SOURCE / 'demo/shapes16-b0.safetensors'
IMAGES = tap.SOURCE / 'demo/images'
STAR = IMAGES / 'star_checker/000007.png'
DISK = IMAGES / 'disk_checker/000001.png'
# Images that accuracy is measured on.
LIMIT = 32 if tap.SLOW else 128
TOP = tempfile.TemporaryDirectory()

TARGET = {'name': 'mine', 'id': 0x8007, 'groups': 8, 'epilogue_lanes': 64, 'clock_mhz': 150,
          'onchip': 1 << 20, 'dram_mb_s': 6400}


@functools.cache
def target_file():
    path = pathlib.Path(TOP.name) / 'mine.json'
    path.write_text(json.dumps(TARGET))
    return path


@functools.cache
def model():
    """Programs for two targets, and for one and three images."""
    path = pathlib.Path(TOP.name) / 'model.safetensors'
    quantize(CHECKPOINT, '--calibrate', IMAGES, '--limit', 16 if tap.SLOW else 64, '-o', path,
             '--target', 'zcu102', '--target', 'zynq7020', '--images', 1, '--images', 3,
             '--quiet').expect(0)
    return path


@functools.cache
def custom_model():
    path = pathlib.Path(TOP.name) / 'custom.safetensors'
    quantize(CHECKPOINT, '--calibrate', IMAGES, '--limit', 4, '-o', path, '--target',
             target_file(), '--quiet').expect(0)
    return path


@functools.cache
def small_model():
    """A random network at 32x32: for what does not depend on what it has learnt."""
    checkpoint = pathlib.Path(TOP.name) / 'small-checkpoint.safetensors'
    path = pathlib.Path(TOP.name) / 'small.safetensors'
    sim('random', 'b0', '--size', 32, '--classes', 16, '-o', checkpoint).expect(0)
    quantize(checkpoint, '--calibrate', IMAGES, '--limit', 4, '-o', path, '--quiet').expect(0)
    return checkpoint, path


def answer(command, *arguments):
    quiet = ('--quiet',) if command in ('eval', 'compare') else ()
    return json.loads(sim(command, '--json', *quiet, *arguments).expect(0).out)


@functools.cache
def comparison():
    return answer('compare', CHECKPOINT, model(), IMAGES, '--limit', LIMIT, '--layer-images', 4)


def tensors(path):
    """The metadata and the tensors' bytes of a safetensors file."""
    data = path.read_bytes()
    length = struct.unpack('<Q', data[:8])[0]
    header = json.loads(data[8:8 + length])
    metadata = header.pop('__metadata__', {})
    return metadata, {name: (entry['dtype'], entry['shape'],
                             data[8 + length:][slice(*entry['data_offsets'])])
                      for name, entry in header.items()}


# --- run ------------------------------------------------------------------------------------


def test_run(_):
    """run names the five best classes of each image"""
    result = answer('run', model(), STAR, DISK)
    assert [each['image'] for each in result] == [str(STAR), str(DISK)]
    for each, label in zip(result, ('star_checker', 'disk_checker')):
        shares = [guess['probability'] for guess in each['best']]
        assert each['best'][0]['label'] == label, each
        assert len(shares) == 5 and shares == sorted(shares, reverse=True)
        assert 0.5 < shares[0] and sum(shares) <= 1 + 1e-6
    shown = sim('run', model(), STAR).expect(0, str(STAR), ' %  ', 'star_checker')
    assert len(shown.out.splitlines()) == 6, shown


def test_run_programs(_):
    """every program of a model says the same, batches with too few images too"""
    images = sorted(IMAGES.glob('*/*.png'))[:7]
    expected = answer('run', model(), *images)
    assert len(expected) == 7
    for choice in (['--target', 'zynq7020'], ['--images', 3],
                   ['--target', 'zynq7020', '--images', 3]):
        assert answer('run', model(), *images, *choice) == expected, choice


def test_run_checkpoint(_):
    """run takes a checkpoint as well, and it agrees"""
    floats, integers = answer('run', CHECKPOINT, STAR), answer('run', model(), STAR)
    assert floats[0]['best'][0]['class'] == integers[0]['best'][0]['class']
    assert floats[0]['best'] != integers[0]['best']


def test_run_labels(folder):
    """--labels names the classes of a model, and there must be as many"""
    labels = folder / 'labels.txt'
    labels.write_text('\n'.join(f'thing {i}' for i in range(16)) + '\n')
    best = answer('run', model(), STAR, '--labels', labels)[0]['best'][0]
    assert best['label'] == f'thing {best["class"]}'
    labels.write_text('one\ntwo\n')
    sim('run', model(), STAR, '--labels', labels).expect(1, str(labels), '2 class names', '16')


def test_run_no_labels(_):
    """a model without names shows numbers"""
    _, path = small_model()
    assert all(guess['label'] is None for guess in answer('run', path, STAR)[0]['best'])
    sim('run', path, STAR).expect(0, ' %  ')


def test_run_broken(folder):
    """an image that cannot be decoded and a model that is cut off are named"""
    broken = folder / 'broken.png'
    broken.write_text('no image\n')
    sim('run', model(), STAR, broken).expect(1, str(broken))
    path = folder / 'model.safetensors'
    whole = model().read_bytes()
    for size in (0, 100, 5000, len(whole) - 1):
        path.write_bytes(whole[:size])
        for arguments in (['run', path, STAR], ['eval', path, IMAGES], ['inspect', path],
                          ['dump', path, STAR, '--layer', 'stem.conv'], ['profile', path],
                          ['compare', CHECKPOINT, path, IMAGES]):
            result = sim(*arguments).expect(1, f'triovit-sim: {path}: ')
            assert not result.out, result


# --- targets --------------------------------------------------------------------------------


def test_choice(_):
    """a program that is not there is an error that lists those that are"""
    for command in (['run', model(), STAR], ['eval', model(), IMAGES], ['profile', model()],
                    ['dump', model(), STAR, '--layer', 'stem.conv']):
        for choice in (['--images', 2], ['--target', 'kv260'],
                       ['--target', 'zcu102', '--images', 64]):
            sim(*command, *choice).expect(1, str(model()), '--target zcu102 --images 3',
                                          '--target zynq7020 --images 1')
        sim(*command, '--target', 'zcu103').expect(1, "'zcu103'", 'zynq7020')
        sim(*command, '--images', 65).expect(2, 'from 1 to 64')


def test_choice_wrong_kind(_):
    """options of a model are refused for a checkpoint, and the other way round"""
    for command in (['run', CHECKPOINT, STAR], ['eval', CHECKPOINT, IMAGES]):
        sim(*command, '--target', 'zcu102').expect(1, str(CHECKPOINT), 'a checkpoint', '--target')
        sim(*command, '--images', 1).expect(1, str(CHECKPOINT), 'a checkpoint', '--images')
    for command in (['run', model(), STAR], ['eval', model(), IMAGES], ['inspect', model()],
                    ['profile', model()]):
        sim(*command, '--size', 64).expect(1, str(model()), 'a model', '--size')
    sim('run', model(), STAR, '--crop-ratio', 0.5).expect(1, str(model()), 'a model')
    for subject in (CHECKPOINT, 'b0'):
        sim('inspect', subject, '--commands').expect(1, str(subject), 'no model')
    sim('compare', CHECKPOINT, CHECKPOINT, IMAGES).expect(1, 'expected a model')
    sim('compare', model(), model(), IMAGES).expect(1, str(model()))
    sim('dump', CHECKPOINT, STAR, '--layer', 'stem.conv').expect(1, 'no model package')


def test_custom_target(_):
    """a program for a target that is not built in runs with the file that describes it"""
    path = custom_model()
    sim('run', path, STAR).expect(1, "'mine', which is not built in", '--target FILE')
    result = answer('run', path, STAR, '--target', target_file())
    assert result[0]['best'][0]['label'] == 'star_checker'
    assert answer('profile', path, '--target', target_file())['target'] == 'mine'
    assert answer('inspect', path)['programs'][0]['target'] == 'mine'
    sim('run', path, STAR, '--target', 'zcu102').expect(1, 'no such program')


# --- eval -----------------------------------------------------------------------------------


def test_eval(_):
    """the integer model knows the demo images nearly as well as the checkpoint"""
    result = answer('eval', model(), IMAGES, '--limit', LIMIT)
    assert result['model'] == str(model()) and 'checkpoint' not in result
    assert (result['target'], result['batch'], result['size']) == ('zcu102', 1, 96)
    assert result['images'] == LIMIT
    assert result['top1'] > 93 and result['top5'] >= result['top1'], result
    sim('eval', model(), IMAGES, '--limit', 16).expect(
        0, 'integer model, 16 classes, input 96x96; program for zcu102, 1 image a job', 'top-1 ')


def test_eval_batches(_):
    """batches and threads change nothing, the last batch may have fewer images"""
    results = []
    for choice in (['--threads', 1], ['--threads', 7], ['--images', 3, '--threads', 2],
                   ['--images', 3, '--target', 'zynq7020', '--threads', 4]):
        result = answer('eval', model(), IMAGES, '--limit', 50, '--per-class', *choice)
        for key in ('seconds', 'threads', 'target', 'batch'):
            del result[key]
        results.append(result)
    assert all(result == results[0] for result in results), results
    assert results[0]['images'] == 50


def test_eval_subfolders(folder):
    """a model without names takes the subfolders for its classes, if there are as many"""
    _, path = small_model()
    assert answer('eval', path, IMAGES, '--limit', 16)['images'] == 16
    shutil.copytree(IMAGES / 'star_checker', folder / 'star_checker')
    sim('eval', path, folder).expect(1, '1 subfolders', '16 classes', '--labels FILE')


# --- compare --------------------------------------------------------------------------------


def test_compare(_):
    """compare measures both networks on the same images"""
    result = comparison()
    assert result['images'] == LIMIT and result['target'] == 'zcu102'
    for key, path in (('float_top1', CHECKPOINT), ('integer_top1', model())):
        assert result[key] == answer('eval', path, IMAGES, '--limit', LIMIT)['top1']
    assert result['agreement'] > 95 and result['logits_sqnr'] > 15, result


def test_compare_interval(_):
    """drop and interval follow from the images that only one network gets right"""
    for result in (comparison(), answer('compare', *small_model(), IMAGES, '--layer-images', 0)):
        n = result['images']
        b, c = result['only_float_right'], result['only_integer_right']
        assert abs(result['drop'] - 100 * (b - c) / n) < 1e-4
        assert abs(result['float_top1'] - result['integer_top1'] - result['drop']) < 1e-4
        deviation = math.sqrt((b + c - (b - c) ** 2 / n) / (n - 1) / n)
        for limit, sign in zip(result['interval'], (-1, 1)):
            assert abs(limit - result['drop'] - sign * 196 * deviation) < 1e-3, result


def test_compare_layers(_):
    """every layer has its errors, and the worst are those with the lowest isolated SQNR"""
    result = comparison()
    layers = {layer['name']: layer for layer in result['layers']}
    names = [layer['name'] for layer in answer('inspect', CHECKPOINT)['layers']]
    assert list(layers) == names
    assert result['layer_images'] == 4
    by_error = sorted(names, key=lambda name: layers[name]['isolated_sqnr'])
    assert result['worst_layers'] == by_error[:10]
    # The first layer reads the image itself, so there is nothing to accumulate.
    first = layers['stem.conv']
    assert first['isolated_sqnr'] == first['accumulated_sqnr'] > 25, first
    for layer in layers.values():
        assert layer['isolated_sqnr'] > 8 and 0 <= layer['clipped'] < 50, layer
    # Over the network errors add up: no deep layer is better with its predecessors' errors.
    for name in names[len(names) // 2:]:
        assert layers[name]['accumulated_sqnr'] < layers[name]['isolated_sqnr'] + 0.5, name
    # On the same images the last layer's accumulated error is the logits'.
    same = answer('compare', CHECKPOINT, model(), IMAGES, '--limit', 4, '--layer-images', 4)
    last = same['layers'][-1]
    assert abs(last['accumulated_sqnr'] - same['logits_sqnr']) < 1e-3, (last, same)


def test_compare_layer_images(folder):
    """layers are measured on images of all classes"""
    for label in IMAGES.iterdir():
        images = sorted(label.glob('*.png'))
        assert len(images) == 16, label
        (folder / label.name).mkdir()
        shutil.copy(images[-1], folder / label.name)
    checkpoint, path = small_model()
    assert answer('compare', checkpoint, path, IMAGES, '--layer-images', 16)['layers'] == \
        answer('compare', checkpoint, path, folder)['layers']


def test_compare_threads(_):
    """no figure depends on threads or on the program"""
    results = []
    for choice in (['--threads', 1], ['--threads', 5], ['--images', 3, '--target', 'zynq7020']):
        result = answer('compare', CHECKPOINT, model(), IMAGES, '--limit', 20, '--layer-images', 3,
                        *choice)
        for key in ('seconds', 'threads', 'target'):
            del result[key]
        results.append(result)
    assert results[0] == results[1] == results[2]


def test_compare_no_layers(_):
    """--layer-images 0 leaves the layers out, --layers shows all of them"""
    arguments = (CHECKPOINT, model(), IMAGES, '--limit', 16)
    result = answer('compare', *arguments, '--layer-images', 0)
    assert 'layers' not in result and 'clipped' not in result
    few = sim('compare', *arguments, '--layer-images', 1).expect(
        0, 'EfficientViT-B0', 'integer model', 'top-1 ', 'drop ', '95 % interval', 'agreement ',
        'SQNR', 'the 10 worst layers', 'isolated dB')
    every = sim('compare', *arguments, '--layer-images', 1, '--layers').expect(0, 'stem.conv')
    layers = len(answer('inspect', model())['layers'])
    assert len(every.out.splitlines()) - len(few.out.splitlines()) == layers - 10


def test_compare_broken_weight(folder):
    """a negated weight is seen in the layer that has it, and nowhere before it"""
    data = bytearray(model().read_bytes())
    command = next(command for command in answer('inspect', model(), '--commands')['commands']
                   if command['layer'].startswith('stage2.block1.depthwise'))
    header = json.loads(data[8:8 + struct.unpack('<Q', data[:8])[0]])
    start = 8 + struct.unpack('<Q', data[:8])[0]
    start += header['weights.zcu102.1']['data_offsets'][0] + command['weights']['offset']
    # Depthwise weights follow the records of 64 channels, 12 bytes each.
    start += (64 * 12 + 63) // 64 * 64
    for i in range(start, start + 8 * 9):
        data[i] = (256 - data[i]) % 256 if data[i] != 128 else 127
    path = folder / 'broken.safetensors'
    path.write_bytes(data)
    right = {layer['name']: layer for layer in comparison()['layers']}
    wrong = {layer['name']: layer for layer in
             answer('compare', CHECKPOINT, path, IMAGES, '--limit', LIMIT, '--layer-images',
                    4)['layers']}
    names = list(right)
    at = names.index('stage2.block1.depthwise')
    for name in names[:at]:
        assert right[name] == wrong[name], name
    assert wrong[names[at]]['isolated_sqnr'] < right[names[at]]['isolated_sqnr'] - 10
    # Isolated layers behind it do not know; as the model runs, they do.
    for name in names[at + 1:]:
        assert wrong[name]['isolated_sqnr'] == right[name]['isolated_sqnr'], name
    assert wrong[names[at + 1]]['accumulated_sqnr'] < right[names[at + 1]]['accumulated_sqnr'] - 3


def test_compare_other_network(_):
    """a model that was made from another checkpoint is refused"""
    checkpoint, _ = small_model()
    sim('compare', checkpoint, model(), IMAGES, '--limit', 4).expect(0)
    other = pathlib.Path(TOP.name) / 'other.safetensors'
    sim('random', 'b1', '--size', 32, '--classes', 16, '-o', other).expect(0)
    sim('compare', other, model(), IMAGES, '--limit', 4).expect(1, 'made from another')
    sim('random', 'b0', '--size', 32, '--classes', 10, '-o', other).expect(0)
    sim('compare', other, model(), IMAGES, '--limit', 4).expect(1, '10 classes', '16')


# --- profile --------------------------------------------------------------------------------


def test_profile(_):
    """profiles of architectures, checkpoints and models agree with each other, and with themselves"""
    parts = ('target', 'cold', 'cycles', 'utilisation', 'fps', 'macs', 'layers')
    quantized = answer('profile', model())
    lowered = answer('profile', CHECKPOINT)
    assert [quantized[key] for key in parts] == [lowered[key] for key in parts]
    assert sum(layer['macs'] for layer in quantized['layers']) == quantized['macs']
    # The layers' are those of the last job, which shares the channel with no other behind it.
    layers = sum(layer['cycles'] for layer in quantized['layers'])
    assert layers == quantized['busy']['MAT'] + sum(quantized['stalls'].values())
    assert 0.9 * quantized['cycles'] < layers < 1.02 * quantized['cycles']
    published = answer('profile', 'b1')
    assert published['target'] == 'zcu102' and published['images'] == 1
    assert published['utilisation'] > 85
    sim('profile', 'b1').expect(0, 'zcu102: 2048 multipliers at 200 MHz', 'utilisation ',
                                 'images/s', 'stage4.block4.mbconv.depthwise + project')


def test_profile_options(_):
    """batches help, less bandwidth and smaller targets do not"""
    base = answer('profile', 'b1')
    batch = answer('profile', 'b1', '--images', 2)
    assert batch['fps'] > base['fps']
    assert batch['macs'] == 2 * base['macs']
    slow = answer('profile', 'b1', '--dram-percent', 50)
    assert slow['fps'] < base['fps'] and slow['dram_percent'] == 50
    small = answer('profile', 'b0', '--target', 'zynq7020', '--size', 96)
    assert small['fps'] < base['fps'] * 4
    assert small['layers'][0]['output'] == [48, 48, 8]
    assert answer('profile', 'b0', '--target', target_file())['target'] == 'mine'
    for arguments in (['b1', '--dram-percent', 0], ['b1', '--dram-percent', 101], [], ['b1', 'b2'],
                      ['b1', '--size', 100]):
        sim('profile', *arguments).expect(2, 'profile')


# --- engines --------------------------------------------------------------------------------


def test_engines(_):
    """both models of the accelerator give the same answers; a checkpoint needs neither"""
    told = [answer('run', model(), STAR, DISK, '--engine', name) for name in ('functional', 'cycle')]
    assert told[0] == told[1]
    assert answer('eval', model(), IMAGES, '--limit', 8, '--engine', 'cycle')['images'] == 8
    sim('run', model(), STAR, '--engine', 'verilog').expect(2, '--engine is functional or cycle')
    sim('run', CHECKPOINT, STAR, '--engine', 'cycle').expect(1, 'no --engine')


# --- trace ----------------------------------------------------------------------------------


def busy_cycles(path):
    """cycles that each wire of a VCD is high, at 200 MHz"""
    names, since, total, now, scopes = {}, {}, {}, 0, []
    for line in path.read_text().splitlines():
        words = line.split()
        if words[0] == '$scope':
            scopes.append(words[2])
        elif words[0] == '$upscope':
            scopes.pop()
        elif words[0] == '$var' and words[2] == '1':
            names[words[3]] = scopes[-1]
        elif line[0] == '#':
            assert int(line[1:]) >= now
            now = int(line[1:])
        elif line[0] in '01' and line[1:] in names:
            name = names[line[1:]]
            if line[0] == '1':
                assert since.get(name) is None, name
                since[name] = now
            elif since.get(name) is not None:
                total[name] = total.get(name, 0) + now - since[name]
                since[name] = None
    return {name: cycles // 5000 for name, cycles in total.items()}


def test_trace(folder):
    """traces of all forms say what the profile says"""
    for ending in ('vcd', 'json', 'html'):
        sim('trace', CHECKPOINT, '--jobs', 4, '-o', folder / f'trace.{ending}').expect(0)
    events = json.loads((folder / 'trace.json').read_text())['traceEvents']
    threads = {e['tid']: e['args']['name'] for e in events if e['ph'] == 'M'}
    slices = {name: [] for name in threads.values()}
    for event in events:
        if event['ph'] == 'X':
            slices[threads[event['tid']]].append((event['args']['begin'], event['args']['cycles']))
    jobs = slices.pop('jobs')
    assert len(jobs) == 4 and all(a + n == b for (a, n), (b, _) in zip(jobs, jobs[1:]))
    wires = busy_cycles(folder / 'trace.vcd')
    told = answer('profile', CHECKPOINT)
    for name, pieces in slices.items():
        assert all(a + n <= b for (a, n), (b, _) in zip(sorted(pieces), sorted(pieces)[1:])), name
        assert wires[name] == sum(n for _, n in pieces), name
        last = sum(n for a, n in pieces if a >= jobs[3][0])
        assert name == 'DMA' or last == told['busy'][name], name
    page = (folder / 'trace.html').read_text()
    for layer in told['layers']:
        assert layer['layer'] in page, layer['layer']


def test_trace_refusals(folder):
    """a trace needs a place that can be written and a form"""
    sim('trace', 'b1').expect(2, '-o FILE')
    sim('trace', 'b1', '-o', folder / 'trace.txt').expect(2, '-o FILE')
    sim('trace', '-o', folder / 'trace.vcd').expect(2, 'expected')
    sim('trace', 'b0', '-o', folder / 'none/trace.vcd').expect(1, 'trace.vcd')
    (folder / 'full.vcd').symlink_to('/dev/full')
    sim('trace', CHECKPOINT, '-o', folder / 'full.vcd').expect(1, 'full.vcd')


# --- dump -----------------------------------------------------------------------------------


def test_dump_file(folder):
    """a dump has the integers, what they stand for, and how"""
    path = folder / 'dump.safetensors'
    for layer, dtype in (('stage2.block1.depthwise', 'I8'), ('head.linear1', 'I16'),
                         ('head.pool', 'I8')):
        assert not sim('dump', model(), STAR, '--layer', layer, '-o', path).expect(0).out
        metadata, found = tensors(path)
        assert metadata == {'layer': layer, 'target': 'zcu102'}
        assert sorted(found) == ['codes', 'offset', 'real', 'scale']
        shape = next(each['output'] for each in answer('inspect', CHECKPOINT)['layers']
                     if each['name'] == layer)
        assert found['codes'][:2] == (dtype, shape) and found['real'][:2] == ('F32', shape)
        assert found['scale'][1] == found['offset'][1] == shape[2:]
        count = math.prod(shape)
        codes = struct.unpack(f'<{count}{"bh"[dtype == "I16"]}', found['codes'][2])
        reals = struct.unpack(f'<{count}f', found['real'][2])
        scale, offset = (struct.unpack(f'<{shape[2]}f', found[name][2])
                         for name in ('scale', 'offset'))
        for i in range(0, count, 7):
            real = scale[i % shape[2]] * codes[i] + offset[i % shape[2]]
            assert abs(reals[i] - real) <= 1e-5 * max(1, abs(real)), (i, reals[i], real)


def test_dump_logits(_):
    """the last layer's dump are the logits that run shows"""
    figures = answer('dump', model(), STAR, '--layer', 'head.linear2')
    scale = answer('inspect', model())['logit_scale']
    assert figures['shape'] == [1, 1, 16] and figures['format'] == 'int16'
    assert abs(figures['codes'][1] * scale - figures['real'][1]) < 1e-4
    best = answer('run', model(), STAR)[0]['best']
    assert best[0]['label'] == 'star_checker'


def test_dump_figures(_):
    """without -o it shows extremes, mean, share at the ends and a histogram"""
    figures = answer('dump', model(), STAR, '--layer', 'stem.conv')
    assert sum(figures['histogram']) == math.prod(figures['shape'])
    assert -128 <= figures['codes'][0] <= figures['codes_mean'] <= figures['codes'][1] <= 127
    shown = sim('dump', model(), STAR, '--layer', 'stem.conv').expect(
        0, 'stem.conv, 48x48x8, int8', 'codes ', 'real ', 'clipped ', '####')
    assert not any(line != line.rstrip() for line in shown.out.splitlines()), shown
    same = answer('dump', model(), STAR, '--layer', 'stem.conv', '--target', 'zynq7020', '--images',
                  3)
    assert same == figures


def test_dump_wrong(folder):
    """an unknown layer and a file that cannot be written are failures"""
    sim('dump', model(), STAR, '--layer', 'nowhere').expect(1, "no layer 'nowhere'", 'inspect')
    sim('dump', model(), STAR).expect(2, 'expected --layer NAME')
    sim('dump', model()).expect(2, 'expected a MODEL and an IMAGE')
    sim('dump', model(), STAR, '--layer', 'stem.conv', '-o', folder / 'none/x').expect(
        1, str(folder / 'none/x'))
    assert not list(folder.iterdir())


# --- files that are written -----------------------------------------------------------------


def test_half_written(folder):
    """a file that cannot be written to its end, or whose writer is killed, is as it was before"""
    def no_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def killed():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    checkpoint, small = small_model()
    path = folder / 'file'
    for program, arguments in (
            (quantize, (checkpoint, '--calibrate', IMAGES, '--limit', 1, '-o', path, '--quiet')),
            (sim, ('dump', small, STAR, '--layer', 'stage1.block1.expand', '-o', path)),
            (sim, ('random', 'b0', '--size', 32, '-o', path))):
        path.write_text('old')
        program(*arguments, before=no_room).expect(1, str(path), 'File too large')
        assert [each.name for each in folder.iterdir()] == ['file'], arguments
        assert path.read_text() == 'old', arguments
        assert program(*arguments, before=killed).code == -signal.SIGXFSZ, arguments
        assert path.read_text() == 'old', arguments
        program(*arguments).expect(0)
        assert path.stat().st_size > 4096, arguments


# --- inspect --------------------------------------------------------------------------------


def test_inspect(_):
    """a model's programs, layers, preprocessing and labels are shown"""
    shown = answer('inspect', model())
    checkpoint = answer('inspect', CHECKPOINT)
    assert (shown['size'], shown['resize'], shown['classes']) == (96, 96, 16)
    assert shown['macs'] == checkpoint['macs']
    assert shown['labels'] == checkpoint['checkpoint']['labels']
    assert [(each['name'], each['channels']) for each in shown['layers']] == [
        (each['name'], each['output'][2]) for each in checkpoint['layers']]
    assert [(each['target'], each['images']) for each in shown['programs']] == [
        ('zcu102', 1), ('zcu102', 3), ('zynq7020', 1), ('zynq7020', 3)]
    for program in shown['programs']:
        assert program['macs'] == program['images'] * shown['macs']
        assert program['program'] == 64 + 128 * program['commands']
        assert program['output'] == program['images'] * 32
        assert program['input'] == program['images'] * 96 * 96 * 3
    sim('inspect', model()).expect(0, 'integer model, 16 classes, input 96x96', 'zynq7020',
                                   'triovit-quantize', 'stage3.block1.attention.qkv')


def test_inspect_commands(_):
    """--commands shows one program, command by command"""
    programs = answer('inspect', model())['programs']
    for program in programs:
        choice = ('--target', program['target'], '--images', program['images'])
        shown = answer('inspect', model(), '--commands', *choice)
        assert len(shown['commands']) == program['commands']
        assert sum(command['macs'] for command in shown['commands']) == program['macs']
        layers = [each for each in shown['commands'] if each['opcode'] != 'copy']
        assert layers[0]['from']['format'] == 'uint8'
        assert shown['commands'][-1]['to']['format'] == 'int16'
    sim('inspect', model(), '--commands').expect(0, 'separable', 'attention', 'chip:', 'weights:')
    sim('inspect', model(), '--commands', '--images', 9).expect(1, 'no such program')


def test_terminal(folder):
    """control characters in names do not reach the terminal"""
    path = folder / 'a\x1b[2Jb.safetensors'
    shutil.copyfile(model(), path)
    for arguments in (['run', path, folder / '\x1b[2J.png'],
                      ['dump', path, STAR, '--layer', '\x1b[2J'],
                      ['run', path, STAR, '--target', '\x1b[2J'], ['inspect', path],
                      ['eval', path, IMAGES, '--limit', 16, '-q']):
        result = sim(*arguments)
        assert '\x1b' not in result.err + result.out, result


def test_faulty_program(folder):
    """a program that reaches outside its segments ends in a fault that names the command"""
    data = bytearray(model().read_bytes())
    header = json.loads(data[8:8 + struct.unpack('<Q', data[:8])[0]])
    start = 8 + struct.unpack('<Q', data[:8])[0] + header['program.zcu102.1']['data_offsets'][0]
    output = start + 64 + 2 * 128 + 32  # of command 2
    struct.pack_into('<I', data, output, 0x7fffff00)
    path = folder / 'faulty.safetensors'
    path.write_bytes(data)
    for arguments in (['run', path, STAR], ['eval', path, IMAGES, '--limit', 16, '-q'],
                      ['dump', path, STAR, '--layer', 'stem.conv']):
        sim(*arguments).expect(1, 'command 2 (stage1.block1.expand)', 'segment violation')
    # The other programs are as they were.
    assert answer('run', path, STAR, '--target', 'zynq7020') == answer('run', model(), STAR)


if __name__ == '__main__':
    try:
        sys.exit(tap.main(globals()))
    finally:
        TOP.cleanup()
