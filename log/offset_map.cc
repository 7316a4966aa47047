#include "log/offset_map.h"

#include <algorithm>
#include <bit>

namespace afdg::log {
namespace {

using Word = std::uint64_t;

struct Sip {
  Word a, b, c, d;
  void round() noexcept {
    a += b;
    b = std::rotl(b, 13) ^ a;
    a = std::rotl(a, 32);
    c += d;
    d = std::rotl(d, 16) ^ c;
    a += d;
    d = std::rotl(d, 21) ^ a;
    c += b;
    b = std::rotl(b, 17) ^ c;
    c = std::rotl(c, 32);
  }
  void take(Word word) noexcept {
    d ^= word;
    round();
    round();
    a ^= word;
  }
  Word finish() noexcept {
    for (int i = 0; i < 4; ++i) round();
    return a ^ b ^ c ^ d;
  }
};

Word little(const char* at, std::size_t count) noexcept {
  Word word = 0;
  for (std::size_t i = 0; i < count; ++i) word |= Word{static_cast<unsigned char>(at[i])} << (8 * i);
  return word;
}

}  // namespace

std::array<Word, 2> siphash128(std::string_view bytes, const std::array<Word, 2>& secret) noexcept {
  Sip sip{0x736f6d6570736575 ^ secret[0], 0x646f72616e646f6d ^ secret[1] ^ 0xee,
          0x6c7967656e657261 ^ secret[0], 0x7465646279746573 ^ secret[1]};
  const std::size_t whole = bytes.size() / 8 * 8;
  for (std::size_t i = 0; i < whole; i += 8) sip.take(little(bytes.data() + i, 8));
  sip.take(little(bytes.data() + whole, bytes.size() - whole) | Word{bytes.size()} << 56);
  sip.c ^= 0xee;
  std::array<Word, 2> out{};
  out[0] = sip.finish();
  sip.b ^= 0xdd;
  out[1] = sip.finish();
  return out;
}

OffsetMap::OffsetMap(std::size_t bytes, Random& random)
    : secret_{random.next(), random.next()},
      entries_(std::max<std::size_t>(bytes / kEntryBytes, 2)),
      capacity_(std::max<std::size_t>(entries_.size() / 10 * 9, 1)) {}

std::size_t OffsetMap::place(const std::array<Word, 2>& hash) const {
  std::size_t at = static_cast<std::size_t>(hash[0] % entries_.size());
  while (entries_[at].offset >= 0 && entries_[at].hash != hash) at = at + 1 == entries_.size() ? 0 : at + 1;
  return at;
}

bool OffsetMap::put(std::string_view key, Offset offset) {
  const auto hash = siphash128(key, secret_);
  Entry& entry = entries_[place(hash)];
  if (entry.offset < 0) {
    if (size_ == capacity_) return false;
    ++size_;
    entry.hash = hash;
  }
  entry.offset = offset.value();
  return true;
}

Offset OffsetMap::find(std::string_view key) const {
  return Offset(entries_[place(siphash128(key, secret_))].offset);
}

}  // namespace afdg::log
