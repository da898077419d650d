#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the references of the image tests beside itself, with PIL as the authority.

Run by hand when a case is added; the tests only read what is stored. Written with Pillow 9.4 and
libjpeg-turbo 2.1 of Debian 12.
"""

import io
import os
import struct
import zlib

import numpy as np
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))

# Width, height, resize, size: the table of tests/unit/image.c.
RESIZES = [
    (640, 480, 64, 56),
    (481, 641, 48, 41),
    (1024, 768, 30, 29),
    (256, 256, 40, 37),
    (97, 64, 32, 31),
    (100, 75, 75, 64),
    (57, 57, 57, 57),
    (33, 47, 64, 57),
    (2, 3, 24, 24),
    (1, 1, 16, 15),
    (300, 7, 20, 17),
    (7, 300, 20, 18),
    (1000, 3, 5, 3),
    (20000, 1, 16, 14),
    (1, 20000, 16, 13),
    (500, 400, 1, 1),
]


def noise(count, seed):
    """splitmix64, eight bytes a number: tv_unit_random() of tests/unit/unit.h."""
    with np.errstate(over="ignore"):
        step = np.uint64(0x9E3779B97F4A7C15)
        z = np.uint64(seed) + step * np.arange(1, count // 8 + 2, dtype=np.uint64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return z.astype("<u8").view(np.uint8)[:count]


def picture(width, height):
    """Half of the samples are black or white: the filter overshoots and has to be clipped."""
    data = noise(width * height * 3, width * 65536 + height).astype(int)
    return np.clip(2 * data - 128, 0, 255).astype(np.uint8).reshape(height, width, 3)


def write(name, data):
    with open(os.path.join(HERE, name), "wb") as file:
        file.write(data)


def write_ppm(name, pixels):
    height, width = pixels.shape[:2]
    write(name, b"P6\n%d %d\n255\n" % (width, height) + pixels.astype(np.uint8).tobytes())


def preprocess(image, resize, size):
    """torchvision's Resize(resize, BICUBIC) and CenterCrop(size) on a PIL image."""
    width, height = image.size
    if width <= height:
        width, height = resize, int(resize * height / width)
    else:
        width, height = int(resize * width / height), resize
    image = image.resize((width, height), Image.BICUBIC)
    top, left = int(round((height - size) / 2.0)), int(round((width - size) / 2.0))
    return image.crop((left, top, left + size, top + size))


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def pack_rows(samples, depth):
    """Rows [height][width * channels] of samples as PNG stores them, each unfiltered."""
    out = b""
    for row in samples:
        if depth == 16:
            packed = row.astype(">u2").tobytes()
        else:
            bits = "".join(format(value, f"0{depth}b") for value in row)
            bits += "0" * (-len(bits) % 8)
            packed = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
        out += b"\0" + packed
    return out


# First column and row, steps between columns and rows.
ADAM7 = [
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
]


def png(samples, depth, colour, extra=b"", interlaced=False):
    """What PIL does not write: any depth, Adam7. samples: [height][width][channels]."""
    height, width, channels = samples.shape
    if interlaced:
        passes = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7]
    else:
        passes = [samples]
    raw = b"".join(
        pack_rows(part.reshape(part.shape[0], -1), depth) for part in passes if part.size
    )
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(raw, 9))
        + chunk(b"IEND", b"")
    )


def store(name, data, reference=None):
    """The file and, as NAME.ppm, what it decodes to: PIL's convert("RGB") unless given."""
    write(name, data)
    if reference is None:
        reference = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    write_ppm(f"{name}.ppm", reference)


def store_pngs():
    height, width = 11, 13
    random = noise(height * width * 8, 1).astype(int).reshape(height, width, 8)
    wide = random[..., :4] * 256 + random[..., 4:]
    palette = chunk(b"PLTE", noise(256 * 3, 2).tobytes())
    short_palette = chunk(b"PLTE", noise(16 * 3, 3).tobytes())
    some_alpha = chunk(b"tRNS", noise(16, 4).tobytes())

    for depth in (1, 2, 4, 8):
        store(f"grey{depth}.png", png(random[..., :1] % (1 << depth), depth, 0))
    store("palette8.png", png(random[..., :1], 8, 3, palette))
    store("palette4.png", png(random[..., :1] % 16, 4, 3, short_palette))
    store("palette-alpha.png", png(random[..., :1] % 16, 8, 3, short_palette + some_alpha))
    store("rgb.png", png(random[..., :3], 8, 2))
    key = chunk(b"tRNS", struct.pack(">HHH", *random[3, 5, :3]))
    store("rgb-key.png", png(random[..., :3], 8, 2, key))
    gamma = chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"tEXt", b"Comment\0nothing")
    store("rgb-gamma.png", png(random[..., :3], 8, 2, gamma))
    store("rgba.png", png(random[..., :4], 8, 6))
    store("grey-alpha.png", png(random[..., :2], 8, 4))
    store("rgb16.png", png(wide[..., :3], 16, 2))
    store("rgba16.png", png(wide, 16, 6))
    store("rgb-interlaced.png", png(random[..., :3], 8, 2, interlaced=True))
    store("palette-interlaced.png", png(random[..., :1] % 16, 4, 3, short_palette, True))
    # PIL clips 16-bit grey at 255, so that nearly all of it is white: the high byte is meant.
    grey = np.repeat(wide[..., :1] >> 8, 3, axis=2)
    store("grey16.png", png(wide[..., :1], 16, 0), grey)
    store("grey-alpha16.png", png(wide[..., :2], 16, 4), grey)
    write("long.png", png(np.full((1, 20000, 3), 77), 8, 2))  # one colour: no reference


def smooth(width, height):
    """Something that JPEG is made for."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 120 * np.sin(x / (3 + i) + y / (7 - i) + i) for i in range(4)]
    return np.stack(waves, axis=2).round().astype(np.uint8)


def jpeg(pixels, mode=None, **options):
    file = io.BytesIO()
    Image.fromarray(pixels, mode).save(file, "JPEG", **options)
    return file.getvalue()


def store_jpegs():
    pixels = smooth(37, 29)
    rgb, grey, cmyk = pixels[..., :3], pixels[..., 0], pixels
    turned = Image.Exif()
    turned[0x0112] = 6

    store("baseline.jpg", jpeg(rgb, quality=85))
    store("full-chroma.jpg", jpeg(rgb, quality=95, subsampling=0))
    store("progressive.jpg", jpeg(rgb, quality=85, progressive=True))
    store("grey.jpg", jpeg(grey, quality=85))
    store("turned.jpg", jpeg(rgb, quality=85, exif=turned))
    adobe = jpeg(cmyk, "CMYK", quality=90)
    store("cmyk.jpg", adobe)
    # The last byte of Adobe's marker says whether C, M, Y went through the YCC transform (2).
    at = adobe.index(b"Adobe") + 11
    assert adobe[at] == 0
    store("ycck.jpg", adobe[:at] + b"\2" + adobe[at + 1 :])


def main():
    for width, height, resize, size in RESIZES:
        cut = preprocess(Image.fromarray(picture(width, height)), resize, size)
        write_ppm(f"resize-{width}x{height}-{resize}-{size}.ppm", np.asarray(cut))
    store_pngs()
    store_jpegs()


if __name__ == "__main__":
    main()
