"""Measurement of speed: frames through deployed models, and steps of training."""
