"""The same as bench/ with what others use, with one thread: datasketch, and the filters of datatrove.

    python peer.py dedup corpus.jsonl [--bands 14 --rows 8]
    python peer.py clean corpus.jsonl [--limit 1000] [--part unicode --part pii --part filters]
"""

import argparse
import json
import re
import time

WORD = re.compile(r"\w+")


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def dedup(records, args):
    from datasketch import MinHash, MinHashLSH

    params = (args.bands, args.rows) if args.bands else None
    begun = time.process_time()
    index = MinHashLSH(threshold=args.threshold, num_perm=128, params=params)
    found = []
    for document, record in enumerate(records):
        words = WORD.findall(record["text"].lower())
        size = args.shingle
        shingles = {" ".join(words[at : at + size]).encode() for at in range(max(1, len(words) - size + 1))}
        sketch = MinHash(num_perm=128)
        sketch.update_batch(shingles)
        if index.query(sketch):
            found.append(document)
        else:
            index.insert(document, sketch, check_duplication=False)
    seconds = time.process_time() - begun
    seen, planted = set(), set()
    for document, record in enumerate(records):
        (planted.add(document) if record["group"] in seen else seen.add(record["group"]))
    right = len(planted.intersection(found))
    quality = {"recall": right / max(1, len(planted)), "precision": right / max(1, len(found))}
    return seconds, len(records) - len(found), quality | {"duplicates": found}


def clean(records, args):
    from datatrove.data import Document
    from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
    from datatrove.pipeline.formatters import FTFYFormatter, PIIFormatter

    parts = args.part or ["unicode", "pii", "filters"]
    formatters = [FTFYFormatter(normalization="NFC")] if "unicode" in parts else []
    formatters += [PIIFormatter()] if "pii" in parts else []
    filters = []
    if "filters" in parts:
        filters = [GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(), FineWebQualityFilter()]
        # The first text loads the tokenizer.
        filters[0].filter(Document(text="one two three", id="0"))
    kept = 0
    begun = time.process_time()
    for place, record in enumerate(records):
        document = Document(text=record["text"], id=str(place))
        for formatter in formatters:
            document.text = formatter.format(document.text)
        # All of them look at each text: here they only flag.
        verdicts = [step.filter(document) for step in filters]
        kept += all(verdict is True for verdict in verdicts)
    return time.process_time() - begun, kept, {}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["dedup", "clean"])
    parser.add_argument("file")
    parser.add_argument("--threshold", type=float, default=0.8)
    parser.add_argument("--shingle", type=int, default=5)
    parser.add_argument("--bands", type=int)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--part", action="append", choices=["unicode", "pii", "filters"])
    args = parser.parse_args()
    records = read(args.file)[: args.limit]
    seconds, kept, more = (dedup if args.what == "dedup" else clean)(records, args)
    size = sum(len(record["text"].encode()) for record in records)
    outcome = {"cpuSeconds": seconds, "bytes": size, "megabytesPerSecond": size / seconds / 1e6, "kept": kept}
    print(json.dumps(outcome | more))


main()
