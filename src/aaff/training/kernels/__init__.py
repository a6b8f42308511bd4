"""What makes a training step fast on a CPU: drop-in replacements with the results of PyTorch's own operations.

Each module stands alone behind a plain function, says what it saves and where that was measured, and is switched on
by ``aaff.training.engine``; what was tried and did not pay is in docs/training.md.
"""
