"""Benchmarks: latency and throughput of deployed models."""
