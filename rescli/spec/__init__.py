"""What a run is, as frozen data; also a function: ``rescli.spec("cifar10/resnet-20", {...})``."""
