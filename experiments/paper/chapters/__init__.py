"""The chapters of the report: each a function from results to blocks, in the order of the paper."""
