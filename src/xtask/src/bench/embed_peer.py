"""Documents per second of `sentence-transformers`: embed_peer.py MODEL DOCUMENT BATCH RUNS"""
import sys
import time

import sentence_transformers

model = sentence_transformers.SentenceTransformer(sys.argv[1], device="cpu")
documents = [sys.argv[2]] * int(sys.argv[3])
for run in range(int(sys.argv[4]) + 1):
    started = time.perf_counter()
    model.encode(documents, batch_size=len(documents), show_progress_bar=False)
    if run:
        print(len(documents) / (time.perf_counter() - started))
