"""faiss IVF without annbench: `build DATASET INDEX`, or `search DATASET INDEX`, then lines of `NPROBE IDS_FILE`."""

import json
import sys
import time

import faiss
import h5py
import numpy as np

action, dataset, index_file = sys.argv[1:]
faiss.omp_set_num_threads(1)
with h5py.File(dataset) as file:
    queries, truth = file["test"][:2000].astype("float32"), file["neighbors"][:2000, :10]
    if action == "build":
        base = file["train"][:].astype("float32")
        metric = faiss.METRIC_L2
        if file.attrs["distance"] == "angular":
            faiss.normalize_L2(base)
            metric = faiss.METRIC_INNER_PRODUCT
        index = faiss.index_factory(base.shape[1], "IVF256,Flat", metric)
        index.train(base)
        index.add(base)
        faiss.write_index(index, index_file)
        sys.exit()
index = faiss.read_index(index_file)
for line in sys.stdin:
    nprobe, ids_file = line.split()
    index.nprobe = int(nprobe)
    index.search(queries, 10)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        _, ids = index.search(queries, 10)
        seconds.append(time.perf_counter() - start)
    np.save(ids_file, ids)
    hits = sum(len(set(a) & set(b)) for a, b in zip(ids.tolist(), truth.tolist(), strict=True))
    figures = {"hits": hits, "answers": truth.size, "median_ns": int(np.median(seconds) * 1e9)}
    print(json.dumps(figures), flush=True)
