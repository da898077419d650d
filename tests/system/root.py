#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Debian packages as a root file system that is an initial file system of Linux.

    root.py OUTPUT DEB...

Their maintainer scripts do not run: they are for another processor. What matters of what they do is
done here, and dpkg is told that they are installed.
"""

import contextlib
import pathlib
import re
import subprocess
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'qemu'))

from initial import Archive  # noqa: E402

LIBRARIES = 'usr/lib/aarch64-linux-gnu'
# Nobody reads these there.
LEFT_OUT = re.compile(
    r'usr/share/(bash-completion|doc|i18n|info|lintian|locale|man|perl|zoneinfo|zsh)/'
    rf'|usr/lib/udev/hwdb\.d/|{LIBRARIES}/(gconv|perl)/|{LIBRARIES}/libperl')
FILES = {
    'etc/fstab': '',
    'etc/hostname': 'guest\n',
    'etc/hosts': '127.0.0.1 localhost guest\n',
    # There has been a first boot.
    'etc/machine-id': '0123456789abcdef0123456789abcdef\n',
    'etc/nsswitch.conf': 'passwd: files systemd\ngroup: files systemd\nshadow: files systemd\n',
}
LINKS = {
    'var/run': '/run',
    'etc/localtime': '/usr/share/zoneinfo/Etc/UTC',
    'usr/bin/awk': 'mawk',
    # Of update-alternatives.
    f'{LIBRARIES}/libopenblas.so.0': 'openblas-pthread/libopenblas.so.0',
    f'{LIBRARIES}/libblas.so.3': 'openblas-pthread/libblas.so.3',
    f'{LIBRARIES}/liblapack.so.3': 'openblas-pthread/liblapack.so.3',
}


def merged(name):
    """A package's name of a file: there is one folder for programs and one for libraries."""
    return re.sub(r'^(bin|sbin|lib)/', r'usr/\1/', name.removeprefix('./'))


class Root:
    """What the file system will have, by name; later files take the place of earlier ones."""

    def __init__(self):
        self.entries = {}

    def add(self, name, mode, content=b'', owner=(0, 0)):
        self.entries[name] = (mode, content, owner)

    def folder(self, name, mode=0o755):
        self.entries.setdefault(name, (0o040000 | mode, b'', (0, 0)))

    def file(self, name, content):
        self.add(name, 0o100644, content.encode())

    def append(self, name, text):
        mode, content, owner = self.entries[name]
        self.entries[name] = (mode, content + text.encode(), owner)

    def package(self, tar):
        for member in tar:
            name = merged(member.name)
            if name in ('', '.', 'bin', 'sbin', 'lib') or LEFT_OUT.match(name):
                continue
            owner, mode = (member.uid, member.gid), member.mode & 0o7777
            if member.isdir():
                self.folder(name, mode)
                continue
            if member.issym():
                self.add(name, 0o120777, member.linkname.encode(), owner)
            elif member.islnk():
                self.entries[name] = self.entries[merged(member.linkname)]
            else:
                self.add(name, 0o100000 | mode, tar.extractfile(member).read(), owner)

    def write(self, path):
        archive = Archive()
        for name in sorted(self.entries):
            mode, content, owner = self.entries[name]
            archive.add(name, mode, content, owner)
        path.write_bytes(archive.finish())


class Database:
    """What dpkg knows of the packages: it runs their triggers when others are installed."""

    def __init__(self, root):
        self.root, self.status, self.triggers = root, [], {}

    def package(self, tar):
        files = {member.name.removeprefix('./'): tar.extractfile(member).read().decode()
                 for member in tar if member.isreg()}
        control = files.pop('control')
        name = re.search(r'^Package: (.*)$', control, re.M)[1]
        self.status.append(control.strip() + '\nStatus: install ok installed\n')
        for kind, target in re.findall(r'^interest(-\w+)? (\S+)', files.get('triggers', ''), re.M):
            who = name + ('/noawait' if kind == '-noawait' else '')
            # By file, or by name.
            line = f'{target} {who}\n' if target[0] == '/' else f'{who}\n'
            self.triggers.setdefault('File' if target[0] == '/' else target, []).append(line)
        if re.search('^Multi-Arch: same', control, re.M):
            name += ':' + re.search(r'^Architecture: (.*)$', control, re.M)[1]
        for kind, content in {**files, 'list': ''}.items():
            mode = 0o100755 if content.startswith('#!') else 0o100644
            self.root.add(f'var/lib/dpkg/info/{name}.{kind}', mode, content.encode())

    def finish(self):
        self.root.file('var/lib/dpkg/status', '\n'.join(self.status))
        for name, lines in self.triggers.items():
            self.root.file(f'var/lib/dpkg/triggers/{name}', ''.join(lines))


@contextlib.contextmanager
def part(deb, which):
    with subprocess.Popen(['dpkg-deb', which, deb], stdout=subprocess.PIPE) as unpack:
        with tarfile.open(fileobj=unpack.stdout, mode='r|') as tar:
            yield tar
    assert unpack.returncode == 0, deb


def main():
    output, debs = pathlib.Path(sys.argv[1]), sys.argv[2:]
    root = Root()
    database = Database(root)
    for name in ('.', 'usr', 'usr/bin', 'usr/sbin', 'usr/lib', 'dev', 'proc', 'sys', 'run'):
        root.folder(name)
    for name in ('bin', 'sbin', 'lib'):
        root.add(name, 0o120777, f'usr/{name}'.encode())
    for deb in debs:
        with part(deb, '--fsys-tarfile') as tar:
            root.package(tar)
        with part(deb, '--ctrl-tarfile') as tar:
            database.package(tar)
    database.finish()
    for kind in ('passwd', 'group'):
        root.entries[f'etc/{kind}'] = root.entries[f'usr/share/base-passwd/{kind}.master']
    for group, number in (('input', 101), ('sgx', 102), ('kvm', 103), ('render', 104)):
        root.append('etc/group', f'{group}:x:{number}:\n')
    for name, content in FILES.items():
        root.file(name, content)
    for name, target in LINKS.items():
        root.add(name, 0o120777, target.encode())
    root.write(output)


if __name__ == '__main__':
    main()
