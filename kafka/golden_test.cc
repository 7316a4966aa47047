#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <random>
#include <set>

#include "kafka/error_codes.h"
#include "kafka/messages/all.h"
#include "kafka/testing/golden.h"

namespace afdg::kafka {
namespace {

const std::vector<Golden>& goldens() { return golden_messages(AFDG_KAFKA_GOLDEN); }

/// Calls f with a message of the golden's type.
template <class F>
void with_message(const Golden& golden, F&& f) {
  with_messages(golden.api->key,
                [&](auto request, auto response) { golden.request ? f(request) : f(response); });
}

/// The piece list as one string; external pieces as their size in '#'.
std::string flat(Writer& writer) {
  std::string out;
  for (const Piece& piece : writer.pieces()) {
    if (piece.kind == Piece::Kind::kOwned) out += writer.owned(piece);
    if (piece.kind == Piece::Kind::kMemory) out.append(piece.data, piece.size);
    if (piece.kind == Piece::Kind::kExternal) out.append(piece.size, '#');
  }
  return out;
}

TEST(Golden, EveryAcceptedVersionOfEveryMessageIsThere) {
  std::set<std::tuple<Key, std::int16_t, bool, std::string>> have;
  for (const Golden& golden : goldens())
    have.insert({golden.api->key, golden.version, golden.request, golden.sample});
  for (const Api& row : apis())
    for (std::int16_t version = row.accepted_min; version <= row.max; ++version)
      for (const bool request : {true, false})
        for (const char* sample : {"filled", "sparse", "long", "unknown"}) {
          const bool last = version == row.max;
          const bool wanted =
              sample[0] == 'f' || sample[0] == 's' || (last && (sample[0] == 'l' || row.flexible(version)));
          EXPECT_EQ(have.contains({row.key, version, request, sample}), wanted)
              << row.name << " " << version << (request ? " request " : " response ") << sample;
        }
}

TEST(Golden, EveryMessageOfTheRealKafkaIsReadWithItsValues) {
  for (const Golden& golden : goldens())
    with_message(golden, [&](auto message) {
      const Status read = decode(message, golden.version, golden.bytes, {.refuse_rest = true});
      ASSERT_TRUE(read.ok()) << golden.name() << ": " << read.to_string();
      EXPECT_EQ(dump(message, golden.version), golden.json) << golden.name();
      EXPECT_LE(min_size<decltype(message)>(golden.version), golden.bytes.size()) << golden.name();
    });
}

TEST(Golden, EveryMessageIsWrittenAsTheRealKafkaWritesIt) {
  std::map<std::tuple<Key, std::int16_t, bool>, std::string> filled;
  for (const Golden& golden : goldens())
    if (golden.sample == "filled") filled[{golden.api->key, golden.version, golden.request}] = golden.bytes;
  Writer writer;
  for (const Golden& golden : goldens())
    with_message(golden, [&](auto message) {
      ASSERT_TRUE(decode(message, golden.version, golden.bytes).ok()) << golden.name();
      writer.clear();
      encode(message, golden.version, writer);
      // Tagged fields that nobody knows are skipped by the reader, so they are not written again.
      const std::string& wanted = golden.sample == "unknown"
                                      ? filled[{golden.api->key, golden.version, golden.request}]
                                      : golden.bytes;
      EXPECT_EQ(to_hex(flat(writer)), to_hex(wanted)) << golden.name();
    });
}

TEST(Golden, AMessageObjectIsReadAgainWithoutRemains) {
  for (const Api& row : apis())
    with_messages(row.key, [&](auto request, auto response) {
      // Highest version first: its values must not show through in the lower ones.
      for (auto golden = goldens().rbegin(); golden != goldens().rend(); ++golden) {
        if (golden->api != &row) continue;
        const auto again = [&](auto& message) {
          ASSERT_TRUE(decode(message, golden->version, golden->bytes).ok()) << golden->name();
          EXPECT_EQ(dump(message, golden->version), golden->json) << golden->name();
          std::remove_reference_t<decltype(message)> fresh;
          ASSERT_TRUE(decode(fresh, golden->version, golden->bytes).ok());
          EXPECT_EQ(dump(message, row.max), dump(fresh, row.max)) << golden->name();
        };
        golden->request ? again(request) : again(response);
      }
    });
}

TEST(Golden, EveryTruncationIsRefusedByName) {
  std::size_t refused = 0;
  for (const Golden& golden : goldens())
    with_message(golden, [&](auto message) {
      for (std::size_t size = 0; size < golden.bytes.size(); ++size) {
        // A copy of just that size, so that a read past its end is seen by AddressSanitizer.
        const std::vector<char> cut(golden.bytes.begin(),
                                    golden.bytes.begin() + static_cast<std::ptrdiff_t>(size));
        const Status read = decode(message, golden.version, {cut.data(), cut.size()});
        ASSERT_EQ(read.code(), Code::kInvalidArgument) << golden.name() << " cut to " << size << " bytes";
        ASSERT_NE(read.error().text().find(std::string(golden.api->name) +
                                           (golden.request ? "Request" : "Response")),
                  std::string::npos)
            << read.error().text();
        ASSERT_NE(read.error().text().find(", field "), std::string::npos) << read.error().text();
        ++refused;
      }
    });
  EXPECT_GT(refused, 50'000u);
}

TEST(Golden, AByteTooManyIsAcceptedOnlyWhereItIsAllowed) {
  for (const Golden& golden : goldens())
    with_message(golden, [&](auto message) {
      const std::string longer = golden.bytes + 'x';
      EXPECT_TRUE(decode(message, golden.version, longer).ok()) << golden.name();
      EXPECT_EQ(decode(message, golden.version, longer, {.refuse_rest = true}).code(),
                Code::kInvalidArgument);
    });
}

/// Whatever is accepted is a message: written and read again it says the same.
TEST(Golden, RandomMutationsAreRefusedOrAreMessages) {
  const char* given = std::getenv("AFDG_SEED");
  const std::uint64_t seed = given ? std::strtoull(given, nullptr, 10) : 20'260'713;
  SCOPED_TRACE("AFDG_SEED=" + std::to_string(seed) + " repeats it");
  std::mt19937_64 random(seed);
  Writer writer;
  std::size_t accepted = 0, refused = 0;
  for (const Golden& golden : goldens()) {
    if (golden.bytes.empty()) continue;
    for (int i = 0; i < 60; ++i) {
      std::vector<char> bytes(golden.bytes.begin(), golden.bytes.end());
      for (std::uint64_t changes = 1 + random() % 3; changes > 0; --changes) {
        const std::size_t at = random() % bytes.size();
        switch (random() % 4) {
          case 0:
            bytes[at] = static_cast<char>(random());
            break;
          case 1:
            bytes[at] = static_cast<char>(bytes[at] ^ 1 << random() % 8);
            break;
          case 2:
            bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), random() % 2 ? '\xff' : '\0');
            break;
          default:
            if (bytes.size() > 1) bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at));
        }
      }
      with_message(golden, [&](auto message) {
        if (!decode(message, golden.version, {bytes.data(), bytes.size()}, {.array_bytes_max = 1 << 16}).ok())
          return void(++refused);
        ++accepted;
        const std::string text = dump(message, golden.version);
        writer.clear();
        encode(message, golden.version, writer);
        const std::string again = flat(writer);
        ASSERT_TRUE(decode(message, golden.version, again, {.refuse_rest = true}).ok()) << golden.name();
        ASSERT_EQ(dump(message, golden.version), text) << golden.name();
      });
    }
  }
  EXPECT_GT(accepted, 5'000u);
  EXPECT_GT(refused, 5'000u);
}

TEST(Golden, TheErrorCodesAreThoseOfTheRealKafka) {
  std::ifstream file(std::string(AFDG_KAFKA_GOLDEN) + "/errors.txt");
  std::string word, name, retriable;
  int number = 0, count = 0;
  while (file >> word >> number >> name >> retriable) {
    const auto code = static_cast<ErrorCode>(number);
    EXPECT_EQ(error_name(code), name);
    EXPECT_EQ(error_retriable(code), retriable == "true") << name;
    ++count;
  }
  int ours = 0;
#define AFDG_KAFKA_ERROR(name, number, retriable, text) ++ours;
#include "kafka/error_codes.def"
#undef AFDG_KAFKA_ERROR
  EXPECT_EQ(count, ours);
  EXPECT_EQ(error_name(static_cast<ErrorCode>(9999)), "UNKNOWN_SERVER_ERROR");
  EXPECT_EQ(error_code(Code::kNotLeader), ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(error_code(Code::kOutOfRange), ErrorCode::kOffsetOutOfRange);
}

}  // namespace
}  // namespace afdg::kafka
