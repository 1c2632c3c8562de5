"""Vector search side by side: sopasync, hnswlib, faiss, usearch and LanceDB on the same vectors and queries.

`python -m benches.vectors`, or `make bench-vectors`. Every store lives in a process of its own for as long as it is
measured; the measurements take turns, store after store and round after round, so that what else the machine does
meets all of them.
"""
