"""Write failing.pt and fixed.pt: a network before training, with a mistake and without it, as docs/audit.md shows.

`python audits/example.py` also trains both and prints their losses after 0, 100, 200, ... steps. Needs torch and
scikit-learn.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn


def network() -> nn.Sequential:
    """64 inputs, 17 hidden layers of 16 units with ReLU, 10 classes."""
    body = nn.Sequential(*(module for _ in range(16) for module in (nn.Linear(16, 16), nn.ReLU())))
    return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), body, nn.Linear(16, 10))


def initialize(modules) -> None:
    """He initialization of all linear layers among the modules."""
    for module in modules:
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)


def losses(model: nn.Module, steps: int = 1000, every: int = 100) -> list[float]:
    """The training loss during gradient descent on the handwritten digits."""
    X, y = (torch.tensor(part) for part in load_digits(return_X_y=True))
    X = ((X - X.mean(0)) / X.std(0).clamp(min=1e-6)).float()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    found = []
    for step in range(steps + 1):
        loss = nn.functional.cross_entropy(model(X), y)
        if step % every == 0:
            found.append(round(loss.item(), 3))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, modules in (("failing", nn.Module.children), ("fixed", nn.Module.modules)):
        torch.manual_seed(3)
        model = network()
        initialize(modules(model))  # children() does not reach the layers of the inner nn.Sequential
        torch.save(model.state_dict(), f"audits/{name}.pt")
        print(name, *losses(model))
