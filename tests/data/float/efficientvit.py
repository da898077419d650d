# SPDX-License-Identifier: MIT
"""EfficientViT-B in plain PyTorch, with the state-dict names of MIT HAN lab's release.

Written from the architecture's description, to compare the C code with. Input: N x 3 x H x W,
normalised. Output: N x classes logits.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

# Widths of the stem and four stages, blocks in each, channels of an attention head, widths of the
# classifier's head, expansion ratio.
SPECS = {
    "b0": ((8, 16, 32, 64, 128), (1, 2, 2, 2, 2), 16, (1024, 1280), 4),
    "b1": ((16, 32, 64, 128, 256), (1, 2, 3, 3, 4), 16, (1536, 1600), 4),
    "b2": ((24, 48, 96, 192, 384), (1, 3, 4, 4, 6), 32, (2304, 2560), 4),
    "b3": ((32, 64, 128, 256, 512), (1, 4, 6, 6, 9), 32, (2304, 2560), 4),
}


class Conv(nn.Module):
    """Convolution, then batch norm and Hardswish where asked."""

    def __init__(self, inputs, outputs, kernel=1, stride=1, groups=1, bias=False, norm=True,
                 act=False):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups,
                              bias=bias)
        self.norm = nn.BatchNorm2d(outputs) if norm else None
        self.act = act

    def forward(self, x):
        x = self.conv(x)
        x = self.norm(x) if self.norm is not None else x
        return F.hardswish(x) if self.act else x


class DSConv(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.depth_conv = Conv(channels, channels, 3, groups=channels, act=True)
        self.point_conv = Conv(channels, channels)

    def forward(self, x):
        return self.point_conv(self.depth_conv(x))


class MBConv(nn.Module):
    """Expand 1x1, depthwise 3x3, project 1x1; later stages have biases for the first two norms."""

    def __init__(self, inputs, outputs, stride, fewer_norms, expand):
        super().__init__()
        middle = inputs * expand
        options = dict(bias=fewer_norms, norm=not fewer_norms, act=True)
        self.inverted_conv = Conv(inputs, middle, **options)
        self.depth_conv = Conv(middle, middle, 3, stride, groups=middle, **options)
        self.point_conv = Conv(middle, outputs)

    def forward(self, x):
        return self.point_conv(self.depth_conv(self.inverted_conv(x)))


class LiteMSA(nn.Module):
    """ReLU linear attention over the 1x1 map and its 5x5 aggregation."""

    def __init__(self, channels, dim, epsilon):
        super().__init__()
        self.dim, self.epsilon = dim, epsilon
        self.qkv = Conv(channels, 3 * channels, norm=False)
        self.aggreg = nn.ModuleList([nn.Sequential(
            nn.Conv2d(3 * channels, 3 * channels, 5, padding=2, groups=3 * channels, bias=False),
            nn.Conv2d(3 * channels, 3 * channels, 1, groups=3 * channels // dim, bias=False))])
        self.proj = Conv(2 * channels, channels)

    def forward(self, x):
        n, _, h, w = x.shape
        qkv = self.qkv(x)
        qkv = torch.cat([qkv, self.aggreg[0](qkv)], 1).reshape(n, -1, 3 * self.dim, h * w)
        q, k, v = qkv.split(self.dim, 2)  # n, heads, dim, pixels
        q, k = F.relu(q), F.relu(k)
        kv = v @ k.transpose(-1, -2)  # n, heads, dim of v, dim of k
        ksum = k.sum(-1, keepdim=True).transpose(-1, -2)  # n, heads, 1, dim
        out = (kv @ q) / (ksum @ q + self.epsilon)
        return self.proj(out.reshape(n, -1, h, w))


class Residual(nn.Module):
    def __init__(self, main, shortcut=True):
        super().__init__()
        self.main, self.shortcut = main, shortcut

    def forward(self, x):
        return self.main(x) + x if self.shortcut else self.main(x)


class Block(nn.Module):
    def __init__(self, channels, dim, expand, epsilon):
        super().__init__()
        self.context_module = Residual(LiteMSA(channels, dim, epsilon))
        self.local_module = Residual(MBConv(channels, channels, 1, True, expand))

    def forward(self, x):
        return self.local_module(self.context_module(x))


class Ops(nn.Module):
    def __init__(self, ops):
        super().__init__()
        self.op_list = nn.ModuleList(ops)

    def forward(self, x):
        for op in self.op_list:
            x = op(x)
        return x


class Linear(nn.Module):
    def __init__(self, inputs, outputs, bias, norm):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias)
        self.norm = nn.LayerNorm(outputs) if norm else None

    def forward(self, x):
        x = self.linear(x.flatten(1))
        return F.hardswish(self.norm(x)) if self.norm is not None else x


class Backbone(nn.Module):
    def __init__(self, widths, depths, dim, expand, epsilon):
        super().__init__()
        stem = [Conv(3, widths[0], 3, 2, act=True)]
        self.input_stem = Ops(stem + [Residual(DSConv(widths[0])) for _ in range(depths[0])])
        stages, channels = [], widths[0]
        for i, (width, depth) in enumerate(zip(widths[1:], depths[1:])):
            ops = [Residual(MBConv(channels, width, 2, i >= 2, expand), shortcut=False)]
            if i < 2:
                ops += [Residual(MBConv(width, width, 1, False, expand)) for _ in range(depth - 1)]
            else:
                ops += [Block(width, dim, expand, epsilon) for _ in range(depth)]
            stages.append(Ops(ops))
            channels = width
        self.stages = nn.ModuleList(stages)

    def forward(self, x):
        x = self.input_stem(x)
        for stage in self.stages:
            x = stage(x)
        return x


class EfficientViT(nn.Module):
    def __init__(self, spec="b0", classes=1000, epsilon=1e-15):
        super().__init__()
        widths, depths, dim, head, expand = SPECS[spec] if isinstance(spec, str) else spec
        self.backbone = Backbone(widths, depths, dim, expand, epsilon)
        self.head = Ops([Conv(widths[-1], head[0], act=True), nn.AdaptiveAvgPool2d(1),
                         Linear(head[0], head[1], False, True),
                         Linear(head[1], classes, True, False)])

    def forward(self, x):
        return self.head(self.backbone(x))
