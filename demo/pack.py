#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Packs a trained float32 checkpoint as the demo's: F16, with all that a tool has to know of it.

usage: pack.py TRAINED.safetensors LABELS.txt OUT.safetensors
"""
import json
import struct
import sys

import numpy as np


def main(source, labels, target):
    with open(source, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    trained = header.pop("__metadata__")
    packed = {"__metadata__": {
        "format": "pt",
        "architecture": trained["architecture"],
        "classes": trained["classes"],
        "input_size": trained["input_size"],
        "crop_ratio": "1.0",
        "mean": trained["mean"],
        "std": trained["std"],
        "labels": open(labels).read().strip(),
    }}
    chunks, offset = [], 0
    for name, tensor in header.items():
        begin, end = tensor["data_offsets"]
        chunk = np.frombuffer(data[begin:end], "<f4").astype("<f2").tobytes()
        packed[name] = {"dtype": "F16", "shape": tensor["shape"],
                        "data_offsets": [offset, offset + len(chunk)]}
        chunks.append(chunk)
        offset += len(chunk)
    text = json.dumps(packed).encode()
    text += b" " * (-(8 + len(text)) % 4096)
    with open(target, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(chunks))


main(*sys.argv[1:])
