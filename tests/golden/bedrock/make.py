#!/usr/bin/env python3
"""Makes in.bin of every stream case here from its in.events.json.

in.events.json is a list of [event type, payload] pairs; a type that ends in "Exception" becomes an exception frame,
a payload that is a string stands for its bytes as they are. {"cut": n} as the last entry leaves out the last n bytes,
{"flip": n} turns a bit of byte n. Frames: see src/provider/bedrock/eventstream.rs.
"""
import json
import pathlib
import struct
import zlib


def frame(headers, payload):
    block = b"".join(
        struct.pack("!B", len(name)) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()
        for name, value in headers
    )
    prelude = struct.pack("!II", 16 + len(block) + len(payload), len(block))
    head = prelude + struct.pack("!I", zlib.crc32(prelude)) + block + payload
    return head + struct.pack("!I", zlib.crc32(head))


def encode(kind, payload):
    payload = payload.encode() if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False).encode()
    if kind.endswith("Exception"):
        headers = [(":exception-type", kind), (":content-type", "application/json"), (":message-type", "exception")]
    else:
        headers = [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")]
    return frame(headers, payload)


for source in sorted(pathlib.Path(__file__).parent.glob("stream-*/in.events.json")):
    out = bytearray()
    for entry in json.loads(source.read_text()):
        if isinstance(entry, list):
            out += encode(*entry)
        elif "cut" in entry:
            del out[-entry["cut"]:]
        else:
            out[entry["flip"]] ^= 1
    source.with_name("in.bin").write_bytes(out)
