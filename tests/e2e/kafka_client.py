"""A Kafka client of a hundred lines: what the tests send as bytes of their own making, and no library would let them send.

Every request is in one fixed, old version without compact types, so that a wrong byte is easy to place.
"""
import contextlib
import socket
import struct
import time

PRODUCE, FETCH, LIST_OFFSETS, METADATA, API_VERSIONS, CREATE_TOPICS, DELETE_TOPICS, INIT_PRODUCER_ID = 0, 1, 2, 3, 18, 19, 20, 22
NONE, OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE, UNKNOWN_TOPIC, MESSAGE_TOO_LARGE = 0, 1, 2, 3, 10
INVALID_REQUIRED_ACKS, UNSUPPORTED_VERSION, INVALID_RECORD = 21, 35, 87


def _crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC = _crc_table()


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 255]
    return value ^ 0xFFFFFFFF


def text(value):
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value)) + value.encode()


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def blob(value):
    return struct.pack(">i", len(value)) + value


def varint(value):
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def batch(values, *, producer=-1, epoch=-1, sequence=-1, timestamp=None, crc=None, magic=2, attributes=0, count=None):
    """One record batch (magic 2) of these values; what is not None replaces what would be right."""
    now = int(time.time() * 1000) if timestamp is None else timestamp
    records = b""
    for delta, value in enumerate(values):
        record = b"\0" + varint(0) + varint(delta) + varint(-1) + varint(len(value)) + value + varint(0)
        records += varint(len(record)) + record
    count = len(values) if count is None else count
    checked = struct.pack(">hiqqqhii", attributes, len(values) - 1, now, now, producer, epoch, sequence, count) + records
    crc = crc32c(checked) if crc is None else crc
    return struct.pack(">qiibI", 0, 9 + len(checked), -1, magic, crc) + checked


def batches(data):
    """[(base offset, number of records, CRC is right)] of what a fetch returned; the last one may be cut short."""
    out = []
    while len(data) >= 61:
        base, size, _, _, crc = struct.unpack_from(">qiibI", data)
        if len(data) < 12 + size:
            break
        out.append((base, struct.unpack_from(">i", data, 57)[0], crc32c(data[21:12 + size]) == crc))
        data = data[12 + size:]
    return out


class Reader:
    """Takes an answer apart."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return values[0] if len(values) == 1 else values

    def bytes(self, size):
        self.at += max(size, 0)
        return self.data[self.at - max(size, 0):self.at]

    def text(self):
        return self.bytes(self.take("h")).decode()

    def array(self, one):
        return [one() for _ in range(max(self.take("i"), 0))]


def frame(key, version, correlation, body, client="wire"):
    return blob(struct.pack(">hhi", key, version, correlation) + text(client) + body)


def produce_body(topic, records, acks=-1, partition=0):
    return text(None) + struct.pack(">hi", acks, 10000) + array([text(topic) + array([struct.pack(">i", partition) + blob(records)])])


def fetch_body(topic, offset, wait=0, least=0, most=1 << 20, partition=0):
    return struct.pack(">iiiib", -1, wait, least, most, 0) + array([text(topic) + array([struct.pack(">iqi", partition, offset, most)])])


def create_body(topic, partitions):
    return array([text(topic) + struct.pack(">ih", partitions, 1) + array([]) + array([])]) + struct.pack(">ib", 10000, 0)


class Client:
    """One connection. Raises EOFError when the server closed it."""

    def __init__(self, address, seconds=10):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.correlation = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def raw(self, data):
        self.socket.sendall(data)

    def send(self, key, version, body):
        self.correlation += 1
        self.raw(frame(key, version, self.correlation, body))
        return self.correlation

    def exactly(self, size):
        out = bytearray()
        while len(out) < size:
            got = self.socket.recv(size - len(out))
            if not got:
                raise EOFError("the server closed the connection")
            out += got
        return bytes(out)

    def receive(self):
        """(correlation id, Reader) of the next answer."""
        answer = Reader(self.exactly(struct.unpack(">i", self.exactly(4))[0]))
        return answer.take("i"), answer

    def call(self, key, version, body):
        sent = self.send(key, version, body)
        got, answer = self.receive()
        assert got == sent, f"answer {got} to request {sent}"
        return answer

    def closed(self, seconds=5):
        """The server closes without a further byte."""
        self.socket.settimeout(seconds)
        with contextlib.suppress(ConnectionResetError):
            return self.socket.recv(1) == b""
        return True

    def api_versions(self, version=0, body=b""):
        """(error, {key: (lowest, highest)}), read as version 0."""
        answer = self.call(API_VERSIONS, version, body)
        error = answer.take("h")
        keys = {key: (low, high) for key, low, high in answer.array(lambda: answer.take("hhh"))}
        assert answer.at == len(answer.data), f"{len(answer.data) - answer.at} bytes more than the answer"
        return error, keys

    def create(self, topic, partitions=1):
        answer = self.call(CREATE_TOPICS, 2, create_body(topic, partitions))
        answer.take("i")
        return answer.array(lambda: (answer.text(), answer.take("h"), answer.bytes(answer.take("h"))))[0][1]

    @staticmethod
    def produced(answer):
        """[(topic, partition, error, offset)]"""
        out = []
        for _ in range(answer.take("i")):
            topic = answer.text()
            out += [(topic, *answer.array(lambda: answer.take("ihqq"))[0][:3])]
        return out

    def produce(self, topic, records, acks=-1, partition=0):
        """(error, offset)"""
        return self.produced(self.call(PRODUCE, 3, produce_body(topic, records, acks, partition)))[0][2:]

    @staticmethod
    def fetched(answer):
        """(error, high watermark, bytes) of the only partition."""
        answer.take("i")
        assert answer.take("i") == 1
        answer.text()
        assert answer.take("i") == 1
        _, error, watermark, _ = answer.take("ihqq")
        answer.array(lambda: answer.take("qq"))
        return error, watermark, answer.bytes(answer.take("i"))

    def fetch(self, topic, offset, **more):
        return self.fetched(self.call(FETCH, 4, fetch_body(topic, offset, **more)))


def only_value(data):
    """The value of a batch of a single record without key and headers, below 8 KiB, as batch() makes it."""
    record = data[61:]
    at = 0
    sizes = []
    for skip in (0, 1, 0, 0, 0):  # the record's size; attributes and the time's delta; the offset's; the key's; the value's size
        at += skip
        value = shift = 0
        while True:
            byte = record[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        sizes.append(value >> 1)
    return record[at:at + sizes[-1]]
