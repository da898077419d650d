#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""triovitctl's commands that run models: triovitctl-run.py CTL TRIOVITD QUANTIZE SIM"""
import contextlib
import json
import shutil
import signal
import sys
import time

import tap
from ctl import DISK, IMAGES, PATIENCE, STAR, TOP, model, over_ssh, served, sim

# More images than are done before the test has looked.
MANY = [IMAGES] * (10 if tap.SLOW else 200)


def expected(*arguments):
    """what triovit-sim says: of each image its best classes"""
    return json.loads(sim('run', '--json', *arguments).expect(0).out)


def answers(result):
    return [{'image': each['image'], 'best': each['best']} for each in result['images']]


# --- classify -------------------------------------------------------------------------------


def test_answers(folder):
    """classify answers what triovit-sim does, image by image, in their order"""
    images = sorted(IMAGES.glob('*/*.png'))[:8 if tap.SLOW else 40]
    with served(folder) as (ctl, _, _):
        result = ctl.json('classify', model(), *images, '--quiet')
        assert answers(result) == expected(model(), *images)
        for each, path in zip(result['images'], images):
            assert each['label'] == path.parent.name and each['cycles'] > 0, each
        shown = ctl('classify', model(), STAR).expect(0, 'accuracy', 'in queue', 'on device')
        assert shown.out.startswith(sim('run', model(), STAR).out), shown


def test_several_devices(folder):
    """with several devices they are in that order too"""
    images = sorted(IMAGES.glob('*/*.png'))[:8 if tap.SLOW else 40]
    both = model('--target', 'zcu102', '--target', 'zynq7020')
    with served(folder, '--software', 'zcu102', '--software', 'zynq7020') as (ctl, _, _):
        result = ctl.json('classify', both, *images)
        assert answers(result) == expected(both, *images)


def test_batches(folder):
    """programs for several images say the same; without one for single images they are taken"""
    images = sorted(IMAGES.glob('*/*.png'))[:7]
    batch = model('--images', '3')
    with served(folder) as (ctl, _, _):
        for options in ([], ['--images', 3]):
            result = ctl.json('classify', batch, *images, *options)
            assert answers(result) == expected(batch, *images)
        assert len({each['cycles'] for each in result['images']}) <= 2
        ctl('classify', batch, STAR, '--images', 2).expect(1, 'images')


def test_accuracy(folder):
    """directories are searched, and their names say what was right"""
    some = folder / 'some'
    for path in (STAR, DISK):
        (some / path.parent.name).mkdir(parents=True)
        shutil.copy(path, some / path.parent.name)
    (some / 'cross_checker').mkdir()
    shutil.copy(STAR, some / 'cross_checker')
    shutil.copy(STAR, folder / 'unlabelled.png')
    with served(folder) as (ctl, _, _):
        result = ctl.json('classify', model(), some, folder / 'unlabelled.png')
        labels = ['cross_checker', 'disk_checker', 'star_checker', None]
        assert [each['label'] for each in result['images']] == labels
        best = [each['best'][0]['label'] for each in result['images']]
        right = sum(ours == label for ours, label in zip(best, labels[:3]))
        assert result['accuracy']['images'] == 3
        assert abs(result['accuracy']['top1'] - 100 * right / 3) < 1e-4, result
        shown = ctl('classify', model(), some, '--top', 0).expect(0, f'({right} of 3)')
        assert str(some) not in shown.out, shown
        assert 'accuracy' not in ctl('classify', model(), folder / 'unlabelled.png').expect(0).out
        result = ctl.json('classify', model(), some, '--top', 2)
        assert [len(each['best']) for each in result['images']] == [2, 2, 2]
        assert len(ctl.json('classify', model(), STAR, '--top', 64)['images'][0]['best']) == 16


def test_subject(folder):
    """a model that was loaded for a command goes with it, one that was there stays"""
    with served(folder) as (ctl, _, _):
        ctl('classify', model(), STAR).expect(0)
        assert ctl.json('models') == []
        digest = ctl('load', model(), '--name', 'demo').expect(0).out.split()[1]
        for what in (model(), 'demo', digest, digest[:6]):
            ctl('classify', what, STAR).expect(0, 'star_checker')
            assert len(ctl.json('models')) == 1
        ctl('classify', 'nobody', STAR).expect(1, "'nobody': no such file, and no model")
        ctl('classify', STAR, STAR).expect(1, f'{STAR}: ')
        for command in (['classify', STAR], ['bench']):
            command.insert(1, model('--target', 'zynq7020'))
            ctl(*command).expect(1, 'no program')


def test_bad_images(folder):
    """an image that is none ends the work, and is named"""
    (folder / 'text.png').write_text('no picture')
    (folder / 'empty').mkdir()
    with served(folder) as (ctl, _, _):
        for path in (folder / 'text.png', folder / 'none.png', folder / 'empty'):
            done = ctl('classify', model(), STAR, path).expect(1, str(path))
            assert 'right' not in done.out
        assert ctl.json('models') == []


# --- bench ----------------------------------------------------------------------------------


def test_bench(folder):
    """bench has a row for each number of clients and depth, with figures that fit together"""
    with served(folder) as (ctl, _, _):
        ctl('load', model(), '--name', 'demo').expect(0)
        choice = ('--clients', '1,3', '--depth', '1,2', '--seconds', 0.2)
        result = ctl.json('bench', 'demo', *choice, '-q')
        rows = result['rows']
        assert [(row['clients'], row['depth']) for row in rows] == [(1, 1), (1, 2), (3, 1), (3, 2)]
        for row in rows:
            assert row['runs'] >= row['clients'] * row['depth'] and row['images'] == 1, row
            assert abs(row['runs'] / row['seconds'] - row['runs_per_second']) < 0.01 * row['runs']
            for times in (row['latency_ms'], row['device_ms']):
                assert 0 < times['p50'] <= times['p90'] <= times['p99'] <= times['max'], row
            assert row['device_ms']['p50'] <= row['latency_ms']['p50'], row
        # All runs were the daemon's, and all of them were counted.
        assert sum(row['runs'] for row in rows) == ctl.json('models')[0]['runs']
        shown = ctl('bench', 'demo', *choice).expect(0, 'clients  depth', 'p99 ms')
        assert len(shown.out.splitlines()) == 5, shown
        ctl('bench', 'nobody').expect(1, "'nobody'")


def test_bench_batches(folder):
    """runs of several images count so many"""
    with served(folder) as (ctl, _, _):
        row, = ctl.json('bench', model('--images', '3'), '--clients', 1, '--depth', 1, '--seconds',
                        0.1)['rows']
        assert row['images'] == 3
        assert abs(row['images_per_second'] / row['runs_per_second'] - 3) < 1e-3, row


def test_bench_limits(folder):
    """a limit that is reached is named, and nothing stays behind"""
    config = folder / 'conf'
    config.write_text('[Limits]\nMaxJobsPerUser=2\n')
    with served(folder, '-c', config) as (ctl, _, _):
        ctl('bench', model(), '--clients', 4, '--depth', 2, '--seconds', 60).expect(
            1, 'MaxJobsPerUser (2)')
        assert ctl.json('models') == []
        # A session is there until the job of it that a device works on has ended.
        end = time.monotonic() + PATIENCE
        while ctl.json('status')['limits']['MaxSessions']['used']:
            assert time.monotonic() < end, ctl.json('status')


# --- over ssh -------------------------------------------------------------------------------


def test_host(folder):
    """over ssh images are sent in messages, and the answers are the same"""
    images = sorted(IMAGES.glob('*/*.png'))[:6]
    with served(folder) as (here, _, bus):
        there = over_ssh(folder, bus)
        here('load', model(), '--name', 'demo').expect(0)
        assert answers(there.json('classify', 'demo', *images)) == expected(model(), *images)
        row, = there.json('bench', 'demo', '--clients', 2, '--depth', 2, '--seconds', 0.2)['rows']
        assert row['runs'] >= 4
        here('load', model('--images', '3'), '--name', 'batch').expect(0)
        assert answers(there.json('classify', 'batch', *images)) == expected(model(), *images)


# --- what ends them -------------------------------------------------------------------------


@contextlib.contextmanager
def under_way(ctl, *arguments):
    """the command, when runs of its have been done"""
    with ctl.start(*arguments) as process:
        try:
            while not ctl.json('devices')[0]['jobs_done']:
                assert process.poll() is None, process.communicate()
            yield process
        finally:
            process.kill()


def test_interrupted(folder):
    """Ctrl-C: what there is so far is shown, and the program has ended by it"""
    for number, arguments in enumerate((['classify', model(), *MANY], ['bench', model(),
                                                                       '--seconds', 600])):
        (folder / str(number)).mkdir()
        with served(folder / str(number)) as (ctl, _, _), \
                under_way(ctl, *arguments, '--json', '-q') as process:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
            assert process.returncode == -signal.SIGINT and not err, (process.returncode, err)
            result = json.loads(out)
            assert result['interrupted'], out
            assert 'images' in result or result['rows'][0]['runs'], out
            # It had the time to clean up.
            assert ctl.json('models') == []


def test_daemon_dies(folder):
    """a daemon that dies is told, with 3, after what there is so far"""
    for number, arguments in enumerate((['classify', model(), *MANY], ['bench', model(),
                                                                       '--seconds', 600])):
        (folder / str(number)).mkdir()
        with served(folder / str(number)) as (ctl, running, _), \
                under_way(ctl, *arguments, '-q') as process:
            running.process.kill()
            out, err = process.communicate(timeout=60)
            assert process.returncode == 3 and 'gone away' in err, (process.returncode, err)
            assert len(err.splitlines()) == 1, err


if __name__ == '__main__':
    try:
        sys.exit(tap.main(globals()))
    finally:
        TOP.cleanup()
