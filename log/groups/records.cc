#include "log/groups/records.h"

#include <limits>

#include "base/assert.h"
#include "base/codec.h"

namespace afdg::log::groups {
namespace {

constexpr std::int16_t kOffsetKeyVersion = 1;
constexpr std::int16_t kGroupKeyVersion = 2;
constexpr std::int16_t kOffsetValueVersion = 3;
constexpr std::int16_t kExpiringOffsetValueVersion = 1;
constexpr std::int16_t kGroupValueVersion = 3;
constexpr std::int16_t kFlexibleVersion = 4;  // of both values: compact strings and tagged fields (KIP-915)

void put16(std::string& out, std::int16_t v) { put_be16(out, static_cast<std::uint16_t>(v)); }
void put32(std::string& out, std::int32_t v) { put_be32(out, static_cast<std::uint32_t>(v)); }
void put64(std::string& out, std::int64_t v) { put_be64(out, static_cast<std::uint64_t>(v)); }

void put_string(std::string& out, std::string_view s) {
  AFDG_ASSERT(s.size() <= std::numeric_limits<std::int16_t>::max(), "a string of a group record is too long");
  put16(out, static_cast<std::int16_t>(s.size()));
  out.append(s);
}
void put_nullable(std::string& out, const std::optional<std::string>& s) {
  s ? put_string(out, *s) : put16(out, -1);
}
void put_bytes(std::string& out, std::string_view s) {
  AFDG_ASSERT(s.size() <= std::numeric_limits<std::int32_t>::max(), "bytes of a group record are too long");
  put32(out, static_cast<std::int32_t>(s.size()));
  out.append(s);
}

// Reads the fields of one value version; `bad()` after any that is malformed.
class Fields {
 public:
  Fields(std::string_view bytes, std::int16_t version) : in_(bytes), flexible_(version >= kFlexibleVersion) {}

  std::int32_t int32() { return static_cast<std::int32_t>(in_.be32()); }
  std::int64_t int64() { return static_cast<std::int64_t>(in_.be64()); }
  std::string string() {
    auto s = nullable();
    bad_ |= !s;
    return s ? std::move(*s) : std::string();
  }
  std::optional<std::string> nullable() {
    return sized(flexible_ ? compact() : static_cast<std::int16_t>(in_.be16()));
  }
  std::string bytes() {
    auto s = sized(flexible_ ? compact() : int32());
    bad_ |= !s;
    return s ? std::move(*s) : std::string();
  }
  // The count of an array whose elements take at least `element_bytes_min`: never more than the bytes can
  // hold.
  std::size_t count(std::size_t element_bytes_min) {
    const std::int64_t n = flexible_ ? compact() : int32();
    if (n < 0 || static_cast<std::uint64_t>(n) > in_.left() / element_bytes_min) return bad_ = true, 0;
    return static_cast<std::size_t>(n);
  }
  // Tagged fields are passed over.
  void tags() {
    if (!flexible_) return;
    const std::uint64_t n = in_.varint();
    bad_ |= n > in_.left() / 2;
    for (std::uint64_t i = 0; i < n && ok(); ++i) {
      static_cast<void>(in_.varint());
      static_cast<void>(in_.sized());
    }
  }
  bool ok() const { return !bad_ && !in_.failed(); }
  bool finished() const { return !bad_ && in_.finished(); }

 private:
  std::int64_t compact() {
    const std::uint64_t n = in_.varint();
    bad_ |= n > std::numeric_limits<std::int32_t>::max();
    return bad_ ? -1 : static_cast<std::int64_t>(n) - 1;
  }
  std::optional<std::string> sized(std::int64_t size) {
    bad_ |= size < -1;
    if (size < 0 || bad_) return std::nullopt;
    return std::string(in_.bytes(static_cast<std::uint64_t>(size)));
  }

  ByteReader in_;
  bool flexible_;
  bool bad_ = false;
};

Error corrupt(std::string_view what, std::size_t size) {
  return fail(Code::kCorrupt, std::string(what) + " of __consumer_offsets with " + std::to_string(size) +
                                  " bytes cannot be read: the record is passed over");
}
Error unknown(std::string_view what, std::int16_t version) {
  return fail(Code::kNewerFormat, std::string(what) + " of __consumer_offsets has version " +
                                      std::to_string(version) +
                                      ", the newest known is 4: use the version that wrote it");
}

}  // namespace

std::string encode_key(const OffsetKey& key) {
  std::string out;
  put16(out, kOffsetKeyVersion);
  put_string(out, key.group);
  put_string(out, key.topic);
  put32(out, key.partition);
  return out;
}

std::string encode_key(const GroupKey& key) {
  std::string out;
  put16(out, kGroupKeyVersion);
  put_string(out, key.group);
  return out;
}

std::string encode_value(const OffsetValue& value) {
  const bool expires = value.expire_timestamp_ms != -1;
  std::string out;
  put16(out, expires ? kExpiringOffsetValueVersion : kOffsetValueVersion);
  put64(out, value.offset);
  if (!expires) put32(out, value.leader_epoch);
  put_string(out, value.metadata);
  put64(out, value.commit_timestamp_ms);
  if (expires) put64(out, value.expire_timestamp_ms);
  return out;
}

std::string encode_value(const GroupValue& value) {
  std::string out;
  put16(out, kGroupValueVersion);
  put_string(out, value.protocol_type);
  put32(out, value.generation);
  put_nullable(out, value.protocol);
  put_nullable(out, value.leader);
  put64(out, value.state_timestamp_ms);
  put32(out, static_cast<std::int32_t>(value.members.size()));
  for (const GroupValue::Member& m : value.members) {
    put_string(out, m.member_id);
    put_nullable(out, m.instance_id);
    put_string(out, m.client_id);
    put_string(out, m.client_host);
    put32(out, m.rebalance_timeout_ms);
    put32(out, m.session_timeout_ms);
    put_bytes(out, m.subscription);
    put_bytes(out, m.assignment);
  }
  return out;
}

Result<Key> decode_key(std::string_view bytes) {
  if (bytes.size() < 2) return corrupt("a key", bytes.size());
  const auto version = static_cast<std::int16_t>(load_be16(bytes.data()));
  if (version < 0 || version > kGroupKeyVersion) return Key(OtherKey{version});
  Fields in(bytes.substr(2), 0);
  if (version == kGroupKeyVersion) {
    GroupKey key{in.string()};
    if (!in.finished()) return corrupt("a key", bytes.size());
    return Key(std::move(key));
  }
  OffsetKey key;
  key.group = in.string();
  key.topic = in.string();
  key.partition = in.int32();
  if (!in.finished()) return corrupt("a key", bytes.size());
  return Key(std::move(key));
}

Result<OffsetValue> decode_offset_value(std::string_view bytes) {
  if (bytes.size() < 2) return corrupt("an offset", bytes.size());
  const auto version = static_cast<std::int16_t>(load_be16(bytes.data()));
  if (version < 0 || version > kFlexibleVersion) return unknown("an offset", version);
  Fields in(bytes.substr(2), version);
  OffsetValue value;
  value.offset = in.int64();
  if (version >= 3) value.leader_epoch = in.int32();
  value.metadata = in.string();
  value.commit_timestamp_ms = in.int64();
  if (version == 1) value.expire_timestamp_ms = in.int64();
  in.tags();
  if (!in.finished()) return corrupt("an offset", bytes.size());
  return value;
}

Result<GroupValue> decode_group_value(std::string_view bytes) {
  if (bytes.size() < 2) return corrupt("a group", bytes.size());
  const auto version = static_cast<std::int16_t>(load_be16(bytes.data()));
  if (version < 0 || version > kFlexibleVersion) return unknown("a group", version);
  Fields in(bytes.substr(2), version);
  GroupValue value;
  value.protocol_type = in.string();
  value.generation = in.int32();
  value.protocol = in.nullable();
  value.leader = in.nullable();
  if (version >= 2) value.state_timestamp_ms = in.int64();
  constexpr std::size_t kMemberBytesMin = 10;  // of any version
  const std::size_t members = in.count(kMemberBytesMin);
  for (std::size_t i = 0; i < members && in.ok(); ++i) {
    GroupValue::Member& m = value.members.emplace_back();
    m.member_id = in.string();
    if (version >= 3) m.instance_id = in.nullable();
    m.client_id = in.string();
    m.client_host = in.string();
    if (version >= 1) m.rebalance_timeout_ms = in.int32();
    m.session_timeout_ms = in.int32();
    m.subscription = in.bytes();
    m.assignment = in.bytes();
    in.tags();
  }
  in.tags();
  if (!in.finished()) return corrupt("a group", bytes.size());
  return value;
}

}  // namespace afdg::log::groups
