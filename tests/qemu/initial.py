# SPDX-License-Identifier: MIT
"""Initial file systems of Linux, and modules to put into them."""

import lzma
import pathlib
import re


class Archive:
    """An initial file system, as cpio's "newc" format has it."""

    def __init__(self):
        self.data, self.count, self.folders = bytearray(), 0, set()

    def add(self, name, mode, content=b'', owner=(0, 0)):
        if mode & 0o040000:
            self.folders.add(name)
        parent = name.rpartition('/')[0]
        if parent and parent not in self.folders:
            self.add(parent, 0o040755)
        self.count += 1
        fields = (self.count, mode, *owner, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        self.data += b'070701' + b''.join(b'%08x' % field for field in fields)
        self.data += name.encode() + b'\0'
        self.data += bytes(-len(self.data) % 4) + content
        self.data += bytes(-len(self.data) % 4)

    def file(self, name, path, mode=0o100644):
        self.add(name, mode, pathlib.Path(path).read_bytes())

    def finish(self):
        self.add('TRAILER!!!', 0)
        return bytes(self.data)


def modules(kernel, needed):
    """The needed ones and all they depend on, in the order of loading: (name, bytes)."""
    files = {re.sub(r'\.ko.*', '', path.name).replace('-', '_'): path
             for path in kernel.glob('lib/modules/*/kernel/drivers/**/*.ko*')}
    built_in = {pathlib.Path(line).stem.replace('-', '_')
                for path in kernel.glob('lib/modules/*/modules.builtin')
                for line in path.read_text().split()}
    order = {}

    def load(name):
        name = name.replace('-', '_')
        if name in order or name in built_in:
            return
        data = files[name].read_bytes()
        if files[name].suffix == '.xz':
            data = lzma.decompress(data)
        for other in re.search(rb'depends=([^\0]*)\0', data)[1].decode().split(','):
            if other:
                load(other)
        order[name] = data

    for name in needed:
        load(name)
    return order
