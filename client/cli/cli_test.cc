// The program `afdg` itself, run against a server in this process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "afdg/v1/admin.pb.h"
#include "client/cli/call_id.h"
#include "client/cli/context.h"
#include "client/cli/histogram.h"
#include "client/cli/record_format.h"
#include "client/cli/testing/program.h"
#include "client/testing/fake_server.h"

namespace afdg::client::cli {
namespace {

using client::testing::FakeServer;
using client::testing::Mode;
using client::testing::SeenCall;
using testing::finish;
using ::testing::HasSubstr;
using testing::Ran;
using testing::run_program;
using testing::start_program;
using testing::Started;

class Cli : public ::testing::Test {
 protected:
  Ran afdg(std::vector<std::string> words, const std::string& input = {}) {
    words.insert(words.begin(), {AFDG_PROGRAM, "-s", server_.address()});
    return run_program(std::move(words), input);
  }
  FakeServer server_;
};

const char* const kByTwo = R"({"key":"n","by":2})";

TEST_F(Cli, BareShowsTheServerAndWhatToTryNext) {
  const Ran run = afdg({});
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("afdgd 0.1.0"));
  EXPECT_THAT(run.out, HasSubstr("Try next"));
  EXPECT_EQ(afdg({"-o", "json"}).json()["version"], "0.1.0");
}

TEST_F(Cli, RequestPrintsTheAnswer) {
  const Ran run = afdg({"agent", "request", "entity/alice", "Increment", kByTwo, "-v"});
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(nlohmann::json::parse(run.out)["value"], "2");
  EXPECT_THAT(run.err, HasSubstr("offset 1"));
  EXPECT_EQ(
      afdg({"agent", "request", "entity/alice", "Increment", "-", "-o", "json"}, kByTwo).json()["value"],
      "4");
  EXPECT_EQ(afdg({"agent", "request", "entity/alice", "Increment", kByTwo, "--id", "x"}).exit, 0);
  EXPECT_EQ(afdg({"agent", "request", "entity/alice", "Increment", kByTwo, "--id", "x"}).exit, 0);
  EXPECT_EQ(server_.counter("alice"), 6);
}

TEST_F(Cli, ReadsAMessageFromAFile) {
  const std::string path = ::testing::TempDir() + "/afdg-cli-message-" + std::to_string(getpid()) + ".json";
  std::ofstream(path) << kByTwo;
  EXPECT_EQ(afdg({"agent", "request", "entity/a", "Increment", "@" + path}).exit, 0);
  EXPECT_EQ(server_.counter("a"), 2);
  unlink(path.c_str());
  EXPECT_EQ(afdg({"agent", "request", "entity/a", "Increment", "@" + path}).exit, 2);
}

TEST_F(Cli, SendPrintsWhereItIsLogged) {
  const Ran run = afdg({"agent", "send", "entity/alice", "Increment", kByTwo});
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_THAT(run.out, ::testing::MatchesRegex("g\\.messages\\[[0-3]\\]@1\n"));
  EXPECT_EQ(afdg({"-o", "json", "agent", "send", "entity/alice", "Increment", kByTwo}).json()["topic"],
            "g.messages");
}

TEST_F(Cli, ExitCodesTellWhatWentWrong) {
  EXPECT_EQ(afdg({"agent", "request", "entity/a", "Fail", "{}"}).exit, 1);
  EXPECT_EQ(afdg({"agent", "request", "entity", "Increment", "{}"}).exit, 2);
  EXPECT_EQ(afdg({"agent", "request", "entity/a", "Increment", "{"}).exit, 2);
  EXPECT_EQ(afdg({"agent", "request"}).exit, 2);
  EXPECT_EQ(afdg({"nonsense"}).exit, 2);
  EXPECT_EQ(afdg({"-o", "xml"}).exit, 2);
  EXPECT_EQ(afdg({"--timeout", "soon"}).exit, 2);
  EXPECT_EQ(afdg({"agent", "request", "nobody/a", "Increment", "{}"}).exit, 3);
  EXPECT_EQ(afdg({"-g", "none", "agent", "request", "entity/a", "Increment", "{}"}).exit, 3);
  EXPECT_EQ(afdg({"topic", "consume", "none"}).exit, 3);
  EXPECT_EQ(run_program({AFDG_PROGRAM, "-s", "127.0.0.1:1", "--timeout", "200ms", "grid", "list"}).exit, 4);
  EXPECT_EQ(afdg({"grid", "create", "g"}).exit, 1);
  server_.set_refusal([](const SeenCall&) { return Code::kOverloaded; });
  EXPECT_EQ(afdg({"agent", "request", "entity/a", "Increment", "{}"}).exit, 6);
  server_.set_refusal([](const SeenCall&) { return Code::kPermissionDenied; });
  EXPECT_EQ(afdg({"agent", "request", "entity/a", "Increment", "{}"}).exit, 8);
}

TEST_F(Cli, InDoubtPrintsTheIdToRepeatWith) {
  server_.set_mode(Mode::kIgnore);
  const Ran run = afdg({"--timeout", "200ms", "agent", "request", "entity/a", "Increment", "{}"});
  EXPECT_EQ(run.exit, 5);
  EXPECT_THAT(run.err, HasSubstr("--id cli-"));
  const Ran own =
      afdg({"--timeout", "200ms", "agent", "send", "entity/a", "Increment", "{}", "--id", "mine"});
  EXPECT_EQ(own.exit, 5);
  EXPECT_THAT(own.err, HasSubstr("--id mine\n"));
}

TEST_F(Cli, ACallWithoutAnIdBelongsToASessionThatEndsWithTheProgram) {
  EXPECT_EQ(afdg({"agent", "request", "entity/a", "Increment", kByTwo}).exit, 0);
  EXPECT_EQ(afdg({"agent", "send", "entity/a", "Increment", kByTwo}).exit, 0);
  EXPECT_EQ(server_.farewells(), 2U);
  EXPECT_EQ(afdg({"agent", "request", "entity/a", "Increment", kByTwo, "--id", "mine"}).exit, 0);
  EXPECT_EQ(server_.farewells(), 2U);
  std::vector<SeenCall> calls = server_.seen();
  std::erase_if(calls, [](const SeenCall& call) { return call.id == 0; });
  ASSERT_EQ(calls.size(), 3U);
  EXPECT_EQ(calls[0].request_id, "");
  EXPECT_EQ(calls[0].sequence, 1U);
  EXPECT_EQ(calls[1].request_id, "");
  EXPECT_NE(calls[0].session, calls[1].session);
  EXPECT_EQ(calls[2].request_id, "mine");
  EXPECT_EQ(calls[2].sequence, 0U);
}

TEST_F(Cli, WhatEndedInDoubtIsRepeatedUnderItsSessionAndTakesEffectOnce) {
  server_.set_mode(Mode::kApplySilently);
  const Ran lost = afdg({"--timeout", "200ms", "agent", "request", "entity/a", "Increment", kByTwo});
  EXPECT_EQ(lost.exit, 5);
  const std::string id = lost.err.substr(lost.err.find("--id ") + 5, 38);
  ASSERT_TRUE(parse_call_id(id).has_value()) << lost.err;
  // Lost once more: the id stays the same.
  const Ran again =
      afdg({"--timeout", "200ms", "agent", "request", "entity/a", "Increment", kByTwo, "--id", id});
  EXPECT_THAT(again.err, HasSubstr("--id " + id)) << again.err;
  server_.set_mode(Mode::kAnswer);
  const Ran found = afdg({"-v", "agent", "request", "entity/a", "Increment", kByTwo, "--id", id});
  EXPECT_EQ(found.exit, 0) << found.err;
  EXPECT_THAT(found.err, HasSubstr("a stored answer"));
  EXPECT_EQ(server_.counter("a"), 2);
  EXPECT_EQ(server_.farewells(), 0U);
  // It is the id of that call alone.
  for (const std::vector<std::string>& other :
       std::vector<std::vector<std::string>>{{"request", "entity/b", "Increment", kByTwo},
                                             {"request", "entity/a", "Increment", "{}"},
                                             {"send", "entity/a", "Increment", kByTwo}}) {
    std::vector<std::string> words{"agent"};
    words.insert(words.end(), other.begin(), other.end());
    words.insert(words.end(), {"--id", id});
    const Ran refused = afdg(words);
    EXPECT_EQ(refused.exit, 1);
    EXPECT_THAT(refused.err, HasSubstr("is of another call"));
  }
  EXPECT_EQ(server_.counter("a"), 2);
  CallId old = *parse_call_id(id);
  old.begun_unix_s -= 3600;
  const Ran late = afdg({"agent", "request", "entity/a", "Increment", kByTwo, "--id", call_id_text(old)});
  EXPECT_EQ(late.exit, 1);
  EXPECT_THAT(late.err, HasSubstr("60 minutes ago"));
}

TEST_F(Cli, ErrorsAreOneSentenceOrAnObject) {
  const Ran text = afdg({"-g", "none", "agent", "request", "entity/a", "Increment", "{}"});
  EXPECT_EQ(std::count(text.err.begin(), text.err.end(), '\n'), 1);
  EXPECT_TRUE(text.out.empty());
  const Ran json = afdg({"-o", "json", "-g", "none", "agent", "request", "entity/a", "Increment", "{}"});
  EXPECT_EQ(nlohmann::json::parse(json.err)["error"]["code"], "kUnknownGrid");
  const Ran usage = afdg({"-o", "json", "agent", "request"});
  EXPECT_EQ(nlohmann::json::parse(usage.err)["error"]["code"], "kInvalidArgument");
}

TEST_F(Cli, TheOnlyGridNeedsNoNameAndSeveralDo) {
  EXPECT_EQ(afdg({"region", "list"}).exit, 0);
  EXPECT_EQ(afdg({"grid", "create", "other", "--regions", "4"}).exit, 0);
  const Ran run = afdg({"region", "list"});
  EXPECT_EQ(run.exit, 2);
  EXPECT_THAT(run.err, HasSubstr("-g"));
  EXPECT_EQ(afdg({"region", "list", "-g", "g"}).exit, 0);
  EXPECT_EQ(afdg({"grid", "delete", "other"}).exit, 0);
  EXPECT_EQ(afdg({"grid", "delete", "other"}).exit, 3);
}

TEST_F(Cli, JsonOutputIsJsonForEveryListing) {
  ASSERT_EQ(afdg({"agent", "request", "entity/alice", "Increment", kByTwo}).exit, 0);
  EXPECT_EQ(afdg({"-o", "json", "grid", "list"}).json()[0]["name"], "g");
  EXPECT_EQ(afdg({"-o", "json", "region", "list"}).json().size(), 4U);
  EXPECT_EQ(afdg({"-o", "json", "region", "lag"}).json()[0]["lag"], 0);
  EXPECT_EQ(afdg({"-o", "json", "topic", "list"}).json()[0]["name"], "words");
  EXPECT_EQ(afdg({"-o", "json", "topic", "describe", "words"}).json()["partitions"], 1);
  EXPECT_EQ(afdg({"-o", "json", "catalog", "nodes"}).json()[0]["alive"], true);
  EXPECT_EQ(afdg({"-o", "json", "catalog", "route", "entity/alice"}).json()["node"], 1);
  EXPECT_EQ(afdg({"-o", "json", "agent", "list", "entity"}).json(), nlohmann::json({"alice"}));
  EXPECT_EQ(afdg({"-o", "raw", "agent", "list", "entity"}).out, "alice\n");
  EXPECT_TRUE(afdg({"-o", "json", "top", "-n", "1", "--every", "100ms"}).json().contains("turns_per_s"));
}

TEST_F(Cli, FanoutPrintsEachOutcomeAndASummary) {
  const Ran good = afdg({"agent", "fanout", "entity", "--keys", "a,b", "Increment", kByTwo});
  EXPECT_EQ(good.exit, 0) << good.err;
  EXPECT_THAT(good.out, HasSubstr("a\tok\t"));
  EXPECT_THAT(good.out, HasSubstr("2 ok\n"));
  EXPECT_EQ(afdg({"agent", "fanout", "entity", "--keys-from", "-", "Increment", kByTwo}, "a\nb\n").exit, 0);
  server_.set_refusal([](const SeenCall& call) { return call.key == "b" ? Code::kOverloaded : Code::kOk; });
  const Ran part = afdg({"agent", "fanout", "entity", "--all", "Increment", kByTwo, "--id", "night"});
  EXPECT_EQ(part.exit, 7);
  EXPECT_THAT(part.out, HasSubstr("1 ok, 1 overloaded"));
  server_.set_refusal(nullptr);
  const Ran again =
      afdg({"-o", "json", "agent", "fanout", "entity", "--all", "Increment", kByTwo, "--id", "night"});
  EXPECT_EQ(again.exit, 0);
  EXPECT_EQ(again.json()["counts"]["ok"], 2);
  EXPECT_EQ(again.json()["outcomes"].size(), 2U);
  EXPECT_EQ(server_.counter("a"), 6);
  EXPECT_EQ(afdg({"agent", "fanout", "entity", "Increment", kByTwo}).exit, 2);
}

TEST_F(Cli, FanoutPrintsOutcomesWhileOthersAreStillOut) {
  server_.set_refusal([](const SeenCall& call) { return call.key == "slow" ? Code::kInDoubt : Code::kOk; });
  const std::string command =
      std::string(AFDG_PROGRAM) + " -s " + server_.address() +
      " --timeout 3s agent fanout entity --keys slow,quick Increment '{\"key\":\"n\"}'";
  std::FILE* pipe = popen(command.c_str(), "r");
  const auto begin = std::chrono::steady_clock::now();
  char line[256] = {};
  ASSERT_NE(std::fgets(line, sizeof line, pipe), nullptr);
  EXPECT_THAT(line, HasSubstr("quick\tok"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
  ASSERT_NE(std::fgets(line, sizeof line, pipe), nullptr);
  EXPECT_THAT(line, HasSubstr("slow\tin doubt"));
  ASSERT_NE(std::fgets(line, sizeof line, pipe), nullptr);
  EXPECT_THAT(line, HasSubstr("1 ok, 1 in doubt"));
  EXPECT_EQ(std::fgets(line, sizeof line, pipe), nullptr);
  EXPECT_EQ(WEXITSTATUS(pclose(pipe)), 7);
}

TEST_F(Cli, AnInterruptedFanoutTellsHowToGoOnAndThatReachesTheOthers) {
  constexpr std::size_t kTargets = 3000;
  std::string keys;
  for (std::size_t n = 0; n < kTargets; ++n) keys += "k" + std::to_string(n) + "\n";
  server_.set_mode(Mode::kApplySilently);
  const Started run = start_program({AFDG_PROGRAM, "-s", server_.address(), "--timeout", "2s", "agent",
                                     "fanout", "entity", "Increment", kByTwo, "--keys-from", "-"},
                                    keys);
  server_.wait_seen(1024);
  kill(run.pid, SIGINT);
  const Ran cut = finish(run);
  EXPECT_EQ(cut.exit, 130);
  EXPECT_THAT(cut.out, HasSubstr("\n0 ok, 1024 in doubt\n"));
  EXPECT_THAT(cut.err, HasSubstr("afdg: interrupted"));
  const std::string id = cut.err.substr(cut.err.find("--id ") + 5, 20);
  ASSERT_EQ(id.substr(0, 4), "cli-") << cut.err;
  server_.set_mode(Mode::kAnswer);
  const Ran rest = afdg(
      {"agent", "fanout", "entity", "Increment", kByTwo, "--keys-from", "-", "--id", id, "--resume"}, keys);
  EXPECT_EQ(rest.exit, 0) << rest.err;
  EXPECT_THAT(rest.out, HasSubstr("\n3000 ok\n"));
  for (const char* key : {"k0", "k1023", "k1024", "k2999"}) EXPECT_EQ(server_.counter(key), 2) << key;
}

TEST_F(Cli, UsageErrorsNameTheWordAndTheRemedy) {
  EXPECT_EQ(afdg({"grid", "creat", "x"}).err,
            "afdg: 'creat' is not a command of 'afdg grid': use one of create, list, describe, delete\n");
  EXPECT_THAT(afdg({"grid"}).err, HasSubstr("needs a command: use one of create"));
  EXPECT_THAT(afdg({"grid", "list", "--all"}).err, HasSubstr("'afdg grid list' has no option '--all'"));
  EXPECT_THAT(afdg({"grid", "list", "x"}).err, HasSubstr("'x' is one word too many for 'afdg grid list'"));
  EXPECT_THAT(afdg({"grid", "create"}).err, HasSubstr("name is required: see afdg grid create --help"));
  for (const char* bad : {"0", "-1", "many"}) {
    const Ran run = afdg({"grid", "create", "x", "--regions", bad});
    EXPECT_EQ(run.exit, 2);
    EXPECT_THAT(run.err, HasSubstr("--regions"));
    EXPECT_LT(run.err.size(), 120U) << run.err;
  }
}

TEST_F(Cli, ConsumePrintsRecordsInTheGivenForm) {
  EXPECT_EQ(afdg({"topic", "consume", "words", "-e", "-f", "%t/%p/%o %k=%v\\n"}).out,
            "words/0/0 k0=alpha\nwords/0/1 k1=beta\nwords/0/2 k2=gamma\n");
  EXPECT_EQ(afdg({"topic", "consume", "words", "-e", "-n", "1", "-o", "raw"}).out, "alpha\n");
  const Ran json = afdg({"topic", "consume", "words", "-e", "-n", "1", "-o", "json"});
  EXPECT_EQ(json.json()["value"], "alpha");
  EXPECT_EQ(afdg({"topic", "consume", "words", "-f", "%q"}).exit, 2);
  EXPECT_EQ(afdg({"topic", "consume", "words", "--from", "soon"}).exit, 2);
}

TEST_F(Cli, BenchMeasures) {
  for (const char* what : {"request", "send"}) {
    const Ran run = afdg({"-o", "json", "bench", what, "--callers", "8", "--seconds", "0.2", "--warmup", "0",
                          "--keys", "10", "--size", "64"});
    ASSERT_EQ(run.exit, 0) << run.err;
    const nlohmann::json json = run.json();
    EXPECT_GT(json["operations"], 0);
    EXPECT_EQ(json["errors"], 0);
    EXPECT_GT(json["p50_us"], 0.0);
    EXPECT_GE(json["p999_us"], json["p50_us"]);
  }
  EXPECT_EQ(
      afdg({"bench", "request", "--callers", "4", "--threads", "--seconds", "0.1", "--warmup", "0"}).exit, 0);
  const Ran paced =
      afdg({"-o", "json", "bench", "request", "--rate", "200", "--seconds", "500ms", "--warmup", "0"});
  EXPECT_NEAR(paced.json()["per_second"].get<double>(), 200, 60);
}

TEST_F(Cli, BenchSaysAtOnceThatTheGridIsUnknown) {
  const Ran run = afdg({"-g", "none", "bench", "request", "--seconds", "30"});
  EXPECT_EQ(run.exit, 3);
  EXPECT_THAT(run.err, HasSubstr("'none'"));
}

TEST_F(Cli, CompletionScriptsAreValid) {
  const Ran bash = run_program({AFDG_PROGRAM, "completion", "bash"});
  EXPECT_EQ(bash.exit, 0);
  const Ran checked = run_program({"bash", "-n"}, bash.out);
  EXPECT_EQ(checked.exit, 0) << checked.err;
  const Ran used = run_program({"bash", "-c",
                                bash.out + "\nCOMP_WORDS=(afdg -o json agent re); COMP_CWORD=4; _afdg; "
                                           "echo \"${COMPREPLY[*]}\""});
  EXPECT_EQ(used.out, "request\n");
  const Ran value =
      run_program({"bash", "-c",
                   bash.out + "\nCOMP_WORDS=(afdg grid list -o j); COMP_CWORD=4; _afdg; "
                              "echo \"${COMPREPLY[*]}\"; COMP_WORDS=(afdg completion f); "
                              "COMP_CWORD=2; _afdg; echo \"${COMPREPLY[*]}\"; COMP_WORDS=(afdg "
                              "grid list --gr); COMP_CWORD=3; _afdg; echo \"${COMPREPLY[*]}\""});
  EXPECT_EQ(value.out, "json\nfish\n--grid\n");
  EXPECT_THAT(run_program({AFDG_PROGRAM, "completion", "zsh"}).out, HasSubstr("#compdef afdg"));
  EXPECT_THAT(run_program({AFDG_PROGRAM, "completion", "fish"}).out, HasSubstr("complete -c afdg"));
  EXPECT_EQ(run_program({AFDG_PROGRAM, "completion", "tcsh"}).exit, 2);
}

TEST_F(Cli, TheEnvironmentNamesTheServerAndFlagsWin) {
  setenv("AFDG_SERVER", server_.address().c_str(), 1);
  setenv("AFDG_GRID", "none", 1);
  EXPECT_EQ(run_program({AFDG_PROGRAM, "grid", "list"}).exit, 0);
  EXPECT_EQ(run_program({AFDG_PROGRAM, "agent", "request", "entity/a", "Increment", kByTwo}).exit, 3);
  EXPECT_EQ(run_program({AFDG_PROGRAM, "-g", "g", "agent", "request", "entity/a", "Increment", kByTwo}).exit,
            0);
  unsetenv("AFDG_SERVER");
  unsetenv("AFDG_GRID");
}

TEST(CliParts, DurationsAndTimes) {
  EXPECT_EQ(parse_duration("5s")->count(), 5000);
  EXPECT_EQ(parse_duration("250ms")->count(), 250);
  EXPECT_EQ(parse_duration("0.5")->count(), 500);
  EXPECT_EQ(parse_duration("2m")->count(), 120'000);
  for (const char* bad : {"", "s", "5 s", "-1s", "1y", "1e300s", "nan"})
    EXPECT_FALSE(parse_duration(bad).ok()) << bad;
  EXPECT_EQ(*parse_time("1000"), 1000);
  EXPECT_EQ(*parse_time("2026-01-31T12:00:00Z"), 1769860800000);
  EXPECT_TRUE(parse_time("-5m").ok());
  EXPECT_FALSE(parse_time("yesterday").ok());
}

TEST(CliParts, IdsOfCallsAreReadBackAndOthersAreTheUsersOwn) {
  const CallId id{0x0123456789abcdefU, 0x65f1c2d3U, 0x1a2b3c4dU};
  const std::string text = call_id_text(id);
  EXPECT_EQ(text, "cli-0123456789abcdef-65f1c2d3-1a2b3c4d");
  const auto read = parse_call_id(text);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->session, id.session);
  EXPECT_EQ(read->begun_unix_s, id.begun_unix_s);
  EXPECT_EQ(read->content, id.content);
  for (const std::string& own :
       {std::string("night"), std::string("cli-"), text + "0", text.substr(1),
        text.substr(0, text.size() - 1), std::string("cli-0123456789ABCDEF-65f1c2d3-1a2b3c4d"),
        std::string("cli-0123456789abcdef"), std::string("cli-0000000000000000-65f1c2d3-1a2b3c4d")}) {
    EXPECT_FALSE(parse_call_id(own).has_value()) << own;
  }
  const Timestamp begun{std::chrono::seconds(id.begun_unix_s)};
  EXPECT_TRUE(check_age(id, begun + kRepeatable).ok());
  EXPECT_EQ(check_age(id, begun + kRepeatable + std::chrono::seconds(1)).code(), Code::kRequestExpired);
  EXPECT_NE(content_of({"a", "bc"}), content_of({"ab", "c"}));
}

TEST(CliParts, TargetsSplitAtTheFirstSlash) {
  EXPECT_EQ(parse_target("a/b/c")->key, "b/c");
  for (const char* bad : {"a", "/a", "a/", ""})
    EXPECT_EQ(parse_target(bad).code(), Code::kInvalidArgument) << bad;
}

TEST(CliParts, RecordsAreFormatted) {
  v1::ConsumedRecord record;
  record.set_topic("t");
  record.set_offset(7);
  record.set_value("v");
  record.set_timestamp_unix_ms(5);
  auto* header = record.add_headers();
  header->set_key("a");
  header->set_value("b");
  std::string out;
  format_record("%t %p %o [%k] %v %T %h %%\\t\\\\\\n", record, out);
  EXPECT_EQ(out, "t 0 7 [] v 5 a=b %\t\\\n");
  EXPECT_FALSE(check_record_format("%").ok());
  EXPECT_FALSE(check_record_format("\\x").ok());
}

TEST(CliParts, BytesThatAreNoTextBecomeBase64) {
  EXPECT_EQ(bytes_json("text"), "text");
  EXPECT_EQ(bytes_json("\xff"), "/w==");
  EXPECT_EQ(bytes_json("\xff\xfe"), "//4=");
  EXPECT_EQ(bytes_json("\xff\xfe\xfd"), "//79");
}

TEST(CliParts, AHistogramsQuantilesAreWithinOneSixtyFourth) {
  Histogram histogram;
  for (std::uint64_t us = 1; us <= 1000; ++us) histogram.add(us * 1000);
  EXPECT_NEAR(histogram.quantile_us(0.5), 500, 500.0 / 64 + 1);
  EXPECT_NEAR(histogram.quantile_us(0.999), 999, 999.0 / 64 + 1);
  EXPECT_EQ(Histogram().quantile_us(0.5), 0);
  histogram.add(~std::uint64_t{0});  // beyond the last bucket
  EXPECT_EQ(histogram.count(), 1001U);
}

}  // namespace
}  // namespace afdg::client::cli
