"""Reads image files whose paths come on stdin, each in a child of its own with bounded memory and time.

For each path a line of JSON: `path`, `reason` (empty where it decoded), `signal` (of a child that died), `shape`,
`kind` and `peak_mib`.
"""

import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from data_tools.probing import probe_image

MEMORY_BYTES = 2 * 2**30
SECONDS = 10


def read_in_child(path: str) -> dict[str, Any]:
    """What came of one file."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        signal.alarm(SECONDS)
        probe = probe_image(Path(path))
        answer_text = {
            "reason": probe.reason,
            "shape": [probe.width, probe.height],
            "kind": f"{probe.format} {probe.mode}",
        }
        os.write(send, json.dumps(answer_text).encode())
        os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as answer:
        content = answer.read()
    _, status, usage = os.wait4(child, 0)
    told: dict[str, Any] = json.loads(content) if content else {"reason": "", "shape": None, "kind": ""}
    code = os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)
    return {"path": path, "signal": code, "peak_mib": usage.ru_maxrss // 1024, **told}


def main() -> None:
    """Read every path of stdin."""
    # What is imported on first use is there before the children are made, so that they cost milliseconds.
    import cv2
    import pydicom.pixels
    from pydicom.pixels.decoders import gdcm

    assert gdcm.is_available("1.2.840.10008.1.2.4.90"), "the dicom extra is installed"
    cv2.setNumThreads(0)
    assert pydicom.pixels.pixel_array is not None
    for line in sys.stdin:
        print(json.dumps(read_in_child(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
