# SPDX-License-Identifier: MIT
"""Pictures to classify, as files."""
import random
import struct
import zlib


def picture(width, height, seed):
    """RGB rows of something between noise and shapes"""
    numbers = random.Random(seed)
    blobs = [(numbers.randrange(width), numbers.randrange(height), numbers.randrange(4, width),
              [numbers.randrange(256) for _ in range(3)]) for _ in range(12)]
    rows = bytearray(numbers.randbytes(width * height * 3))
    for x, y, side, colour in blobs:
        for row in range(y, min(y + side, height)):
            end = min(x + side, width)
            rows[3 * (row * width + x):3 * (row * width + end)] = bytes(colour) * (end - x)
    return bytes(rows)


def write_png(path, width, height, pixels):
    def chunk(kind, body):
        check = zlib.crc32(kind + body)
        return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', check)

    rows = b''.join(b'\0' + pixels[3 * width * y:3 * width * (y + 1)] for y in range(height))
    path.write_bytes(b'\x89PNG\r\n\x1a\n' +
                     chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)) +
                     chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


def write_ppm(path, width, height, pixels):
    path.write_bytes(b'P6\n%d %d\n255\n' % (width, height) + pixels)
