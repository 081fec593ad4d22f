"""The figures and numbers of docs/residual-guide.md, and the commands for those that need a GPU or CIFAR-10."""
