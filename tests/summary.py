#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts test cases for tests/run.

    summary.py RESULTS meson LANE SUITE TESTLOG STATUS     what a "meson test" wrote
    summary.py RESULTS tap LANE SUITE FILE STATUS SECONDS  what one TAP program wrote
    summary.py RESULTS whole LANE SUITE OUTCOME REASON     a suite that could not even begin
    summary.py RESULTS table                               the table and the last line

Each call but the last adds a line of JSON to RESULTS. A test program speaks TAP, and what counts
are its cases: "# skipped NAME: reason" says that case NAME could not run here although it returned
without failing (as libcheck has it); "ok 1 - NAME # SKIP reason" says so in TAP's own words. A
program that dies before it has said how its cases ended is one failure more. "# measured: TEXT" is
repeated beneath the table.
"""

import json
import re
import sys
import textwrap

RESULT = re.compile(r'^(not )?ok\b\s*\d*\s*(?:-\s*)?(.*)$')
DIRECTIVE = re.compile(r'\s*#\s*(skip|todo)\S*\s*(.*)$', re.IGNORECASE)
PLAN = re.compile(r'^1\.\.(\d+)(?:\s*#\s*(.*))?')
MEASURED = re.compile(r'^# measured: (.*)$')
SKIPPED = re.compile(r'^# skipped ([^:]+): (.*)$')
LOG_LINES = 80


class Count:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []
        self.measured = []

    def tap(self, program, text, died):
        """Adds what a program said on standard output; died: how it ended if not well."""
        where = f'{program}: ' if program else ''
        skipped, passed, failed, planned = {}, 0, [], None
        for line in text.splitlines():
            if match := MEASURED.match(line):
                self.measured.append(where + match[1])
            elif match := SKIPPED.match(line):
                skipped[match[1]] = match[2]
            elif match := PLAN.match(line):
                planned = int(match[1])
                if planned == 0:
                    skipped[program] = re.sub(r'(?i)^skip\S*\s*', '', match[2] or '') or 'no cases'
            elif match := RESULT.match(line):
                directive = DIRECTIVE.search(match[2])
                # libcheck names a case by its source file as the compiler was given it.
                name = re.sub(r'^(\.\./)+', '', DIRECTIVE.sub('', match[2]))
                if directive and directive[1].lower() == 'skip':
                    skipped[name] = directive[2]
                    passed += 1
                elif match[1] and not directive:
                    failed.append(name)
                else:
                    passed += 1
        ran = passed + len(failed)
        if died and not failed:
            failed.append(died)
        elif planned is not None and planned > ran:
            failed.append(f'{planned - ran} of {planned} cases did not run')
        elif planned is None:
            failed.append('ended without a plan')
        self.passed += max(0, passed - len(skipped))
        self.failed += [where + name for name in failed]
        self.skipped += [where + (reason if name == program else f'{name}: {reason}')
                         for name, reason in skipped.items()]
        return bool(failed)

    def program(self, name, result, code):
        """Adds a program that tells its outcome by its exit code alone."""
        if result == 'SKIP':
            self.skipped.append(f'{name}: exit code {code}')
        elif result in ('OK', 'EXPECTEDFAIL'):
            self.passed += 1
        else:
            self.failed.append(f'{name}: {result.lower()}, exit code {code}')
            return True
        return False


def show_log(name, *texts):
    lines = [line for text in texts if text for line in text.rstrip().splitlines()
             if not line.startswith('ok ')]
    print(f'    --- {name}')
    if len(lines) > LOG_LINES:
        print(f'    | ({len(lines) - LOG_LINES} lines more before)')
    for line in lines[-LOG_LINES:]:
        print(f'    | {line}')


def count_meson(path, status):
    count, seconds = Count(), 0.0
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            tests = [json.loads(line) for line in file if line.strip()]
    except (OSError, ValueError):
        tests = []
    first = min((test['starttime'] for test in tests), default=0)
    for test in tests:
        name = test['name'].split(' / ')[-1]
        out, result = test.get('stdout', ''), test['result']
        seconds = max(seconds, test['starttime'] - first + test['duration'])
        if re.search(r'^(not )?ok\b|^1\.\.\d', out, re.MULTILINE):
            died = None
            if result not in ('OK', 'SKIP', 'EXPECTEDFAIL'):
                died = f'{result.lower()}, exit code {test["returncode"]}'
            bad = count.tap(name, out, died)
        else:
            bad = count.program(name, result, test['returncode'])
        if bad:
            show_log(f'{name} ({result.lower()}, exit code {test["returncode"]})', out,
                     test.get('stderr', ''))
    if not count.failed and (status or not tests):
        # A suite that lost its tests must not look like one that passed.
        count.failed.append(f'meson test ended with {status}' if status else 'it has no tests')
    return count, seconds


def count_tap(path, status, seconds):
    count = Count()
    with open(path, encoding='utf-8', errors='replace') as file:
        count.tap('', file.read(), f'exit code {status}' if status else None)
    return count, seconds


def table(rows):
    heads = ('lane', 'suite', 'passed', 'failed', 'skipped', 'seconds')
    lines = [heads] + [(row['lane'], row['suite'], str(row['passed']), str(len(row['failed'])),
                        str(len(row['skipped'])), f'{row["seconds"]:.1f}') for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    print()
    for line in lines:
        cells = [cell.ljust(width) if i < 2 else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(line, widths))]
        print('  '.join(cells))
    print()
    for what in ('measured', 'skipped', 'failed'):
        for row in rows:
            for name in row[what]:
                # The log above has the rest of a long one.
                print(textwrap.shorten(f'{what}: {row["lane"]}/{row["suite"]}: {name}', 160,
                                       placeholder=' ...'))
    passed, failed, skipped = (sum(row['passed'] for row in rows),
                               sum(len(row['failed']) for row in rows),
                               sum(len(row['skipped']) for row in rows))
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    return 0 if passed and not failed else 1


def main():
    results, what, *rest = sys.argv[1:]
    if what == 'table':
        with open(results, encoding='utf-8') as file:
            return table([json.loads(line) for line in file])
    lane, suite, third, fourth, *rest = rest
    if what == 'whole':
        count, seconds = Count(), 0.0
        if third == 'failed':
            count.failed.append(fourth)
        else:
            count.skipped.append(fourth)
    elif what == 'meson':
        count, seconds = count_meson(third, int(fourth))
    else:
        count, seconds = count_tap(third, int(fourth), float(rest[0]))
    with open(results, 'a', encoding='utf-8') as file:
        json.dump({'lane': lane, 'suite': suite, 'passed': count.passed, 'failed': count.failed,
                   'skipped': count.skipped, 'measured': count.measured,
                   'seconds': seconds}, file)
        file.write('\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
