"""Fast CPU kernels for training: drop-in replacements with the same results as PyTorch's own operations.

Each module is independent, states what it saves and where that was measured, and is enabled by
``aaff.training.engine``.  Optimisations that were tried and did not help are listed in docs/training.md.
"""
