"""Side-by-side benchmarks of sopasync and its peers: `python -m benches`, or `make bench`."""
