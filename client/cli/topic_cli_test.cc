// `afdg topic produce`, `afdg topic consume -G` and `afdg group`, run against a server in this process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "client/cli/testing/program.h"
#include "client/cli/topic_produce.h"
#include "client/testing/fake_server.h"

namespace afdg::client::cli {
namespace {

using client::testing::SeenRecord;
using ::testing::HasSubstr;
using testing::Ran;

class TopicCli : public ::testing::Test {
 protected:
  Ran afdg(std::vector<std::string> words, const std::string& input = {}) {
    words.insert(words.begin(), {AFDG_PROGRAM, "-s", server_.address()});
    return testing::run_program(std::move(words), input);
  }
  client::testing::FakeServer server_;
};

TEST_F(TopicCli, ProducesALineARecordInOneCall) {
  const Ran run = afdg({"topic", "produce", "words", "-v"}, "one\ntwo\n\nlast");
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(run.out, "0@0\n0@1\n0@2\n0@3\n");
  EXPECT_THAT(run.err, HasSubstr("4 records"));
  const auto seen = server_.produced();
  ASSERT_EQ(seen.size(), 4U);
  EXPECT_EQ(seen[0].value, "one");
  EXPECT_EQ(seen[0].key, std::nullopt);
  EXPECT_EQ(seen[2].value, "");
  EXPECT_EQ(seen[3].value, "last");
  EXPECT_EQ(seen[3].call, 0U);
}

TEST_F(TopicCli, SplitsKeysAsKcatDoes) {
  EXPECT_EQ(afdg({"topic", "produce", "words", "-K", "\\t"}, "a\tb\tc\nnone\n\tempty\n").exit, 0);
  EXPECT_EQ(afdg({"topic", "produce", "words", "-K", "::", "-Z"}, "gone::\n::v\n").exit, 0);
  const auto seen = server_.produced();
  ASSERT_EQ(seen.size(), 5U);
  EXPECT_EQ(seen[0].key, "a");
  EXPECT_EQ(seen[0].value, "b\tc");
  EXPECT_EQ(seen[1].key, std::nullopt);
  EXPECT_EQ(seen[1].value, "none");
  EXPECT_EQ(seen[2].key, "");
  EXPECT_EQ(seen[3].key, "gone");
  EXPECT_EQ(seen[3].value, std::nullopt);
  EXPECT_EQ(seen[4].key, std::nullopt);
}

TEST_F(TopicCli, ProducesOneArgumentOrAFileWithKeyHeadersPartitionAndTime) {
  EXPECT_EQ(afdg({"topic", "produce", "words", "hello", "-k", "k", "-H", "a=1=2", "-H", "b=", "-p", "3",
                  "--time", "1700000000000", "-o", "json"})
                .json(),
            nlohmann::json({{"topic", "words"}, {"partition", 3}, {"offset", 0}}));
  const std::string path = ::testing::TempDir() + "/afdg-cli-record-" + std::to_string(getpid());
  std::ofstream(path) << "two\nlines\n";
  EXPECT_EQ(afdg({"topic", "produce", "words", "@" + path}).exit, 0);
  unlink(path.c_str());
  const auto seen = server_.produced();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].key, "k");
  EXPECT_EQ(seen[0].partition, 3U);
  EXPECT_EQ(seen[0].timestamp_unix_ms, 1'700'000'000'000);
  EXPECT_EQ(seen[0].headers, (std::vector<std::pair<std::string, std::string>>{{"a", "1=2"}, {"b", ""}}));
  EXPECT_EQ(seen[1].value, "two\nlines\n");
}

TEST_F(TopicCli, ManyLinesAreManyRecordsAndFewCalls) {
  std::string input;
  for (int i = 0; i < 25'000; ++i) input += std::to_string(i) + "\n";
  input += std::string(3'000'000, 'x') + "\n";  // alone: it fits no call with others
  const Ran run = afdg({"topic", "produce", "words"}, input);
  EXPECT_EQ(run.exit, 0) << run.err;
  const auto seen = server_.produced();
  ASSERT_EQ(seen.size(), 25'001U);
  for (std::size_t i = 0; i < 25'000; ++i) ASSERT_EQ(seen[i].value, std::to_string(i));
  EXPECT_LE(seen.back().call, 8U);
  EXPECT_GT(seen.back().call, seen[24'999].call);
}

TEST_F(TopicCli, SaysWhichRecordWasNotStored) {
  const Ran run = afdg({"topic", "produce", "words"}, "one\nfull\nthree\nfull\n");
  EXPECT_EQ(run.exit, 6);
  EXPECT_EQ(run.out, "0@0\n0@1\n");
  EXPECT_THAT(run.err, HasSubstr("record 2 of standard input and 1 more"));
  EXPECT_THAT(run.err, HasSubstr("the disk is full: free space; 2 were stored"));
  EXPECT_EQ(afdg({"topic", "produce", "words", "full"}).err, "afdg: the disk is full: free space\n");
}

TEST_F(TopicCli, RefusesWhatItCannotProduce) {
  EXPECT_EQ(afdg({"topic", "produce", "none", "x"}).exit, 3);
  EXPECT_EQ(afdg({"topic", "produce", "words", "x", "-H", "novalue"}).exit, 2);
  EXPECT_EQ(afdg({"topic", "produce", "words", "x", "-H", "=v"}).exit, 2);
  EXPECT_EQ(afdg({"topic", "produce", "words", "x", "-k", "a", "-K", ":"}).exit, 2);
  EXPECT_EQ(afdg({"topic", "produce", "words", "x", "-K", ":"}).exit, 2);
  EXPECT_EQ(afdg({"topic", "produce", "words", "-K", "\\q"}, "x").exit, 2);
  EXPECT_EQ(afdg({"topic", "produce", "words", "x", "-p", "-1"}).exit, 2);
  EXPECT_EQ(afdg({"topic", "produce", "words", "x", "--time", "soon"}).exit, 2);
  EXPECT_EQ(afdg({"topic", "produce", "words", "@/no/such/file"}).exit, 2);
  const Ran large = afdg({"topic", "produce", "words"}, std::string(8 << 20, 'x'));
  EXPECT_EQ(large.exit, 2);
  EXPECT_THAT(large.err, HasSubstr("7340032"));
  EXPECT_TRUE(server_.produced().empty());
}

TEST_F(TopicCli, ConsumesWithAGroupFromWhereItIs) {
  EXPECT_EQ(afdg({"topic", "consume", "words", "-G", "r", "-n", "2", "-o", "raw"}).out, "alpha\nbeta\n");
  EXPECT_EQ(server_.group_offset("r"), 2);
  EXPECT_EQ(afdg({"topic", "consume", "words", "--group", "r", "-e", "-o", "raw"}).out, "gamma\n");
  EXPECT_EQ(server_.group_offset("r"), 3);
  EXPECT_EQ(afdg({"topic", "consume", "words", "-G", "r", "-e"}).out, "");
  EXPECT_EQ(server_.group_offset("r"), 3);
}

TEST_F(TopicCli, SaysWhenAGroupHasMembersOrWhatWasReadIsNotKept) {
  const Ran busy = afdg({"topic", "consume", "words", "-G", "busy", "-e"});
  EXPECT_EQ(busy.exit, 1);
  EXPECT_EQ(busy.out, "");
  EXPECT_THAT(busy.err, HasSubstr("group 'busy' has members"));
  const Ran taken = afdg({"topic", "consume", "words", "-G", "taken", "-e"});
  EXPECT_EQ(taken.exit, 1);
  EXPECT_THAT(taken.out, HasSubstr("gamma"));
  EXPECT_THAT(taken.err, HasSubstr("is not kept in group 'taken'"));
}

TEST_F(TopicCli, ListsAndDescribesGroups) {
  EXPECT_EQ(afdg({"group", "list", "-o", "raw"}).out, "busy\tStable\t\t1\n");
  EXPECT_EQ(afdg({"group", "list", "-o", "json"}).json()[0]["name"], "busy");
  const Ran run = afdg({"group", "describe", "busy"});
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_THAT(run.out, ::testing::ContainsRegex("left +words.0."));
  EXPECT_THAT(run.out, ::testing::ContainsRegex("words +0 +1 +3 +2 +left"));
  EXPECT_THAT(run.out, ::testing::ContainsRegex("gone +0 +5 +- +-"));
  EXPECT_EQ(afdg({"group", "describe", "busy", "-o", "json"}).json()["offsets"][0]["lag"], 2);
  EXPECT_EQ(afdg({"group", "describe", "none"}).exit, 3);
  EXPECT_EQ(afdg({"group", "describe"}).exit, 2);
  EXPECT_EQ(afdg({"group"}).exit, 2);
}

TEST_F(TopicCli, MovesAndDeletesGroups) {
  EXPECT_EQ(afdg({"group", "seek", "r", "--topic", "words", "--to", "end", "-o", "raw"}).out,
            "words\t0\t3\t3\t0\n");
  EXPECT_EQ(
      afdg({"group", "seek", "r", "--topic", "words", "--to", "1", "-o", "json"}).json()[0]["committed"], 1);
  EXPECT_EQ(afdg({"group", "seek", "r", "--topic", "words", "-p", "0", "--to", "@1002"}).exit, 0);
  EXPECT_EQ(server_.group_offset("r"), 2);
  EXPECT_EQ(afdg({"group", "seek", "r", "--topic", "words", "--to", "start"}).exit, 0);
  EXPECT_EQ(server_.group_offset("r"), 0);
  EXPECT_EQ(afdg({"group", "seek", "r", "--topic", "none", "--to", "start"}).exit, 3);
  EXPECT_EQ(afdg({"group", "seek", "r", "--topic", "words", "--to", "-1"}).exit, 2);
  EXPECT_EQ(afdg({"group", "seek", "r", "--topic", "words"}).exit, 2);
  EXPECT_EQ(afdg({"group", "seek", "r", "--to", "start"}).exit, 2);
  const Ran busy = afdg({"group", "seek", "busy", "--topic", "words", "--to", "start"});
  EXPECT_EQ(busy.exit, 1);
  EXPECT_EQ(busy.err, "afdg: group 'busy' has members: stop its consumers first\n");
  EXPECT_EQ(afdg({"group", "delete", "busy"}).exit, 1);
  EXPECT_EQ(afdg({"group", "delete", "r", "-o", "json"}).json()["deleted"], "r");
  EXPECT_EQ(server_.group_offset("r"), -1);
  EXPECT_EQ(afdg({"group", "delete", "r"}).exit, 3);
}

TEST_F(TopicCli, BenchProducesWithKeysAndReportsWhatCameOfIt) {
  const Ran run = afdg({"-o",        "json",        "bench",     "produce", "--topic",  "words",  "--callers",
                        "4",         "--in-flight", "2",         "--keys",  "10",       "--size", "30",
                        "--records", "3",           "--seconds", "0.2",     "--warmup", "0"});
  ASSERT_EQ(run.exit, 0) << run.err;
  const nlohmann::json json = run.json();
  EXPECT_GT(json["operations"], 0);
  EXPECT_GT(json["p50_us"], 0);
  EXPECT_GE(json["p999_us"], json["p50_us"]);
  EXPECT_EQ(json["errors"], 0);
  const auto seen = server_.produced();
  ASSERT_GT(seen.size(), 4U);
  EXPECT_LE(json["operations"].get<std::size_t>(), seen.size());
  for (const SeenRecord& record : seen) {
    EXPECT_THAT(record.key.value_or(""), ::testing::MatchesRegex("k[0-9]"));
    EXPECT_EQ(record.value, std::string(30, 'x'));
  }
  EXPECT_EQ(seen[1].call, seen[3].call) << "three records a call";
  EXPECT_EQ(
      afdg({"bench", "produce", "--topic", "words", "--threads", "--callers", "2", "--seconds", "0.1"}).exit,
      0);
}

TEST_F(TopicCli, BenchRefusesWhatItCannotMeasure) {
  EXPECT_EQ(afdg({"bench", "produce", "--topic", "none"}).exit, 3);
  EXPECT_EQ(afdg({"bench", "consume", "--topic", "none"}).exit, 3);
  EXPECT_EQ(afdg({"bench", "produce", "--topic", "words", "--callers", "1000", "--in-flight", "1000"}).exit,
            2);
  EXPECT_EQ(afdg({"bench", "produce", "--topic", "words", "--records", "10000", "--size", "10000"}).exit, 2);
  EXPECT_EQ(afdg({"bench", "produce", "--topic", "words", "--seconds", "0"}).exit, 2);
  EXPECT_EQ(afdg({"bench", "produce", "--topic", "words", "--keys", "0"}).exit, 2);
  EXPECT_EQ(afdg({"bench", "consume", "--topic", "words", "--callers", "2000"}).exit, 2);
}

TEST_F(TopicCli, BenchConsumesAgainAndAgain) {
  const Ran run = afdg({"-o", "json", "bench", "consume", "--topic", "words", "--callers", "2", "--seconds",
                        "0.2", "--warmup", "0"});
  ASSERT_EQ(run.exit, 0) << run.err;
  EXPECT_GT(run.json()["operations"], 6) << "more than once";
  EXPECT_EQ(run.json()["errors"], 0);
}

TEST_F(TopicCli, CompletionKnowsTheCommands) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = afdg({"completion", shell}).out;
    for (const char* word : {"produce", "seek", "key-separator", "partition", "to"})
      EXPECT_THAT(script, HasSubstr(word)) << shell;
  }
}

TEST(Lines, GivesWhatIsThereWithoutWaitingForMore) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  Lines lines(pipe_ends[0]);
  const auto never = [] { return false; };
  ASSERT_EQ(write(pipe_ends[1], "one\ntwo\nthr", 11), 11);
  EXPECT_TRUE(*lines.fill(never));  // the pipe is still open
  EXPECT_EQ(lines.next(), "one");
  EXPECT_EQ(lines.next(), "two");
  EXPECT_EQ(lines.next(), std::nullopt);
  ASSERT_EQ(write(pipe_ends[1], "ee", 2), 2);
  EXPECT_TRUE(*lines.fill(never));
  EXPECT_EQ(lines.next(), std::nullopt);
  close(pipe_ends[1]);
  EXPECT_FALSE(*lines.fill(never));
  EXPECT_EQ(lines.next(), "three");
  EXPECT_EQ(lines.next(), std::nullopt);
  EXPECT_FALSE(*lines.fill(never));
  close(pipe_ends[0]);
}

}  // namespace
}  // namespace afdg::client::cli
