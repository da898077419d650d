#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""demo/contact-sheet.py: contact-sheet.py SCRIPT"""

import collections
import json
import os
import struct
import subprocess
import sys
import zlib

import tap

draw = tap.Program(sys.argv[1])
IMAGES = tap.SOURCE / 'demo/images'
PICTURE, GAP, MARGIN, TOP, LINE = 144, 14, 32, 108, 16
WRONG = (0xc8, 0x10, 0x2e)


def require_pillow():
    if subprocess.run(['/usr/bin/python3', '-c', 'import PIL'], capture_output=True,
                      check=False).returncode:
        raise tap.Skip('python3-pil is not installed')


def answer(label='star_checker', said=None, number=7, probability=0.75):
    return {'file': str(IMAGES / label / f'{number:06}.png'), 'label': label,
            'answer': said or label, 'probability': probability}


def lines(answers):
    return ''.join(json.dumps(each) + '\n' for each in answers)


def sheet(folder, answers, *arguments):
    require_pillow()
    path = folder / 'sheet.png'
    draw('-o', path, *arguments, text=lines(answers)).expect(0)
    assert os.listdir(folder) == ['sheet.png']
    return path


Png = collections.namedtuple('Png', 'width height rows')


def read_png(path):
    """An RGB image by the letter of the standard, no library's."""
    data = path.read_bytes()
    assert data[:8] == b'\x89PNG\r\n\x1a\n'
    chunks, at = [], 8
    while at < len(data):
        length, kind = struct.unpack('>I4s', data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        crc, = struct.unpack('>I', data[at + 8 + length:at + 12 + length])
        assert crc == zlib.crc32(kind + body)
        chunks.append((kind, body))
        at += 12 + length
    assert chunks[0][0] == b'IHDR' and chunks[-1] == (b'IEND', b'')
    width, height, *form = struct.unpack('>IIBBBBB', chunks[0][1])
    assert form == [8, 2, 0, 0, 0], form
    raw = zlib.decompress(b''.join(body for kind, body in chunks if kind == b'IDAT'))
    stride = 3 * width
    assert len(raw) == height * (stride + 1)
    rows, above = [], bytes(stride)
    for y in range(height):
        kind, *row = raw[y * (stride + 1):(y + 1) * (stride + 1)]
        for x in range(stride):
            left = row[x - 3] if x >= 3 else 0
            corner = above[x - 3] if x >= 3 else 0
            guess = left + above[x] - corner
            paeth = min((left, above[x], corner), key=lambda each: abs(guess - each))
            row[x] = (row[x] + (0, left, above[x], (left + above[x]) // 2, paeth)[kind]) & 255
        above = bytes(row)
        rows.append(above)
    return Png(width, height, rows)


def framed(png, columns, count):
    """Which cells have the frame of a wrong answer, of a sheet with one row."""
    found = []
    for column in range(min(columns, count)):
        x = 3 * (MARGIN + column * (PICTURE + GAP) + PICTURE // 2)
        found.append(tuple(png.rows[TOP - 2][x:x + 3]) == WRONG)
    return found


def test_size(folder):
    """a sheet is a well-formed PNG with as many columns and rows as it takes"""
    answers = [answer(number=7 + 16 * i) for i in range(5)]
    for columns, across, rows in ((2, 2, 3), (5, 5, 1), (64, 5, 1)):
        png = read_png(sheet(folder, answers, '--columns', columns))
        assert png.width == 2 * MARGIN + across * (PICTURE + GAP) - GAP, (columns, png.width)
        assert png.height == TOP + rows * (PICTURE + 2 * GAP + LINE), (columns, png.height)
        assert not any(framed(png, across, 5))
    # One image at its scale, in the middle of the first cell: not paper.
    assert tuple(png.rows[TOP + 72][3 * (MARGIN + 72):][:3]) != (255, 255, 255)


def test_wrong_first(folder):
    """wrong answers come first, in red, and with what is right below"""
    answers = [answer(number=7), answer(number=23, said='disk_checker', probability=0.5),
               answer(number=39)]
    png = read_png(sheet(folder, answers))
    assert framed(png, 8, 3) == [True, False, False]
    assert png.height == TOP + PICTURE + 2 * GAP + 2 * LINE


def test_limit(folder):
    """with more answers than room every wrong one and as many of each label are shown"""
    answers = [answer(number=7 + 16 * i) for i in range(8)]
    answers += [answer('disk_checker', number=1 + 16 * i) for i in range(8)]
    answers[6]['answer'] = 'disk_checker'
    png = read_png(sheet(folder, answers, '--images', 3))
    assert png.width == 2 * MARGIN + 3 * (PICTURE + GAP) - GAP
    assert framed(png, 8, 3) == [True, False, False]
    # Behind the wrong one: one of each label, as on a sheet of these two.
    two = read_png(sheet(folder, [answers[0], answers[8]]))
    size = 3 * (2 * PICTURE + GAP)
    for y in range(TOP, TOP + PICTURE):
        behind = png.rows[y][3 * (MARGIN + PICTURE + GAP):][:size]
        assert behind == two.rows[y][3 * MARGIN:][:size]


def test_same_bytes(folder):
    """the same answers give the same bytes"""
    answers = [answer(), answer('disk_checker', number=1)]
    assert sheet(folder, answers).read_bytes() == sheet(folder, answers).read_bytes()


def test_strange_texts(folder):
    """labels of any length and letters are drawn"""
    answers = [answer() | {'answer': text} for text in ('', 'x' * 100000, 'λ字🙂', '\ud800')]
    sheet(folder, answers, '--title', 'y' * 10000)
    odd, shown = (sheet(folder, [answer() | {'answer': text}]).read_bytes()
                  for text in ('a\nb\x1b[1m', 'a?b?[1m'))
    assert odd == shown


def test_refusals(folder):
    """what is no answer is refused by line, what is no image by name, and nothing is written"""
    require_pillow()
    path = folder / 'sheet.png'
    good = lines([answer()])
    text = folder / 'text.png'
    text.write_text('this is no image')
    cut = folder / 'cut.png'
    cut.write_bytes((IMAGES / 'star_checker/000007.png').read_bytes()[:3000])
    pipe = folder / 'pipe'
    os.mkfifo(pipe)
    before = sorted(os.listdir(folder))
    for said, expected in (
            ('', 'no answers'),
            (good + 'star\n', 'line 2: not JSON'),
            (good + '\n', 'line 2: not JSON'),
            ('[' * 100000, 'line 1: not JSON'),
            ('[1]', 'line 1: expected an object'),
            (lines([answer() | {'label': None}]), 'line 1: label: expected a text, found null'),
            (lines([answer() | {'file': 'a\0b'}]), 'line 1: file: expected a text'),
            (lines([answer(probability=75)]), 'line 1: probability: expected 0 to 1, found 75'),
            (lines([answer(probability=float('nan'))]), 'expected 0 to 1, found NaN'),
            (lines([answer(probability=True)]), 'expected 0 to 1, found true'),
            ('\udcff\n', 'line 1: not JSON'),
            (lines([answer() | {'file': '\udcff.png'}]), 'No such file'),
            (lines([answer() | {'file': str(folder / 'none.png')}]), 'none.png: No such file'),
            (lines([answer() | {'file': str(text)}]), 'text.png: cannot identify'),
            (lines([answer() | {'file': str(cut)}]), 'cut.png: '),
            (lines([answer() | {'file': str(pipe)}]), 'pipe: expected a regular file')):
        result = draw('-o', path, text=said).expect(1, expected)
        assert result.err.startswith('contact-sheet.py: ') and result.err.count('\n') == 1, result
        assert sorted(os.listdir(folder)) == before, result
    draw('-o', folder, text=good).expect(1, 'expected a regular file')
    draw('-o', folder / 'none/sheet.png', text=good).expect(1, 'No such file')


def test_wrong_usage(folder):
    """wrong usage is told"""
    require_pillow()
    path = folder / 'sheet.png'
    draw().expect(2, '--output')
    draw('-o', path, '--columns', '0').expect(2, "'0' is not a number from 1 to 64")
    draw('-o', path, '--images', 'x').expect(2, "'x' is not a number from 1 to 1024")
    draw('-o', path, 'file').expect(2, 'file')
    draw('--help').expect(0, '--columns')
    assert not path.exists()


if __name__ == '__main__':
    sys.exit(tap.main(globals()))
