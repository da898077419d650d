#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""EfficientViT-B in PyTorch: float, random weights, batch norms folded, one image, one thread.

Prints the median and the least processor time of a forward pass.
"""
import argparse
import statistics
import time

import torch
from torch import nn
from torch.nn import functional

MEMBERS = {
    'b0': ((8, 16, 32, 64, 128), (1, 2, 2, 2, 2), 16, (1024, 1280)),
    'b1': ((16, 32, 64, 128, 256), (1, 2, 3, 3, 4), 16, (1536, 1600)),
    'b2': ((24, 48, 96, 192, 384), (1, 3, 4, 4, 6), 32, (2304, 2560)),
    'b3': ((32, 64, 128, 256, 512), (1, 4, 6, 6, 9), 32, (2304, 2560)),
}


def conv(inputs, outputs, kernel=1, stride=1, groups=1, act=False):
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups)
    return nn.Sequential(layer, nn.Hardswish()) if act else layer


def mbconv(inputs, outputs, stride):
    middle = 4 * inputs
    return nn.Sequential(conv(inputs, middle, act=True),
                         conv(middle, middle, 3, stride, middle, act=True), conv(middle, outputs))


def dsconv(width):
    return nn.Sequential(conv(width, width, 3, groups=width, act=True), conv(width, width))


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


class Attention(nn.Module):
    def __init__(self, width, dim):
        super().__init__()
        self.dim = dim
        self.qkv = conv(width, 3 * width)
        self.aggregate = nn.Sequential(conv(3 * width, 3 * width, 5, groups=3 * width),
                                       conv(3 * width, 3 * width, groups=3 * width // dim))
        self.project = conv(2 * width, width)

    def forward(self, x):
        n, _, height, width = x.shape
        maps = self.qkv(x)
        maps = torch.cat((maps, self.aggregate(maps)), 1)
        q, k, v = maps.reshape(n, -1, 3, self.dim, height * width).unbind(2)
        q, k = functional.relu(q), functional.relu(k)
        product = torch.matmul(v, k.transpose(-1, -2))
        divisor = torch.matmul(k.sum(-1, keepdim=True).transpose(-1, -2), q)
        out = torch.matmul(product, q) / (divisor + 1e-6)
        return self.project(out.reshape(n, -1, height, width))


class Head(nn.Module):
    def __init__(self, width, middle, classes):
        super().__init__()
        self.conv = conv(width, middle[0], act=True)
        self.linear = nn.Sequential(nn.Linear(*middle, bias=False), nn.LayerNorm(middle[1]),
                                    nn.Hardswish(), nn.Linear(middle[1], classes))

    def forward(self, x):
        return self.linear(self.conv(x).mean((2, 3)))


def network(member):
    widths, depths, dim, head = MEMBERS[member]
    layers = [conv(3, widths[0], 3, 2, act=True)]
    layers += [Residual(dsconv(widths[0])) for _ in range(depths[0])]
    for stage in (1, 2):
        layers.append(mbconv(widths[stage - 1], widths[stage], 2))
        layers += [Residual(mbconv(widths[stage], widths[stage], 1))
                   for _ in range(depths[stage] - 1)]
    for stage in (3, 4):
        layers.append(mbconv(widths[stage - 1], widths[stage], 2))
        for _ in range(depths[stage]):
            layers.append(Residual(Attention(widths[stage], dim)))
            layers.append(Residual(mbconv(widths[stage], widths[stage], 1)))
    return nn.Sequential(*layers, Head(widths[4], head, 1000)).eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('member', choices=MEMBERS)
    parser.add_argument('size', type=int)
    parser.add_argument('--rounds', type=int, default=25)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    model = network(arguments.member).to(memory_format=torch.channels_last)
    image = torch.rand(1, 3, arguments.size, arguments.size)
    image = image.contiguous(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode():
        for _ in range(arguments.rounds + 3):
            begun = time.thread_time()
            model(image)
            times.append((time.thread_time() - begun) * 1e3)
    times = times[3:]
    print(f'  peer PyTorch, float      median {statistics.median(times):7.3f} ms, '
          f'least {min(times):7.3f} ms: whole network')


main()
