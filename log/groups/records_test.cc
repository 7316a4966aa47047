#include "log/groups/records.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "base/codec.h"

namespace afdg::log::groups {
namespace {

using namespace std::string_literals;

struct Golden {
  std::string name;
  int version;
  std::string bytes;
};

std::vector<Golden> goldens() {
  std::vector<Golden> all;
  for (const char* release : {"3.9.1", "4.3.0"}) {
    const std::string path = std::string(AFDG_GROUPS_GOLDEN) + "/kafka-" + release + ".txt";
    std::ifstream file(path);
    EXPECT_TRUE(file.good()) << path;
    Golden g;
    std::string hex;
    while (file >> g.name >> g.version >> hex) {
      g.bytes.clear();
      for (std::size_t i = 0; i < hex.size(); i += 2)
        g.bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
      all.push_back(g);
    }
  }
  return all;
}

const OffsetKey kOffsetKey{"gr\u00fcn", "orders", 7};
const GroupKey kGroupKey{"gr\u00fcn"};

// What MakeGolden.java put into a value of that name and version.
OffsetValue offset_value(const Golden& g) {
  OffsetValue v{1234567890123, -1, "m\u00e9ta", 1700000000123, -1};
  if (g.version >= 3 && g.name != "offset-value-no-epoch") v.leader_epoch = 5;
  if (g.version == 1) v.expire_timestamp_ms = 1700000600123;
  return v;
}

GroupValue group_value(const Golden& g) {
  if (g.name == "group-value-empty") return {"", 0, std::nullopt, std::nullopt, -1, {}};
  GroupValue v{"consumer", 9, "range", "b-2", -1, {}};
  v.members.push_back({"a-1", std::nullopt, "a", "/127.0.0.1", -1, 10000, "\0\1\2"s, "\3\4"s});
  v.members.push_back({"b-2", std::nullopt, "", "/::1", -1, 45000, "", ""});
  if (g.version >= 1) v.members[0].rebalance_timeout_ms = 300000;
  if (g.version >= 2) v.state_timestamp_ms = 1700000000123;
  if (g.version >= 3) v.members[0].instance_id = "a";
  return v;
}

TEST(GroupRecords, EveryVersionThatKafkaWritesIsRead) {
  std::map<std::string, int> seen;
  for (const Golden& g : goldens()) {
    SCOPED_TRACE(g.name + " version " + std::to_string(g.version));
    ++seen[g.name];
    if (g.name == "offset-key") {
      EXPECT_EQ(decode_key(g.bytes).value(), Key(kOffsetKey));
    } else if (g.name == "group-key") {
      EXPECT_EQ(decode_key(g.bytes).value(), Key(kGroupKey));
    } else if (g.name.starts_with("offset-value")) {
      EXPECT_EQ(decode_offset_value(g.bytes).value(), offset_value(g));
    } else {
      EXPECT_EQ(decode_group_value(g.bytes).value(), group_value(g));
    }
  }
  const std::map<std::string, int> expected{{"offset-key", 3},
                                            {"group-key", 2},
                                            {"offset-value", 10},
                                            {"offset-value-no-epoch", 4},
                                            {"group-value", 10},
                                            {"group-value-empty", 10},
                                            {"offset-value-with-topic-id", 1}};
  EXPECT_EQ(seen, expected);
}

TEST(GroupRecords, WhatIsWrittenIsWhatKafkaWrites) {
  int compared = 0;
  for (const Golden& g : goldens()) {
    SCOPED_TRACE(g.name + " version " + std::to_string(g.version));
    const bool written = g.name == "offset-key"     ? g.version == 1
                         : g.name == "group-key"    ? g.version == 2
                         : g.name == "offset-value" ? g.version == 1 || g.version == 3
                                                    : g.version == 3;
    if (!written) continue;
    ++compared;
    if (g.name == "offset-key") {
      EXPECT_EQ(encode_key(kOffsetKey), g.bytes);
    } else if (g.name == "group-key") {
      EXPECT_EQ(encode_key(kGroupKey), g.bytes);
    } else if (g.name.starts_with("offset-value")) {
      EXPECT_EQ(encode_value(offset_value(g)), g.bytes);
    } else {
      EXPECT_EQ(encode_value(group_value(g)), g.bytes);
    }
  }
  EXPECT_EQ(compared, 14);
}

TEST(GroupRecords, EveryCutAndEveryTailIsCorrupt) {
  for (const Golden& g : goldens()) {
    SCOPED_TRACE(g.name + " version " + std::to_string(g.version));
    const auto code = [&](std::string_view bytes) {
      if (g.name.ends_with("-key")) return decode_key(bytes).code();
      return g.name.starts_with("offset") ? decode_offset_value(bytes).code()
                                          : decode_group_value(bytes).code();
    };
    for (std::size_t size = 0; size < g.bytes.size(); ++size)
      EXPECT_EQ(code(std::string_view(g.bytes).substr(0, size)), Code::kCorrupt) << size;
    EXPECT_EQ(code(g.bytes + "x"), Code::kCorrupt);
  }
}

TEST(GroupRecords, OtherKindsAreNamedAndNewerValuesRefused) {
  EXPECT_EQ(decode_key("\0\3anything"s).value(), Key(OtherKey{3}));
  EXPECT_EQ(decode_key("\xff\xffx"s).value(), Key(OtherKey{-1}));
  EXPECT_EQ(decode_offset_value("\0\5"s).code(), Code::kNewerFormat);
  EXPECT_EQ(decode_group_value("\0\5"s).code(), Code::kNewerFormat);
}

TEST(GroupRecords, HugeCountsAndLengthsAreRefusedBeforeAnythingIsAllocated) {
  GroupValue empty;
  std::string bytes = encode_value(empty);
  bytes.replace(bytes.size() - 4, 4, "\x7f\xff\xff\xff"s);
  EXPECT_EQ(decode_group_value(bytes).code(), Code::kCorrupt);
  bytes.replace(bytes.size() - 4, 4, "\xff\xff\xff\xff"s);
  EXPECT_EQ(decode_group_value(bytes).code(), Code::kCorrupt);
  EXPECT_EQ(decode_key("\0\2\x7f\xff"s).code(), Code::kCorrupt);
  EXPECT_EQ(decode_key("\0\2\xff\xff"s).code(), Code::kCorrupt) << "a group without a name";
  // Version 4: compact lengths of five bytes, and tags without an end.
  EXPECT_EQ(decode_group_value("\0\4\xff\xff\xff\xff\x0f"s).code(), Code::kCorrupt);
  std::string tagged = "\0\4"s + std::string(12, '\0') + "\1"s + std::string(8, '\0');
  EXPECT_TRUE(decode_offset_value(tagged + "\0"s).ok());
  EXPECT_EQ(decode_offset_value(tagged + "\xff\xff\xff\xff\x0f"s).code(), Code::kCorrupt);
}

}  // namespace
}  // namespace afdg::log::groups
