"""hnswlib without annbench: `build DATASET INDEX`, or `search DATASET INDEX`, then on stdin lines of `EF IDS_FILE`."""

import json
import sys
import time

import h5py
import hnswlib
import numpy as np

action, dataset, index_file = sys.argv[1:]
with h5py.File(dataset) as file:
    base, queries = file["train"], file["test"][:2000].astype("float32")
    truth = file["neighbors"][:2000, :10]
    index = hnswlib.Index({"euclidean": "l2", "angular": "cosine"}[file.attrs["distance"]], base.shape[1])
    if action == "build":
        index.init_index(len(base), M=16, ef_construction=200, random_seed=100)
        index.set_num_threads(1)
        index.add_items(base[:])
        index.save_index(index_file)
        sys.exit()
index.load_index(index_file)
index.set_num_threads(1)
for line in sys.stdin:
    ef, ids_file = line.split()
    index.set_ef(int(ef))
    index.knn_query(queries, k=10)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        ids, _ = index.knn_query(queries, k=10)
        seconds.append(time.perf_counter() - start)
    np.save(ids_file, ids.astype("int64"))
    hits = sum(len(set(a) & set(b)) for a, b in zip(ids.tolist(), truth.tolist(), strict=True))
    figures = {"hits": hits, "answers": truth.size, "median_ns": int(np.median(seconds) * 1e9)}
    print(json.dumps(figures), flush=True)
