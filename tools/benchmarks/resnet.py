"""ResNet-18 with the small-image stem, of any width, from torchvision's own blocks."""
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet


def resnet18(width, classes=0, stem_stride=1):
    """As src/encoders/resnet.cpp; classes = 0: features without a head."""
    model = ResNet(BasicBlock, [2, 2, 2, 2])
    model.conv1 = nn.Conv2d(3, width, 3, stem_stride, 1, bias=False)
    model.bn1 = nn.BatchNorm2d(width)
    model.maxpool = nn.Identity()
    model.inplanes = width
    for stage in range(4):
        layer = model._make_layer(BasicBlock, width << stage, 2, stride=1 if stage == 0 else 2)
        setattr(model, f"layer{stage + 1}", layer)
    model.fc = nn.Linear(8 * width, classes) if classes else nn.Identity()
    return model
