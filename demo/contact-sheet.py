#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Draws labelled images with what a classifier said of them as one PNG.

Standard input has one JSON object a line:
  {"file": IMAGE, "label": WHAT IT IS, "answer": WHAT IT WAS TAKEN FOR, "probability": 0 to 1}
Wrong answers come first, the surest of them before the others; right ones fill what room is left,
as many of each label as of the others.
"""
import argparse
import collections
import json
import os
import signal
import sys
import tempfile
import warnings

from PIL import Image, ImageDraw, ImageFont, ImageOps

PICTURE, GAP, MARGIN, HEADING, LINE = 144, 14, 32, 76, 16
PAPER, INK, FAINT, WRONG = '#ffffff', '#1c2430', '#7a8594', '#c8102e'
# More than is of use on one sheet, and far below what Pillow can encode.
IMAGES_MAX = 1024

Answer = collections.namedtuple('Answer', 'file label answer probability')


class Failure(Exception):
    pass


def read_answer(line):
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Failure(f'not JSON: {error}') from None
    if not isinstance(fields, dict):
        raise Failure('expected an object with file, label, answer and probability')
    for name in ('file', 'label', 'answer'):
        if not isinstance(fields.get(name), str) or '\0' in fields[name]:
            raise Failure(f'{name}: expected a text, found {json.dumps(fields.get(name))}')
    share = fields.get('probability')
    if type(share) not in (int, float) or not 0 <= share <= 1:
        raise Failure(f'probability: expected 0 to 1, found {json.dumps(share)}')
    return Answer(*(fields[name] for name in Answer._fields))


def read_answers(lines):
    answers = []
    for number, line in enumerate(lines, 1):
        try:
            answers.append(read_answer(line))
        except Failure as failure:
            raise Failure(f'line {number}: {failure}') from None
    if not answers:
        raise Failure('no answers: expected one JSON object a line')
    return answers


def choose(answers, room):
    """Which answers are shown, in order."""
    wrong = sorted((each for each in answers if each.answer != each.label),
                   key=lambda each: -each.probability)
    seen = collections.Counter()
    ranked = []
    for each in answers:
        if each.answer == each.label:
            ranked.append((seen[each.label], each))
            seen[each.label] += 1
    ranked.sort(key=lambda pair: (pair[0], pair[1].label))
    right = [each for _, each in ranked[:max(room - len(wrong), 0)]]
    return wrong[:room] + sorted(right, key=lambda each: each.label)


def describe(answers, shown):
    right = sum(each.answer == each.label for each in answers)
    wrong = len(answers) - right
    shown_right = sum(each.answer == each.label for each in shown)
    shown_wrong = len(shown) - shown_right
    text = f'{right} of {len(answers)} right ({100 * right / len(answers):.2f} %)'
    if len(shown) == len(answers):
        return text
    which = f'{shown_wrong} of the {wrong} wrong'
    if shown_wrong == wrong:
        which = f'the {wrong} wrong' if wrong > 1 else 'the wrong one' if wrong else 'none wrong'
    return f'{text}; shown: {which}, {shown_right} of the right ones'


def font(name, size):
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        raise Failure(f"the font {name} is missing: it is in Debian's fonts-dejavu-core") from None


def picture(path):
    # A pipe that nobody writes to must be refused, not waited for.
    if os.path.exists(path) and not os.path.isfile(path):
        raise Failure(f'{path}: expected a regular file')
    try:
        with Image.open(path, formats=('PNG', 'JPEG')) as image:
            return ImageOps.fit(image.convert('RGB'), (PICTURE, PICTURE), Image.Resampling.LANCZOS)
    # Pillow's decoders raise more than they document, SyntaxError and struct.error among it.
    except Exception as error:
        raise Failure(f'{path}: {getattr(error, "strerror", None) or error}') from None


def clipped(text, used, width):
    text = ''.join(letter if letter.isprintable() else '?' for letter in text[:200])
    if used.getlength(text) <= width:
        return text
    while text and used.getlength(text + '…') > width:
        text = text[:-1]
    return text + '…'


def draw_cell(sheet, draw, left, top, each, fonts):
    sheet.paste(picture(each.file), (left, top))
    below, right = top + PICTURE + 5, left + PICTURE
    share = f'{100 * each.probability:.0f} %'
    room = PICTURE - fonts['text'].getlength(share) - 6
    wrong, used = each.answer != each.label, fonts['text']
    draw.text((left, below), clipped(each.answer, used, room), WRONG if wrong else INK, used)
    draw.text((right, below), share, FAINT, used, anchor='ra')
    if wrong:
        draw.rectangle((left - 3, top - 3, right + 2, top + PICTURE + 2), outline=WRONG, width=3)
        draw.text((left, below + LINE), clipped(f'is {each.label}', used, PICTURE), INK, used)


def draw_sheet(title, subtitle, shown, columns):
    rows = [shown[first:first + columns] for first in range(0, len(shown), columns)]
    # Only rows with wrong answers need a second line.
    heights = [PICTURE + 2 * GAP + LINE * (1 + any(each.answer != each.label for each in row))
               for row in rows]
    width = 2 * MARGIN + columns * (PICTURE + GAP) - GAP
    height = MARGIN + HEADING + sum(heights)
    fonts = {'title': font('DejaVuSans-Bold.ttf', 22), 'subtitle': font('DejaVuSans.ttf', 15),
             'text': font('DejaVuSans.ttf', 12)}
    sheet = Image.new('RGB', (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    room = width - 2 * MARGIN
    draw.text((MARGIN, MARGIN - 4), clipped(title, fonts['title'], room), INK, fonts['title'])
    draw.text((MARGIN, MARGIN + 30), clipped(subtitle, fonts['subtitle'], room), FAINT,
              fonts['subtitle'])
    top = MARGIN + HEADING
    for row, row_height in zip(rows, heights):
        for column, each in enumerate(row):
            draw_cell(sheet, draw, MARGIN + column * (PICTURE + GAP), top, each, fonts)
        top += row_height
    return sheet


def write(sheet, path):
    """There under its name only when it is complete."""
    temporary = None
    if os.path.exists(path) and not os.path.isfile(path):
        raise Failure(f'{path}: expected a regular file, or none')
    try:
        with tempfile.NamedTemporaryFile(dir=os.path.dirname(path) or '.', prefix='.sheet-',
                                         delete=False) as file:
            temporary = file.name
            sheet.save(file, 'PNG')
            mask = os.umask(0)
            os.umask(mask)
            os.fchmod(file.fileno(), 0o666 & ~mask)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            os.unlink(temporary)
        raise Failure(f'{path}: {error.strerror or error}') from None


def number_up_to(most):
    def parse(text):
        if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 to {most}")
        return int(text)
    return parse


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('-o', '--output', required=True, metavar='FILE', help='where the PNG goes')
    parser.add_argument('--title', default='Contact sheet', metavar='TEXT')
    parser.add_argument('--columns', type=number_up_to(64), default=8, metavar='N',
                        help='images side by side (default 8)')
    parser.add_argument('--images', type=number_up_to(IMAGES_MAX), default=64, metavar='N',
                        help='images at most (default 64)')
    arguments = parser.parse_args()

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.stdin.reconfigure(encoding='utf-8', errors='surrogateescape')
    warnings.simplefilter('error', Image.DecompressionBombWarning)
    try:
        answers = read_answers(sys.stdin)
        shown = choose(answers, arguments.images)
        sheet = draw_sheet(arguments.title, describe(answers, shown), shown,
                           min(arguments.columns, len(shown)))
        write(sheet, arguments.output)
    except Failure as failure:
        sys.exit(f'contact-sheet.py: {failure}')


main()
