#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""triovitd as a program: its options, its bus, its end, and what the system is told of it."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys

import tap
from service import Bus, Running, need

daemon = tap.Program(sys.argv[1])
UNIT = pathlib.Path(sys.argv[2])
sim = tap.Program(sys.argv[3])
quantize = tap.Program(sys.argv[4])
NAME = 'org.triovit.Accelerator1'


def test_usage(_):
    """help and version on standard output, wrong usage said with exit code 2"""
    done = daemon('--help').expect(0, 'usage: triovitd')
    assert not done.err and max(map(len, done.out.splitlines())) <= 100
    assert re.fullmatch(r'triovitd \d+\.\d+\.\d+\n', daemon('--version').out)
    for arguments, text in ((['--nonsense'], 'nonsense'), (['extra'], 'extra'),
                            (['--log-level', 'loud'], 'loud'), (['--address'], 'address'),
                            (['--session', '--address', 'x'], 'not both')):
        assert not daemon(*arguments).expect(2, text).out


def test_no_bus(folder):
    """without its bus it says so and ends with 1"""
    daemon('--address', f'unix:path={folder}/none').expect(1, 'No such file')


def test_serves_and_ends(folder):
    """it answers, a second one does not start, SIGTERM and SIGINT are a success"""
    with Bus(folder) as bus:
        for number in (signal.SIGTERM, signal.SIGINT):
            with Running(daemon, bus) as running:
                done = bus.call('get-property', NAME, '/org/triovit/Accelerator1',
                                NAME + '.Manager', 'Version')
                assert re.fullmatch(r's "\d+\.\d+\.\d+"\n', done.stdout), done
                daemon('--address', bus.address).expect(1, 'another triovitd')
                running.process.send_signal(number)
                assert running.end() == (0, '')


def test_bus_goes_away(folder):
    """a bus that goes away is a reason to end, with 1"""
    with Bus(folder) as bus, Running(daemon, bus) as running:
        bus.process.kill()
        code, log = running.end()
        assert code == 1 and 'bus has gone away' in log, (code, log)


def test_log_level(folder):
    """the level of the log is read and set as of every other service"""
    where = ('org.freedesktop.LogControl1', 'LogLevel')
    with Bus(folder) as bus, Running(daemon, bus) as running:
        path = (NAME, '/org/freedesktop/LogControl1')
        assert bus.call('get-property', *path, *where).stdout == 's "info"\n'
        assert bus.call('set-property', *path, *where, 's', 'debug').returncode == 0
        assert bus.call('get-property', *path, *where).stdout == 's "debug"\n'
        done = bus.call('set-property', *path, *where, 's', 'loud')
        assert done.returncode and 'expected debug, info' in done.stderr, done
        running.process.terminate()
        code, log = running.end()
        assert code == 0 and 'log level set to debug' in log


def test_notifies(folder):
    """the service manager hears when it is ready, that it lives, and that it ends"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, Bus(folder) as bus:
        manager.bind(str(folder / 'notify'))
        manager.settimeout(60)
        process = subprocess.Popen(
            [*daemon.command, '--address', bus.address, '--log-level', 'err'],
            env=dict(os.environ, NOTIFY_SOCKET=str(folder / 'notify'), WATCHDOG_USEC='200000'))
        try:
            while not (word := manager.recv(4096)).startswith(b'READY=1'):
                assert word == b'WATCHDOG=1', word
            for _ in range(3):
                assert manager.recv(4096) == b'WATCHDOG=1'
            process.terminate()
            while manager.recv(4096) == b'WATCHDOG=1':
                pass
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
            process.wait()


def test_sandbox(folder):
    """the unit is as locked up as it was: at most 2.0 by systemd's own account"""
    need('systemd-analyze')
    unit = folder / 'triovitd.service'
    text = UNIT.read_text()
    # The file that it starts need not be installed here.
    unit.write_text(re.sub(r'ExecStart=.*', 'ExecStart=/bin/true', text))
    done = subprocess.run(['systemd-analyze', 'security', '--offline=true', '--threshold=20',
                           str(unit)], capture_output=True, text=True, timeout=60)
    level = re.search(r'exposure level for triovitd.service: ([0-9.]+)', done.stdout)
    assert level and float(level[1]) <= 2.0 and done.returncode == 0, done
    done = subprocess.run(['systemd-analyze', 'verify', '--man=no', str(unit)],
                          capture_output=True, text=True, timeout=60)
    assert 'triovitd.service' not in done.stderr, done.stderr


def test_node_rules(_):
    """the rules of the device nodes come when tags can be taken off, and still count"""
    rules, = (pathlib.Path(__file__).parents[2] / 'daemon/data').glob('*.rules')
    assert '71-seat.rules' < rules.name < '73-seat-late.rules', rules
    assert 'TAG-="uaccess"' in rules.read_text()


MANAGER = (NAME, '/org/triovit/Accelerator1', NAME + '.Manager')


def paths(bus, kind):
    """the objects of a kind that everybody sees"""
    done = bus.call('tree', '--list', NAME)
    assert done.returncode == 0, done
    return [line for line in done.stdout.splitlines() if f'/{kind}/' in line]


def devices(bus):
    """target and state of each"""
    return [tuple(bus.call('get-property', NAME, path, NAME + '.Device', name).stdout.split('"')[1]
                  for name in ('Target', 'State')) for path in paths(bus, 'devices')]


def test_devices(folder):
    """the configuration and the command line say which devices in software there are"""
    config = folder / 'triovitd.conf'
    with Bus(folder) as bus:
        for text, arguments, targets in (
                (None, [], ['zcu102']),
                ('', [], ['zcu102']),
                ('[Devices]\nSoftwareTarget=zc706\n', [], ['zc706']),
                ('[Devices]\nSoftware=always\n', [], ['zcu102']),
                ('[Devices]\nSoftware=never\n', [], []),
                ('[Devices]\nSoftware=never\n', ['--software', 'kv260', '--software', 'kv260'],
                 ['kv260', 'kv260'])):
            if text is not None:
                config.write_text(text)
                arguments = ['--config', config, *arguments]
            with Running(daemon, bus, *arguments):
                assert devices(bus) == [(target, 'ready') for target in targets], text
                # To come and to go, as others do when they are plugged.
                added = bus.call('call', *MANAGER, 'AddSoftware', 's', 'zynq7020')
                path = re.fullmatch(r'o "(.*)"\n', added.stdout)[1]
                assert path in paths(bus, 'devices')
                assert not bus.call('call', NAME, path, NAME + '.Device', 'Remove').returncode
                assert path not in paths(bus, 'devices')
                done = bus.call('call', NAME, path, NAME + '.Device', 'Remove')
                assert 'no such object' in done.stderr, done
                done = bus.call('call', *MANAGER, 'AddSoftware', 's', 'zcu103')
                assert "no target 'zcu103'" in done.stderr, done


def test_configuration(folder):
    """what is wrong with a configuration is said with its line, with an exit code of its own"""
    config = folder / 'triovitd.conf'
    config.write_text('[Limits]\nMaxJobs=many\n')
    daemon('--config', config).expect(6, f'{config}:2: MaxJobs is "many"')
    daemon('--config', folder / 'none').expect(6, 'No such file')
    daemon('--software', 'zcu103').expect(2, "no target 'zcu103'")
    # The service manager does not try again what cannot go well.
    assert re.search(r'^RestartPreventExitStatus=2 6$', UNIT.read_text(), re.M)
    config.write_text('[Limits]\nMaxJobs=77\nMaxJobTime=20ms\n')
    with Bus(folder) as bus, Running(daemon, bus, '--config', config):
        done = bus.call('get-property', *MANAGER, 'Limits')
        assert '"MaxJobs" 77 ' in done.stdout and '"MaxJobsPerUser" 256 ' in done.stdout, done
        assert bus.call('get-property', *MANAGER, 'MaxJobUSec').stdout == 't 20000\n'


def small_model(folder, name):
    """A random network at 32x32."""
    checkpoint, path = folder / 'small-checkpoint.safetensors', folder / name
    sim('random', 'b0', '--size', 32, '--classes', 16, '-o', checkpoint).expect(0)
    quantize(checkpoint, '--calibrate', tap.SOURCE / 'demo/images', '--limit', 4, '-o', path,
             '--quiet').expect(0)
    return path


def test_models(folder):
    """models of the administrator's folder are there for everybody, from the start"""
    models = folder / 'models'
    models.mkdir()
    good = small_model(models, 'small.b0.safetensors')
    (models / 'small-checkpoint.safetensors').unlink(missing_ok=True)
    good.chmod(0o644)
    for name in ('writable', 'link', 'garbage', '.hidden'):
        shutil.copy(good, models / f'{name}.safetensors')
    (models / 'writable.safetensors').chmod(0o666)
    (models / 'link.safetensors').unlink()
    (models / 'link.safetensors').symlink_to(good)
    (models / 'garbage.safetensors').write_bytes(b'garbage')
    (models / 'folder').mkdir()
    with Bus(folder) as bus, Running(daemon, bus, '--models', models) as running:
        model, = paths(bus, 'models')
        for name, value in (('Name', 's "small"\n'), ('Public', 'b true\n'), ('Width', 'u 32\n')):
            assert bus.call('get-property', NAME, model, NAME + '.Model', name).stdout == value
        for name in ('writable', 'link', 'garbage', 'folder'):
            assert name in running.log, (name, running.log)
        assert 'hidden' not in running.log
        image = ['3072', *map(str, (i * 7 % 256 for i in range(3072)))]
        done = bus.call('call', NAME, model, NAME + '.Model', 'Run', 'aya{sv}', *image, '1', 'top',
                        'u', '1')
        assert done.stdout.startswith('aya{sv} 32 ') and '"top" aa(usd) 1 1 ' in done.stdout, done
    models.chmod(0o777)
    with Bus(folder) as bus:
        daemon('--address', bus.address, '--models', models).expect(1, 'others than root')
        models.chmod(0o755)
        # Nothing to run it on is no reason to restart again and again.
        config = folder / 'triovitd.conf'
        config.write_text('[Devices]\nSoftware=never\n')
        with Running(daemon, bus, '--models', models, '--config', config):
            model, = paths(bus, 'models')
            done = bus.call('call', *MANAGER, 'OpenSession', 'oa{sv}', model, '0')
            assert 'no program for runs of 1 image on a device that is there' in done.stderr, done


sys.exit(tap.main(globals()))
