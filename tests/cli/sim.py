#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""triovit-sim as people and scripts use it: sim.py PROGRAM"""

import json
import os
import pathlib
import re
import shutil
import sys

import tap

sim = tap.Program(sys.argv[1])
CHECKPOINT = tap.SOURCE / 'demo/shapes16-b0.safetensors'
IMAGES = tap.SOURCE / 'demo/images'
CLASSES = 16
# Where the accuracy does not matter: a smaller input, a ninth of the work.
SMALL = ('--size', 32)


def evaluate(*arguments):
    return json.loads(sim('eval', '--quiet', '--json', *arguments).expect(0).out)


def inspect(*arguments):
    return json.loads(sim('inspect', '--json', *arguments).expect(0).out)


def random_checkpoint(folder, name='random.safetensors', *arguments):
    path = folder / name
    sim('random', 'b0', '-o', path, '--size', 32, *arguments).expect(0)
    return path


def labels():
    return inspect(CHECKPOINT)['checkpoint']['labels']


def commands():
    text = sim('--help').expect(0, 'usage: triovit-sim').out
    return re.findall(r'^  ([a-z]+) ', text.split('Commands:\n')[1].split('\n\n')[0], re.M)


def test_help(_):
    """every command is listed and has a help text of its own"""
    assert len(commands()) == 10, commands()
    for command in commands():
        sim(command, '--help').expect(0, f'usage: triovit-sim {command} ', '--help')


def test_help_width(_):
    """help fits a terminal of 80 columns"""
    for arguments in [[]] + [[command] for command in commands()]:
        for line in sim(*arguments, '--help').out.splitlines():
            assert len(line) <= 80, line


def test_documented(_):
    """every option is in the manual page and in the completion"""
    manual = (tap.SOURCE / 'docs/man/triovit-sim.1').read_text().replace('\\-', '-')
    completion = (tap.SOURCE / 'tools/completion/triovit-sim').read_text()
    for command in commands():
        assert f'.It Cm {command} ' in manual, command
        for word in sim(command, '--help').out.split():
            if word.startswith('--'):
                assert f'-{word.strip(",;.")[2:]}' in manual, word
                assert word.strip(',;.') in completion, word


def test_version(_):
    """--version says name and number"""
    assert sim('--version').expect(0).out.startswith('triovit-sim 0.')


def test_no_command(_):
    """a missing or unknown command is wrong usage"""
    sim().expect(2, 'a command is missing', 'triovit-sim --help')
    sim('evaluate').expect(2, "no command 'evaluate'", 'triovit-sim --help')
    sim('--frobnicate').expect(2, 'frobnicate', 'triovit-sim --help')


def test_wrong_usage(folder):
    """wrong arguments and options say what was expected"""
    for expected, arguments in (
            ('a CHECKPOINT or MODEL and a DIR', 'eval'),
            ('a CHECKPOINT or MODEL and a DIR', 'eval a'),
            ('a CHECKPOINT or MODEL and a DIR', 'eval a b c'),
            ('unrecognized option', 'eval --fast a b'),
            ('requires an argument', 'eval a b --size'),
            ('--size: 100 is no multiple of 32', 'eval a b --size 100'),
            ('from 32 to 4096', 'eval a b --size 0'),
            ('from 32 to 4096', 'eval a b --size 8192'),
            ('from 32 to 4096', 'eval a b --size -32'),
            ('from 32 to 4096', 'eval a b --size 0x40'),
            ('from 1 to 1024', 'eval a b --threads 0'),
            ("--limit: '1e3'", 'eval a b --limit 1e3'),
            ("--limit: '99999999999999999999999'", 'eval a b --limit 99999999999999999999999'),
            ('above 0 and up to 1', 'eval a b --crop-ratio 0'),
            ('above 0 and up to 1', 'eval a b --crop-ratio 1.01'),
            ('above 0 and up to 1', 'eval a b --crop-ratio nan'),
            ('above 0 and up to 1', 'eval a b --crop-ratio 0.5x'),
            ('expected one CHECKPOINT or MODEL', 'inspect'),
            ('expected one CHECKPOINT', 'inspect b0 b1'),
            ('expected one ARCH', 'random -o x'),
            ('expected b0, b1, b2 or b3', 'random b4 -o x'),
            ('expected -o FILE', 'random b0'),
            ("'onnx' is neither mit nor timm", 'random b0 -o x --naming onnx'),
            ('from 1 to 16384', 'random b0 -o x --classes 0'),
            ('--seed', 'random b0 -o x --seed -1'),
            ("'1,2,3,4' is not 5 numbers", 'random b0 -o x --widths 1,2,3,4'),
            ("'1,2,3,4,5,6' is not 5 numbers", 'random b0 -o x --depths 1,2,3,4,5,6'),
            ("'' is no whole number", 'random b0 -o x --depths 1,2,3,4,'),
            ('--head-dim', 'random b0 -o x --head-dim 0')):
        command = arguments.split()[0]
        result = sim(*arguments.split(), cwd=folder)
        result.expect(2, expected, f"Try 'triovit-sim {command} --help'.")
        assert not result.out and not (folder / 'x').exists(), result


def test_published(_):
    """the published architectures have their published size and work"""
    for name, parameters, macs in (('b1', 9.1e6, 0.52e9), ('b2', 24e6, 1.6e9), ('b3', 49e6, 4.0e9)):
        network = inspect(name)
        assert network['architecture']['name'] == name
        assert network['checkpoint'] is None
        assert abs(network['parameters'] / parameters - 1) < 0.02, network['parameters']
        assert abs(network['macs'] / macs - 1) < 0.03, network['macs']
    sim('inspect', 'b1').expect(0, 'EfficientViT-B1, 1000 classes, input 224x224', '519.2 M')


def test_inspect_layers(_):
    """layers add up to the totals, and each reads what an earlier one wrote"""
    for arguments in (('b0',), ('b2', '--size', 288), (CHECKPOINT,)):
        network = inspect(*arguments)
        layers = network['layers']
        assert sum(layer['macs'] for layer in layers) == network['macs']
        assert sum(layer['parameters'] for layer in layers) == network['parameters']
        shapes = {'input': [network['size'], network['size'], 3]}
        for layer in layers:
            assert shapes[layer['from'][0]] == layer['input'], layer
            assert layer['shortcut'] is None or shapes[layer['shortcut']] == layer['output'], layer
            shapes[layer['name']] = layer['output']
        assert layers[-1]['output'] == [1, 1, network['architecture']['classes']]


def test_inspect_size(_):
    """--size is the input that shapes are shown for"""
    assert inspect('b0', '--size', 256)['layers'][0]['output'] == [128, 128, 8]
    assert inspect(CHECKPOINT)['size'] == 96
    assert inspect(CHECKPOINT, '--size', 128)['size'] == 128


def test_inspect_checkpoint(_):
    """a checkpoint's architecture, preprocessing and labels are shown"""
    network = inspect(CHECKPOINT)
    assert network['architecture']['name'] == 'b0'
    assert network['checkpoint']['naming'] == 'mit'
    assert network['checkpoint']['resize'] == 96
    assert network['checkpoint']['mean'] == [0.485, 0.456, 0.406]
    assert sorted(labels()) == sorted(path.name for path in IMAGES.iterdir())
    sim('inspect', CHECKPOINT).expect(0, 'EfficientViT-B0, 16 classes, input 96x96',
                                      'shorter side to 96', 'stage3.block1.attention.qkv')


def test_random(folder):
    """random checkpoints depend on the options alone"""
    first = random_checkpoint(folder, 'first', '--seed', 7, '--classes', 10)
    again = random_checkpoint(folder, 'again', '--seed', 7, '--classes', 10)
    other = random_checkpoint(folder, 'other', '--seed', 8, '--classes', 10)
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != other.read_bytes()
    assert inspect(first)['architecture']['classes'] == 10
    assert inspect(first)['size'] == 32


def test_random_naming(folder):
    """either naming gives the same network"""
    shown = [inspect(random_checkpoint(folder, naming, '--naming', naming))
             for naming in ('mit', 'timm')]
    assert [network['checkpoint']['naming'] for network in shown] == ['mit', 'timm']
    assert shown[0]['layers'] == shown[1]['layers']


def test_random_member(folder):
    """widths, depths and attention heads may be others than the published ones"""
    path = random_checkpoint(folder, 'member', '--widths', '8,24,40,72,104', '--depths', '2,1,3,1,2',
                             '--head-dim', 8)
    architecture = inspect(path)['architecture']
    assert architecture['widths'] == [8, 24, 40, 72, 104], architecture
    assert architecture['depths'] == [2, 1, 3, 1, 2], architecture
    assert architecture['head_dim'] == 8, architecture
    sim('random', 'b0', '-o', path, '--widths', '8,16,32,60,128').expect(
        1, 'width of stage 3 is 60, expected a multiple of the 16 ')


def test_random_unwritable(folder):
    """a checkpoint that cannot be written is a failure that names it"""
    sim('random', 'b0', '-o', folder / 'none/x').expect(1, str(folder / 'none/x'))
    sim('random', 'b0', '-o', folder).expect(1, str(folder))


def test_eval_demo(_):
    """the demo checkpoint knows the demo images"""
    result = evaluate(CHECKPOINT, IMAGES, *(('--limit', 48) if tap.SLOW else ()))
    assert result['images'] == (48 if tap.SLOW else 256)
    assert result['top1'] > 93, result
    assert result['top5'] >= result['top1'], result
    assert result['size'] == result['resize'] == 96
    assert result['seconds'] > 0 and result['threads'] >= 1


def test_eval_text(_):
    """people are shown images, top-1, top-5 and the rate, and progress beside it"""
    result = sim('eval', CHECKPOINT, IMAGES, '--limit', 16)
    result.expect(0, 'EfficientViT-B0, 16 classes, input 96x96\n', 'images  16\n', 'top-1 ', 'top-5 ',
                  'images/s')
    assert 'evaluating' in result.err, result


def test_eval_quiet(_):
    """--quiet leaves standard error empty"""
    result = sim('eval', CHECKPOINT, IMAGES, *SMALL, '--limit', 16, '-q').expect(0)
    assert not result.err, result


def test_eval_limit(_):
    """--limit takes the images evenly from the classes"""
    result = evaluate(CHECKPOINT, IMAGES, *SMALL, '--limit', 2 * CLASSES + 3, '--per-class')
    assert result['images'] == 2 * CLASSES + 3
    assert [each['images'] for each in result['classes']] == [3] * 3 + [2] * (CLASSES - 3)
    assert [each['label'] for each in result['classes']] == labels()


def test_eval_per_class(_):
    """--per-class adds up to the whole"""
    arguments = (CHECKPOINT, IMAGES, *SMALL, '--limit', 64, '--per-class')
    result = evaluate(*arguments)
    right = sum(each['images'] * each['top1'] / 100 for each in result['classes'])
    assert abs(100 * right / 64 - result['top1']) < 1e-3, result
    shown = sim('eval', *arguments).expect(0, *labels())
    assert len(shown.out.splitlines()) == 5 + 2 + CLASSES, shown


def test_eval_threads(_):
    """the result does not depend on the number of threads"""
    results = []
    for threads in (1, 2, 7):
        result = evaluate(CHECKPOINT, IMAGES, *SMALL, '--limit', 48, '--per-class',
                          '--threads', threads)
        assert result.pop('threads') == threads
        del result['seconds']
        results.append(result)
    assert results[0] == results[1] == results[2]


def test_eval_preprocess(_):
    """--size and --crop-ratio decide over the checkpoint"""
    result = evaluate(CHECKPOINT, IMAGES, '--limit', 16, '--size', 64, '--crop-ratio', 0.5)
    assert (result['size'], result['resize']) == (64, 128)
    # Too near to be told apart.
    assert evaluate(CHECKPOINT, IMAGES, '--limit', 16, '--crop-ratio', 0.3)['top1'] < 50


def test_eval_labels(folder):
    """--labels decides over the checkpoint which class is which"""
    file = folder / 'labels.txt'
    file.write_text('\n'.join(labels()) + '\n')
    assert evaluate(CHECKPOINT, IMAGES, '--labels', file, '--limit', 16)['top1'] > 80
    file.write_text('\n'.join(reversed(labels())) + '\n')
    assert evaluate(CHECKPOINT, IMAGES, '--labels', file, '--limit', 16)['top1'] < 20


def test_eval_labels_wrong(folder):
    """labels that do not fit are refused by name"""
    file = folder / 'labels.txt'
    sim('eval', CHECKPOINT, IMAGES, '--labels', file).expect(1, str(file))
    file.write_text('\n'.join(labels()[1:] + ['else']) + '\n')
    sim('eval', CHECKPOINT, IMAGES, '--labels', file).expect(1, labels()[0])
    file.write_text('\n'.join(labels()[1:]) + '\n')
    sim('eval', CHECKPOINT, IMAGES, '--labels', file).expect(1, str(file), '15', '16')


def test_eval_subfolders(folder):
    """without names the subfolders are the classes, if there are as many"""
    checkpoint = random_checkpoint(folder, 'named', '--classes', CLASSES)
    result = evaluate(checkpoint, IMAGES, '--limit', 16, '--per-class')
    assert [each['label'] for each in result['classes']] == sorted(labels())
    checkpoint = random_checkpoint(folder, 'unnamed', '--classes', 10)
    sim('eval', checkpoint, IMAGES).expect(1, '16 subfolders', '10 classes', '--labels FILE')


def test_eval_folder(folder):
    """a folder that is absent, empty or no folder is refused by name"""
    sim('eval', CHECKPOINT, folder / 'none').expect(1, str(folder / 'none'))
    sim('eval', CHECKPOINT, folder).expect(1, str(folder), 'no image')
    sim('eval', CHECKPOINT, CHECKPOINT).expect(1, str(CHECKPOINT))


def test_eval_broken_image(folder):
    """an image that cannot be decoded ends the work and is named, the same on any threads"""
    images = folder / 'images'
    shutil.copytree(IMAGES / labels()[0], images / labels()[0])
    broken = sorted((images / labels()[0]).iterdir())
    broken[3].write_text('no image\n')
    broken[9].write_bytes(broken[9].read_bytes()[:100])
    for threads in (1, 4):
        result = sim('eval', CHECKPOINT, images, *SMALL, '--threads', threads)
        result.expect(1, str(broken[3]))
        assert str(broken[9]) not in result.err, result
    broken[3].unlink()
    sim('eval', CHECKPOINT, images, *SMALL).expect(1, str(broken[9]))


def test_broken_checkpoint(folder):
    """a checkpoint that is cut off or none at all is refused by name"""
    path = folder / 'model.safetensors'
    whole = CHECKPOINT.read_bytes()
    for size in (0, 7, 8, 100, 5000, len(whole) - 1):
        path.write_bytes(whole[:size])
        for command in (['inspect', path], ['eval', path, IMAGES]):
            result = sim(*command).expect(1, f'triovit-sim: {path}: ')
            assert not result.out, result
    path.write_bytes(b'\xff' * 8 + whole[8:])
    sim('inspect', path).expect(1, str(path), 'header')
    sim('inspect', IMAGES).expect(1, str(IMAGES))


def test_full_disk(_):
    """results that cannot be written are a failure"""
    if not pathlib.Path('/dev/full').is_char_device():
        raise tap.Skip('there is no /dev/full')
    with open('/dev/full', 'w', encoding='utf-8') as full:
        sim('inspect', 'b0', stdout=full).expect(1, 'standard output')
        sim('--help', stdout=full).expect(1, 'standard output')


def test_terminal(folder):
    """control characters in names do not reach the terminal"""
    path = folder / 'a\x1b[2Jb'
    for arguments in (['inspect', path], ['\x1b[2J'], ['inspect', 'b0', '--size', '\x1b[2J'],
                      ['eval', CHECKPOINT, path]):
        result = sim(*arguments)
        assert result.code in (1, 2) and '\x1b' not in result.err, result


def test_json_names(folder):
    """JSON stays valid with names that are no UTF-8"""
    images = folder / os.fsdecode(b'\xff\xfe')
    shutil.copytree(IMAGES / labels()[0], images / labels()[0])
    assert evaluate(CHECKPOINT, images, *SMALL)['folder'].endswith('/\ufffd\ufffd')


if __name__ == '__main__':
    sys.exit(tap.main(globals()))
