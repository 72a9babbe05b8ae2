"""Multiply-adds of what the benchmarks train, forward, of one sample."""


def resnet18_small():
    """Of the convolutions of ResNet-18 of width 64 with the small stem, on 32x32x3."""
    multiply_adds = 32 * 32 * 9 * 3 * 64
    for stage in range(4):
        width, pixels = 64 << stage, (32 >> stage) ** 2
        multiply_adds += 4 * pixels * 9 * width * width
        if stage > 0:  # the first convolution has half the inputs; a 1x1 convolution beside it
            multiply_adds += pixels * width * (width // 2) * (1 - 9)
    return multiply_adds


def resnet50():
    """Of the convolutions of ResNet-50 with the ImageNet stem, on 224x224x3 (table 1 of He et al.
    counts 3.8e9, with the strides in other convolutions)."""
    multiply_adds = 112 * 112 * 49 * 3 * 64
    inputs = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width, pixels = 64 << stage, (56 >> stage) ** 2
        for block in range(blocks):
            # Of the first 1x1 convolution.
            before = pixels if block > 0 or stage == 0 else 4 * pixels
            multiply_adds += before * inputs * width + pixels * (9 * width * width +
                                                                 4 * width * width)
            if block == 0:
                multiply_adds += pixels * inputs * 4 * width
            inputs = 4 * width
    return multiply_adds


def vit(features, depth=12):
    """Of the matrix products of a ViT with patches of 16 on 224x224x3: patches; per block and token
    12 D^2, and 2 L D of attention."""
    tokens = 14 * 14 + 1
    return 196 * 768 * features + depth * tokens * (12 * features**2 + 2 * tokens * features)
