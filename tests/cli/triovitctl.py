#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""triovitctl's commands that look after the daemon: triovitctl.py CTL TRIOVITD QUANTIZE SIM"""
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys

import tap
from ctl import COMMANDS, STAR, TOP, Ctl, daemon, model, over_ssh, program, served
from service import Bus, Running, need

COMPLETION = tap.SOURCE / 'tools/completion/triovitctl'
MANUAL = tap.SOURCE / 'docs/man/triovitctl.1'


def options_of(*arguments):
    """what the help says"""
    return re.findall(r'^  (?:-.,|   ) (--[a-z-]+)', program(*arguments, '--help').expect(0).out,
                      re.M)


# --- usage ----------------------------------------------------------------------------------


def test_help(_):
    """help and version on standard output, for each command, within 80 columns"""
    done = program('--help').expect(0, 'usage: triovitctl COMMAND', 'Exit codes: 0', '3 the daemon')
    assert tuple(re.findall(r'^  ([a-z]+)  ', done.out, re.M)) == COMMANDS, done
    for command in COMMANDS:
        shown = program(command, '--help').expect(0, f'usage: triovitctl {command} ', '--json')
        assert max(map(len, shown.out.splitlines())) <= 80 and not shown.err, shown
        assert program('-h', command).out == shown.out
    assert re.fullmatch(r'triovitctl \d+\.\d+\.\d+\n', program('--version').expect(0).out)


def test_manual(_):
    """the manual page has every command and every option"""
    text = MANUAL.read_text()
    for command in COMMANDS:
        assert re.search(rf'^\.It Cm {command}\b', text, re.M), command
        for option in options_of(command):
            assert '\\' + option[1:] in text, option


def test_wrong_usage(_):
    """wrong usage is said, with exit code 2, without a daemon"""
    for arguments, text in (
            ([], 'a command is missing'), (['fly'], "no command 'fly'"),
            (['status', 'now'], "'now' is one argument too many"), (['load'], 'expected FILE'),
            (['classify', 'm'], 'expected MODEL'), (['status', '--fast'], 'unrecognized'),
            (['status', '--name', 'x'], 'has no option --name'),
            (['load', 'f', '-n', 1], 'has no option --count'),
            (['devices', 'fly', 'x'], "not 'fly'"), (['devices', 'test'], 'test what?'),
            (['models', 'fly', 'x'], "not 'fly'"), (['models', 'unload'], 'unload what?'),
            (['bench', 'm', '--clients', '1,x'], "--clients: 'x' is no whole number from 1 to 64"),
            (['bench', 'm', '--clients', '65'], '1 to 64'), (['bench', 'm', '--depth', ''], '1 to'),
            (['bench', 'm', '--depth', ','.join('1' * 17)], 'more than 16'),
            (['bench', 'm', '--seconds', 'nan'], "'nan' is no number"),
            (['top', '-d', '0'], "--delay: '0' is no number"), (['top', '-n', '0'], '--count'),
            (['classify', 'm', 'i', '--top', '65'], '0 to 64'),
            (['status', '--session', '-H', 'x'], 'one of --host'),
            (['status', '--session', '--address', 'y'], 'one of --host')):
        assert not program(*arguments).expect(2, text, "Try 'triovitctl").out, arguments


def test_nobody_there(folder):
    """without a bus or a daemon every command says so and ends with 3"""
    arguments = {'load': [STAR], 'classify': ['m', STAR], 'bench': ['m']}
    nowhere = Ctl('--address', f'unix:path={folder}/none')
    with Bus(folder) as bus:
        for command in COMMANDS:
            for ctl in (nowhere, Ctl('--address', bus.address)):
                if command == 'doctor' or (command == 'monitor' and ctl != nowhere):
                    continue
                done = ctl(command, *arguments.get(command, ())).expect(
                    3, 'No such file' if ctl == nowhere else 'triovitd does not run')
                assert not done.out and len(done.err.splitlines()) == 1, done


def test_full_disk(folder):
    """output that cannot be written is a failure"""
    with served(folder) as (ctl, _, _), open('/dev/full', 'w', encoding='ascii') as full:
        for arguments in (['status'], ['models', '--json'], ['top', '-n', 1, '-d', 0.01]):
            ctl(*arguments, stdout=full).expect(1, 'standard output: No space left')


# --- status, devices, models ----------------------------------------------------------------


def test_status(folder):
    """status has the version, what there is, and every limit"""
    with served(folder, '--software', 'zcu102', '--software', 'zynq7020') as (ctl, _, bus):
        ctl('load', model(), '--name', 'demo').expect(0)
        ctl('status').expect(0, bus.address, 'devices    2 (2 ready)', 'models     1 that',
                             'at most 500 ms', '\nMaxSessions ')
        shown = ctl.json('status')
        assert [each['target'] for each in shown['devices']] == ['zcu102', 'zynq7020']
        assert [each['name'] for each in shown['models']] == ['demo']
        assert shown['limits']['MaxModels'] == {'limit': 256, 'used': 1}
        assert shown['limits']['MaxModelsPerUser'] == {'limit': 32}
        assert shown['max_job_usec'] == 500000


def add_device(ctl, target):
    """and wait until it has been tested"""
    name = ctl('devices', 'add', target).expect(0).out.strip()
    while any(each['state'] == 'testing' for each in ctl.json('devices')):
        pass
    return name


def test_devices(folder):
    """devices are listed, tested, added and removed"""
    with served(folder, '--software', 'zcu102') as (ctl, _, _):
        shown = ctl('devices').expect(0, 'zcu102', 'software', 'ready').out
        first = shown.splitlines()[1].split()[0]
        ctl('devices', 'test', first).expect(0, f'{first} computes as it should')
        assert not ctl('devices', 'test', first, '-q').expect(0).out
        second = add_device(ctl, 'zynq7020')
        assert [(each['path'].partition('Accelerator1/')[2], each['target'], each['clock_khz'])
                for each in ctl.json('devices')] == [(first, 'zcu102', 200000),
                                                     (second, 'zynq7020', 100000)]
        ctl('devices', 'remove', f'/org/triovit/Accelerator1/{second}').expect(0)
        for verb in ('test', 'remove'):
            ctl('devices', verb, second).expect(1, f"there is no device '{second}'")
        ctl('devices', 'add', 'abacus').expect(1, "there is no target 'abacus'")


def test_models(folder):
    """models are listed and found by name, digest and path; published and unloaded"""
    with served(folder) as (ctl, _, _):
        assert ctl.json('models') == []
        said = ctl('load', model(), '--name', 'demo').expect(0).out.split()
        shown = ctl.json('models')[0]
        assert [shown['path'].partition('Accelerator1/')[2], shown['digest']] == said
        assert shown['name'] == 'demo' and shown['classes'] == len(shown['labels']) == 16
        assert [(each['target'], each['images']) for each in shown['programs']] == [('zcu102', 1)]
        ctl('models').expect(0, 'demo', shown['digest'][:12], 'zcu102 (1)', '96x96', ' no\n')
        for verb, published in (('publish', True), ('unpublish', False)):
            ctl('models', verb, shown['digest'][:8]).expect(0)
            assert ctl.json('models')[0]['published'] == published
        ctl('models', 'unload', shown['digest'][:5]).expect(1, 'no model that is loaded')
        ctl('load', model('--images', '2'), '--name', 'demo').expect(0)
        ctl('models', 'unload', 'demo').expect(1, "'demo': 2 models")
        ctl('models', 'unload', said[0]).expect(0)
        ctl('models', 'unload', 'demo').expect(0)
        assert ctl.json('models') == []


def test_load(folder):
    """packages are loaded from files and from standard input, other things are refused"""
    config = folder / 'conf'
    config.write_text('[Limits]\nMaxBytesPerUser=8M\n')
    with served(folder, '-c', config) as (ctl, _, _):
        digest = ctl.json('load', model())['digest']
        with open(model(), 'rb') as file:
            done = ctl.fed(file, 'load', '-', '--json').expect(0)
        assert json.loads(done.out)['digest'] == digest
        data = model().read_bytes()
        shown = json.loads(ctl.fed(data, 'load', '-', '--json', '--name', 'piped').expect(0).out)
        assert shown['digest'] == digest and len(ctl.json('models')) == 1
        assert not ctl('load', model(), '-q').expect(0).out
        ctl.fed(data[:100000], 'load', '-').expect(1, 'standard input: ')
        ctl.fed(data * 4, 'load', '-').expect(1, '8388608 bytes of MaxBytesPerUser')
        ctl('load', STAR).expect(1, f'{STAR}: ', 'safetensors')
        ctl('load', folder / 'none').expect(1, f'triovitctl: {folder}/none: No such file')
        ctl('load', folder).expect(1, str(folder))


def test_terminal(folder):
    """control characters in names do not reach the terminal"""
    evil = '\x1b[2J'
    with served(folder) as (ctl, _, _):
        ctl('load', model(), '--name', evil).expect(0)
        for arguments in (['models'], ['status'], ['top', '-n', 1, '-d', 0.01], ['doctor'],
                          ['classify', evil, STAR], ['models', 'unload', evil + 'x'],
                          ['devices', 'test', evil], [evil]):
            done = ctl(*arguments)
            assert '\x1b' not in done.out + done.err, done


# --- top, monitor ---------------------------------------------------------------------------


def test_top(folder):
    """top shows rates and what is in use, view by view; the end of the daemon is told"""
    with served(folder) as (ctl, running, _):
        ctl('load', model(), '--name', 'demo').expect(0)
        shown = ctl('top', '-n', 2, '-d', 0.02).expect(0, 'busy %', 'runs/s', 'demo', 'MaxJobs')
        assert shown.out.count('busy %') == 2 and '\x1b' not in shown.out, shown
        with ctl.start('top', '--json', '-d', 0.02) as process:
            views = [json.loads(process.stdout.readline())]
            assert views[0]['models'][0]['runs'] == 0 == views[0]['devices'][0]['busy_percent']
            ctl('classify', 'demo', STAR).expect(0)
            while not views[-1]['models'][0]['runs']:
                views.append(json.loads(process.stdout.readline()))
            assert views[-1]['models'][0]['runs_per_second'] > 0, views
            # What the device did may have been seen a view earlier.
            for rate in ('runs_per_second', 'busy_percent'):
                assert max(view['devices'][0][rate] for view in views) > 0, views
            running.process.kill()
            rest, err = process.communicate(timeout=60)
            assert process.returncode == 3 and 'gone away' in err, (rest, err)


def test_top_terminal(folder):
    """on a terminal each view begins on an empty screen; Ctrl-C is how it ends"""
    with served(folder) as (ctl, _, _):
        master, slave = pty.openpty()
        with ctl.start('top', '-d', 0.02, stdout=slave) as process:
            os.close(slave)
            seen = b''
            while seen.count(b'\x1b[H\x1b[2J') < 2:
                seen += os.read(master, 4096)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == -signal.SIGINT
        os.close(master)


def test_monitor(folder):
    """monitor tells of devices, of published models, and of the daemon"""
    with Bus(folder) as bus:
        ctl = Ctl('--address', bus.address)
        with ctl.start('monitor', '--json') as process:
            assert 'watching' in process.stderr.readline()

            def until(**wanted):
                while True:
                    event = json.loads(process.stdout.readline())
                    if all(event.get(key) == value for key, value in wanted.items()):
                        return event

            with Running(daemon, bus):
                until(event='started')
                device = ctl('devices', 'add', 'zynq7020').expect(0).out.strip()
                path = f'/org/triovit/Accelerator1/{device}'
                event = until(event='added', path=path)
                assert event['interface'] == 'org.triovit.Accelerator1.Device'
                assert event['properties']['Target'] == 'zynq7020'
                until(event='changed', path=path, properties={'State': 'ready'})
                ctl('devices', 'remove', device).expect(0)
                until(event='removed', path=path)
                digest = ctl('load', model()).expect(0).out.split()[1]
                ctl('models', 'publish', digest).expect(0)
                event = until(event='added')
                assert event['properties']['Digest'] == digest
                assert event['properties']['Programs'][0][:2] == ['zcu102', 1]
            until(event='ended')
            bus.process.kill()
            assert process.wait(timeout=60) == 3 and 'gone away' in process.stderr.read()


def test_monitor_text(folder):
    """for people an event is a line with the time, and Ctrl-C ends it"""
    with served(folder) as (ctl, _, _):
        with ctl.start('monitor') as process:
            assert 'watching' in process.stderr.readline()
            device = ctl('devices', 'add', 'zynq7020').expect(0).out.strip()
            line = process.stdout.readline()
            assert re.match(r'\d\d:\d\d:\d\d\.\d\d\d  added     ', line), line
            assert f'  {device}  ' in line and ' Target="zynq7020"' in line, line
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == -signal.SIGINT


# --- doctor ---------------------------------------------------------------------------------


def findings(done):
    """the subjects that are not good, with how they are and what is said"""
    return {(each['subject'], each['state']): each['text'] for each in json.loads(done.out)
            if each['state'] != 'good'}


def diagnose(ctl, code, subject, state, text):
    done = ctl('doctor', '--json').expect(code)
    found = findings(done)
    assert list(found) == [(subject, state)] and text in found[subject, state], done
    advised = ctl('doctor').expect(code)
    assert re.search(rf'^{state} +{subject} .*\n +-> ', advised.out, re.M), advised


def test_doctor_well(folder):
    """doctor finds nothing wrong where nothing is"""
    with served(folder) as (ctl, _, _):
        ctl('load', model()).expect(0)
        done = ctl('doctor', '--json').expect(0)
        assert {each['subject'] for each in json.loads(done.out)} == {
            'kernel', 'bus', 'daemon', 'devices', 'models', 'limits'}
        assert not [key for key in findings(done) if key[0] != 'kernel']
        ctl('doctor').expect(0, 'good      bus ', 'good      limits ')
        need('setarch')
        old = subprocess.run(['setarch', '--uname-2.6', *program.command, *ctl.where, 'doctor'],
                             capture_output=True, text=True, check=True, timeout=60)
        assert re.search(r'^doubtful  kernel .* [23]\.\d+.*\n +-> take a kernel', old.stdout, re.M), old


def test_doctor_unreachable(folder):
    """doctor says why there is no daemon"""
    diagnose(Ctl('--address', f'unix:path={folder}/none'), 3, 'bus', 'wrong', 'No such file')
    with Bus(folder) as bus:
        diagnose(Ctl('--address', bus.address), 3, 'daemon', 'wrong', 'does not know how to start')
    (folder / 'services').mkdir()
    (folder / 'services/x.service').write_text(
        '[D-BUS Service]\nName=org.triovit.Accelerator1\nExec=/bin/false\n')
    (folder / 'bus').unlink(missing_ok=True)
    with Bus(folder, f'<servicedir>{folder}/services</servicedir>') as bus:
        diagnose(Ctl('--address', bus.address), 3, 'daemon', 'wrong', 'it does not start')
    (folder / 'bus').unlink(missing_ok=True)
    deny = ('<policy context="mandatory"><deny send_destination="org.triovit.Accelerator1"/>'
            '</policy>')
    with served(folder, rules=deny) as (ctl, _, _):
        diagnose(ctl, 3, 'daemon', 'wrong', 'you may not talk to it')
        ctl('status').expect(1, 'triovitctl: ')


def test_doctor_devices(folder):
    """doctor says what is wrong with devices and models"""
    with served(folder, '--software', 'zynq7020') as (ctl, _, _):
        ctl('load', model('--target', 'zynq7020'), '--name', 'other').expect(0)
        zynq = ctl.json('devices')[0]['path']
        add_device(ctl, 'zcu102')
        ctl('devices', 'remove', zynq).expect(0)
        diagnose(ctl, 1, 'models', 'wrong', 'it is for zynq7020 (1)')
        ctl('models', 'unload', 'other').expect(0)
        ctl('devices', 'remove', ctl.json('devices')[0]['path']).expect(0)
        diagnose(ctl, 1, 'devices', 'wrong', 'there are none')


def test_doctor_limits(folder):
    """doctor names limits that are reached, or nearly"""
    config = folder / 'conf'
    config.write_text('[Limits]\nMaxModels=1\nMaxModelsPerUser=1\n')
    with served(folder, '-c', config) as (ctl, _, _):
        ctl('load', model()).expect(0)
        diagnose(ctl, 1, 'limits', 'wrong', 'MaxModels: 1 of 1 in use')
    (folder / 'bus').unlink(missing_ok=True)
    size = model().stat().st_size
    config.write_text(f'[Limits]\nMaxBytes={size * 106 // 100}\n')
    with served(folder, '-c', config) as (ctl, _, _):
        ctl('load', model()).expect(0)
        diagnose(ctl, 0, 'limits', 'doubtful', 'MaxBytes: ')


# --- another machine, completion ------------------------------------------------------------


def test_host(folder):
    """over ssh it does what needs no file, and says how a model gets there"""
    with served(folder) as (here, _, bus):
        there = over_ssh(folder, bus)
        here('load', model(), '--name', 'demo').expect(0)
        there('status').expect(0, 'on nobody@nowhere', 'devices    1')
        assert there.json('models') == here.json('models')
        device = add_device(there, 'zynq7020')
        there('devices', 'test', device).expect(0)
        there('devices', 'remove', device).expect(0)
        there('top', '-n', 1, '-d', 0.02).expect(0, 'demo')
        there('doctor').expect(0, 'good      daemon')
        for arguments in (['load', model()], ['bench', model()], ['classify', model(), STAR]):
            there(*arguments).expect(1, 'ssh nobody@nowhere triovitctl load - < ')
        with there.start('monitor', '--json') as process:
            assert 'watching' in process.stderr.readline()
            here('devices', 'add', 'zynq7020').expect(0)
            assert json.loads(process.stdout.readline())['event'] == 'added'
            process.terminate()
        os.remove(folder / 'ssh')
        (folder / 'ssh').write_text('#!/bin/sh\necho no route >&2\nexit 255\n')
        (folder / 'ssh').chmod(0o755)
        there('status').expect(3, 'no route')


def complete(*words):
    """what bash offers for the last of words"""
    script = f'''
        _init_completion() {{ words=("${{COMP_WORDS[@]}}"); cword=$COMP_CWORD
            cur=${{words[cword]}}; prev=${{words[cword-1]}}; }}
        _filedir() {{ COMPREPLY+=(FILES); }}
        source '{COMPLETION}'
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        _triovitctl; printf '%s\\n' "${{COMPREPLY[@]}}"'''
    done = subprocess.run(['bash', '-euc', script, 'bash', shutil.which('triovitctl'), *words],
                          capture_output=True, text=True, timeout=60, check=False)
    assert not done.stderr, done
    return done.stdout.split()


def test_completion(folder):
    """bash completes commands, options, targets, devices and models"""
    with served(folder) as (ctl, _, _):
        ctl('load', model(), '--name', 'demo').expect(0)
        (folder / 'triovitctl').write_text(
            f'#!/bin/sh\nexec {" ".join(program.command)} "$@"\n')
        (folder / 'triovitctl').chmod(0o755)
        os.environ['PATH'] = f'{folder}:{os.environ["PATH"]}'
        where, = (ctl.where,)
        device, loaded = (ctl.json(what)[0]['path'].partition('Accelerator1/')[2]
                          for what in ('devices', 'models'))
        assert complete('') == list(COMMANDS)
        assert complete('de') == ['devices']
        assert complete('--') == options_of()
        for command in COMMANDS:
            assert complete(command, '--') == options_of(command)
        assert complete('bench', '--c') == ['--clients']
        assert complete(*where, 'devices', '') == ['test', 'add', 'remove']
        assert complete('devices', 'add', 'zy') == ['zynq7020']
        assert complete(*where, 'devices', 'test', '') == [device]
        assert complete(*where, 'models', 'unload', '') == ['demo', loaded]
        assert complete(*where, 'bench', 'de') == ['FILES', 'demo']
        assert complete('load', '') == ['FILES']
        assert not complete('bench', 'x', '--clients', '')


if __name__ == '__main__':
    try:
        sys.exit(tap.main(globals()))
    finally:
        TOP.cleanup()
