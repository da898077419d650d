#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How the vectors in this folder were made, with PyTorch (Debian's python3-torch, 1.13).

usage: generate.py demo EXPECTED.safetensors ../../../demo/shapes16-b0.safetensors
       generate.py random CHECKPOINTS

demo    writes demo-logits.safetensors: the first 8 images of EXPECTED's inputs (bytes, NHWC) and
        what the network makes of them in float32.
random  writes random-logits.safetensors: for each NAME.safetensors in CHECKPOINTS, which the unit
        test "float" leaves there when TV_FLOAT_CHECKPOINTS names that folder, the logits of one
        image that is made of random numbers here and there alike.
"""
import json
import os
import struct
import sys

import numpy as np
import torch

import efficientvit

DTYPES = {"F32": "<f4", "F16": "<f2", "I64": "<i8", "U8": "u1"}
# Network, classes, input size; as in the table of tests/unit/float.c.
RANDOM = {
    "b1": ("b1", 1000, 224),
    "b2": ("b2", 1000, 256),
    "b3": ("b3", 1000, 288),
    "odd": (((5, 7, 11, 24, 36), (2, 1, 2, 1, 2), 12, (50, 70), 3), 37, 160),
    "point": (((4, 4, 4, 4, 4), (1, 1, 1, 1, 1), 4, (4, 4), 1), 2, 32),
}


def load(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, tensor in header.items():
        begin, end = tensor["data_offsets"]
        array = np.frombuffer(data[begin:end], DTYPES[tensor["dtype"]])
        tensors[name] = array.reshape(tensor["shape"])
    return tensors, metadata


def save(path, tensors, metadata):
    header, chunks, offset = {"__metadata__": metadata}, [], 0
    for name, array in tensors.items():
        dtype = next(key for key, value in DTYPES.items() if np.dtype(value) == array.dtype)
        chunk = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape),
                        "data_offsets": [offset, offset + len(chunk)]}
        chunks.append(chunk)
        offset += len(chunk)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(chunks))


def splitmix64(seed, count):
    """The first count numbers of the sequence that tv_unit_random() gives from seed."""
    z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9e3779b97f4a7c15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xbf58476d1ce4e5b9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94d049bb133111eb)
    return z ^ (z >> np.uint64(31))


def image(seed, size):
    """Patches of 16 x 16 pixels of one colour, with noise of a quarter of the range on them."""
    noise = (splitmix64(seed, size * size * 3) & np.uint64(0xff)).reshape(size, size, 3)
    patch = noise[::16, ::16].repeat(16, 0).repeat(16, 1)
    return ((3 * patch + noise) // 4).astype(np.uint8)


def network(path, spec, classes):
    model = efficientvit.EfficientViT(spec, classes)
    tensors, _ = load(path)
    state = {name: torch.from_numpy(array.astype(np.float32)) for name, array in tensors.items()
             if not name.endswith("num_batches_tracked")}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    return model.eval()


def run(model, images):
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (torch.from_numpy(images.copy()).float() / 255 - mean) / std
    with torch.no_grad():
        return model(x.permute(0, 3, 1, 2)).numpy()


def demo(expected, checkpoint):
    inputs = load(expected)[0]["inputs"][:8]
    logits = run(network(checkpoint, "b0", 16), inputs)
    save("demo-logits.safetensors", {"inputs": inputs, "logits": logits},
         {"about": "float32 forward pass of demo/shapes16-b0.safetensors"})


def random(folder):
    logits = {}
    for name, (spec, classes, size) in RANDOM.items():
        model = network(os.path.join(folder, name + ".safetensors"), spec, classes)
        logits[name] = run(model, image(1, size)[None])[0]
    save("random-logits.safetensors", logits,
         {"about": "float32 forward passes of random checkpoints; see generate.py"})


if __name__ == "__main__":
    np.seterr(over="ignore")  # the generator is arithmetic modulo 2^64
    {"demo": demo, "random": random}[sys.argv[1]](*sys.argv[2:])
