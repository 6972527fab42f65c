"""The audit of a network that is already initialized: distribution of the weights, faults, and whether it can train.

`audit(model)` is the audit of a file or of a model of PyTorch, Keras, Flax or scikit-learn; `python -m pipeline.audit`,
or `audit-weights`, is the same as a command.
"""

from pipeline.audit.model import ModelAudit, audit

__all__ = ["ModelAudit", "audit"]
