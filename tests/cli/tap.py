# SPDX-License-Identifier: MIT
"""Tests of command line programs: functions named test_..., their outcome in TAP.

A test fails with an AssertionError and is skipped with Skip(reason). It gets an empty folder of its
own. The docstring is its name.
"""

import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import traceback

SOURCE = pathlib.Path(os.environ.get('TV_SOURCE_DIR', '.')).resolve()
# Set where the machine is slow (emulated): fewer rounds of the same.
SLOW = 'TV_SLOW' in os.environ
TIMEOUT = 600


class Skip(Exception):
    pass


class Result:
    """How a program ended and what it said."""

    def __init__(self, command, done):
        self.command, self.code = command, done.returncode
        self.out, self.err = done.stdout or '', done.stderr

    def expect(self, code, *texts):
        """The exit code, and texts that standard error (of a failure) or output must hold."""
        said = self.err if code else self.out
        assert self.code == code, f'exit code {self.code}, expected {code}{self}'
        for text in texts:
            assert text in said, f'{text!r} is missing{self}'
        return self

    def __str__(self):
        return (f'\ncommand: {shlex.join(self.command)}\nexit code: {self.code}\n'
                f'standard output: {self.out[-2000:]}\nstandard error: {self.err[-2000:]}')


class Program:
    """A built program, through the emulator if it is for another machine."""

    def __init__(self, path):
        wrapper = shlex.split(os.environ.get('MESON_EXE_WRAPPER', ''))
        self.command = wrapper + [os.path.abspath(path)]

    def __call__(self, *arguments, text='', stdout=subprocess.PIPE, cwd=None, before=None):
        """text is what it reads on standard input, before() is called in its process first."""
        command = self.command + [str(argument) for argument in arguments]
        done = subprocess.run(command, input=text, stdout=stdout, stderr=subprocess.PIPE, cwd=cwd,
                              timeout=TIMEOUT, encoding='utf-8', errors='surrogateescape',
                              check=False, preexec_fn=before)
        return Result(command, done)


def main(tests):
    """Runs the functions of a module's globals() and returns the exit code."""
    # A failure may show a file name in any encoding.
    sys.stdout.reconfigure(errors='backslashreplace')
    tests = [test for name, test in tests.items() if name.startswith('test_')]
    print(f'1..{len(tests)}', flush=True)
    failed = False
    for number, test in enumerate(tests, 1):
        name = test.__doc__.strip()
        try:
            with tempfile.TemporaryDirectory() as folder:
                test(pathlib.Path(folder))
            print(f'ok {number} - {name}', flush=True)
        except Skip as reason:
            print(f'ok {number} - {name} # SKIP {reason}', flush=True)
        except Exception:  # whatever went wrong, the other tests still run
            failed = True
            print(f'not ok {number} - {name}', flush=True)
            for line in traceback.format_exc().splitlines():
                print(f'# {line}', flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit('this is a module of the tests beside it')
