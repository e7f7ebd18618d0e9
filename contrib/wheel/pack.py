"""pack.py TREE VERSION TAG README OUT: zips a wheel, prints its path.

TREE holds the package ucx_efa. The same input makes the same file.
"""

import base64
import hashlib
import os
import sys
import zipfile

METADATA = """\
Metadata-Version: 2.1
Name: ucx-efa
Version: {version}
Summary: AWS EFA's SRD under the UCX you already have
License: BSD-3-Clause
Requires-Python: >=3.8
Description-Content-Type: text/markdown

{readme}"""

WHEEL = """\
Wheel-Version: 1.0
Generator: ucx-efa contrib/wheel.sh
Root-Is-Purelib: false
Tag: {tag}
"""

ENTRY_POINTS = """\
[console_scripts]
efarun = ucx_efa:efarun
srdtool = ucx_efa:srdtool
"""


def main(tree, version, tag, readme, out):
    info = "ucx_efa-%s.dist-info" % version
    files = {}
    for directory, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                files[os.path.relpath(path, tree)] = (
                    file.read(), os.access(path, os.X_OK))

    with open(readme, encoding="utf-8") as file:
        text = file.read()
    for name, content in (
            ("METADATA", METADATA.format(version=version, readme=text)),
            ("WHEEL", WHEEL.format(tag=tag)),
            ("entry_points.txt", ENTRY_POINTS)):
        files[info + "/" + name] = (content.encode(), False)

    record = ""
    for name in sorted(files):
        digest = hashlib.sha256(files[name][0]).digest()
        record += "%s,sha256=%s,%d\n" % (
            name, base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            len(files[name][0]))
    record += info + "/RECORD,,\n"
    files[info + "/RECORD"] = (record.encode(), False)

    path = os.path.join(out, "ucx_efa-%s-%s.whl" % (version, tag))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        # RECORD last, as the format recommends
        for name in sorted(files, key=lambda name: (name.startswith(info), name)):
            content, is_executable = files[name]
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if is_executable else 0o100644) << 16
            wheel.writestr(entry, content)
    print(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
