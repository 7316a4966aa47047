#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "log/groups/coordinator.h"
#include "log/groups/records.h"

// The records of __consumer_offsets: the first byte chooses what the rest is. What is accepted must say the
// same when it is encoded and read again, and a coordinator must live with whatever it loads.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace afdg::log::groups;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0: {
      const auto key = decode_key(bytes);
      if (!key.ok()) break;
      if (const auto* offset = std::get_if<OffsetKey>(&*key)) {
        if (decode_key(encode_key(*offset)).value() != *key) std::abort();
      } else if (const auto* group = std::get_if<GroupKey>(&*key)) {
        if (decode_key(encode_key(*group)).value() != *key) std::abort();
      }
      break;
    }
    case 1: {
      auto value = decode_offset_value(bytes);
      // Version 4 has room for longer strings than the versions that are written.
      if (!value.ok() || value->metadata.size() > 32767) break;
      if (value->expire_timestamp_ms != -1) value->leader_epoch = -1;
      if (decode_offset_value(encode_value(*value)).value() != *value) std::abort();
      break;
    }
    case 2: {
      const auto value = decode_group_value(bytes);
      if (!value.ok() || bytes.size() > 32767) break;
      if (decode_group_value(encode_value(*value)).value() != *value) std::abort();
      break;
    }
    default: {
      afdg::SeededRandom random(1);
      Options options;
      options.partitions = 1;
      options.members_max = 3;
      Coordinator coordinator(options, random);
      const afdg::ManualClock clock;
      const Now start{clock.now(), clock.monotonic()};
      coordinator.load(0, encode_key(GroupKey{"g"}), bytes).ignore("any outcome will do");
      coordinator.loaded(0, start);
      coordinator.describe(1, {{"g"}}, start);
      // Every session ends, the group empties and is forgotten.
      for (Now now = start; now.monotonic < start.monotonic + std::chrono::hours(24 * 60);
           now.wall += std::chrono::hours(24), now.monotonic += std::chrono::hours(24)) {
        coordinator.tick(now);
        for (const Append& a : coordinator.take().appends) coordinator.append_done(a.token, {}, now);
      }
      if (coordinator.stats().groups != 0) std::abort();
      break;
    }
  }
  return 0;
}
