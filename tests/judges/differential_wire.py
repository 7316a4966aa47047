"""Requests and answers of any API and version, written as a form: one letter a field.

    b h i q   integers of 1, 2, 4, 8 bytes          u     16 bytes: a topic's id
    s S       text; capital letters are compact     y Y   bytes, None for null
    [..]      array of what is within               <..>  compact array
    _         tagged fields: sent as none, skipped in an answer
    (..)      a struct that may be null: a byte -1 or 1 before it
    =h =q ..  in an answer: a field that is compared; =h is an error code, the others are given as text
A request's values are nested as its form is: a list for an array, a tuple for an item of several fields.
"""
import struct

import kafka_client as wire

SIZES = {"b": 1, "h": 2, "i": 4, "q": 8}
ENDS = {"[": "]", "<": ">", "(": ")"}


def inner(form, at):
    """(what is between the bracket at `at` and its end, the place behind it)"""
    depth = 0
    for place in range(at, len(form)):
        depth += (form[place] in ENDS) - (form[place] in ENDS.values())
        if depth == 0:
            return form[at + 1:place], place + 1
    raise ValueError(f"'{form}' lacks the end of a bracket")


def fields(form):
    """[(letter, inner form, is compared)]"""
    out, at, compared = [], 0, False
    while at < len(form):
        letter = form[at]
        if letter in " =":
            compared = letter == "="
            at += 1
            continue
        within, at = inner(form, at) if letter in ENDS else ("", at + 1)
        out.append((letter, within, compared))
        compared = False
    return out


def uvarint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def pack(form, values):
    """The bytes of a request's body."""
    out, values = [], list(values)
    for letter, within, _ in fields(form):
        if letter == "_":
            out.append(b"\0")
            continue
        value = values.pop(0)
        if letter in SIZES:
            out.append(struct.pack(">" + letter, value))
        elif letter == "u":
            out.append(value)
        elif letter == "(":
            out.append(b"\xff" if value is None else b"\1" + pack(within, value))
        elif letter in "[<":
            wraps = sum(1 for one in fields(within) if one[0] != "_") == 1
            items = [pack(within, (item,) if wraps else item) for item in value or ()]
            size = -1 if value is None else len(items)
            out.append((struct.pack(">i", size) if letter == "[" else uvarint(size + 1)) + b"".join(items))
        else:
            data = value.encode() if isinstance(value, str) else value
            size = -1 if data is None else len(data)
            head = struct.pack(">h", size) if letter == "s" else struct.pack(">i", size) if letter == "y" else uvarint(size + 1)
            out.append(head + (data or b""))
    assert not values, f"{len(values)} values more than '{form}' has fields"
    return b"".join(out)


def unpack(form, answer):
    """(the compared fields in their order, all fields, nested as the form is) of a kafka_client.Reader."""
    compared, every = [], []

    def varint():
        value = shift = 0
        while True:
            byte = answer.take("B")
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    for letter, within, wanted in fields(form):
        if letter == "_":
            for _ in range(varint()):
                varint()
                answer.bytes(varint())
            continue
        if letter in SIZES:
            value = answer.take(letter)
        elif letter == "u":
            value = answer.bytes(16)
        elif letter == "(":
            value = None
            if answer.take("b") >= 0:
                found, value = unpack(within, answer)
                compared += found
        elif letter in "[<":
            value = []
            for _ in range(answer.take("i") if letter == "[" else varint() - 1):
                found, item = unpack(within, answer)
                compared += found
                value.append(item[0] if len(item) == 1 else item)
        else:
            size = answer.take("h") if letter == "s" else answer.take("i") if letter == "y" else varint() - 1
            value = None if size < 0 else answer.bytes(size)
            if letter in "sS" and value is not None:
                value = value.decode(errors="replace")
        if wanted:
            compared.append(value if letter == "h" else str(value))
        every.append(value)
    return compared, every


def resealed(batch, *, attributes=None, payload=None, size=None, base=0, delta=None, newest=None):
    """A batch with some of its fields replaced and the CRC put right."""
    head = bytearray(batch[21:61])
    if attributes is not None:
        struct.pack_into(">h", head, 0, attributes)
    if delta is not None:
        struct.pack_into(">i", head, 2, delta)
    if newest is not None:
        struct.pack_into(">q", head, 14, newest)
    checked = bytes(head) + (batch[61:] if payload is None else payload)
    return struct.pack(">qiibI", base, 9 + len(checked) if size is None else size, -1, 2, wire.crc32c(checked)) + checked
