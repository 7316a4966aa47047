#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "server/testing/caller.h"

namespace afdg::server {
namespace {

using ::testing::HasSubstr;

Result<CommandLine> read(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "afdgd");
  return read_command_line(static_cast<int>(arguments.size()), arguments.data());
}

TEST(ConfigTest, FlagsWinOverVariablesAndVariablesOverTheFile) {
  const testing::TemporaryDirectory directory;
  const std::string file = directory.path("node.toml");
  std::ofstream(file) << "data = \"/from/file\"\nlisten = \"127.0.0.1:1\"\nhttp = \"127.0.0.1:2\"\nnode-id = "
                         "7\nagent_queue_max = 9\n";
  ::setenv("AFDGD_LISTEN", "127.0.0.1:3", 1);
  ::setenv("AFDGD_HTTP", "127.0.0.1:4", 1);
  const auto line = read({"--config", file.c_str(), "--http", "127.0.0.1:5"});
  ::unsetenv("AFDGD_LISTEN");
  ::unsetenv("AFDGD_HTTP");
  ASSERT_TRUE(line.ok()) << line.status().to_string();
  EXPECT_EQ(line->config.data, "/from/file");
  EXPECT_EQ(line->config.listen, "127.0.0.1:3");
  EXPECT_EQ(line->config.http, "127.0.0.1:5");
  EXPECT_EQ(line->config.node_id, 7u);
  EXPECT_EQ(line->config.agent_queue_max, 9u);
}

TEST(ConfigTest, RefusalsNameKeyValueAndRemedy) {
  const auto refused = [](std::vector<const char*> arguments, const std::string& words) {
    const auto line = read(std::move(arguments));
    ASSERT_EQ(line.code(), Code::kInvalidArgument);
    EXPECT_THAT(line.error().text(), HasSubstr(words));
    EXPECT_THAT(line.error().text(), HasSubstr(":")) << "no remedy";
  };
  refused({}, "--data DIR");
  refused({"--data", "d", "--nonsense"}, "--nonsense");
  refused({"--data", "d", "--listen", "7400"}, "'7400' is not HOST:PORT");
  refused({"--data", "d", "--listen", "127.0.0.1:99999"}, "99999");
  refused({"--data", "d", "--listen", "0.0.0.0:7400"}, "--insecure");
  refused({"--data", "d", "--http", "10.0.0.1:80"}, "--insecure");
  refused({"--data", "d", "--roles", "king"}, "'king' is no role");
  refused({"--data", "d", "--roles", "region"}, "--catalog HOST:PORT");
  refused({"--data", "d", "--catalog", "127.0.0.1:1"}, "role catalog itself");
  refused({"--data", "d", "--kafka", "10.1.2.3:9092"}, "is not a loopback address");
  refused({"--data", "d", "--node-id", "x"}, "'x' is not a whole number");
  refused({"--data", "d", "--lanes", "1000"}, "between 0 and 256");
  refused({"--data", "d", "--config", "/no/such/file.toml"}, "/no/such/file.toml");
  EXPECT_TRUE(read({"--data", "d", "--kafka", "off", "--insecure", "--listen", "0.0.0.0:7400"}).ok());
  EXPECT_TRUE(read({"--dev"}).ok());
}

TEST(ConfigTest, TheFileIsJudgedByKeyAndKind) {
  const testing::TemporaryDirectory directory;
  const std::string file = directory.path("node.toml");
  const auto refused = [&](const std::string& content, const std::string& words) {
    std::ofstream(file, std::ios::trunc) << content;
    const auto line = read({"--config", file.c_str()});
    ASSERT_EQ(line.code(), Code::kInvalidArgument);
    EXPECT_THAT(line.error().text(), HasSubstr(words));
  };
  refused("data = \"d\"\nlisen = \"x\"\n", "key 'lisen' is not known");
  refused("data = \n", "line 1");
  refused("data = 1.5\n", "key 'data'");
  refused("data = \"d\"\nnode-id = \"three\"\n", "key 'node-id' must be a whole number");
}

TEST(ConfigTest, HelpNamesEveryKey) {
  const auto line = read({"--help"});
  ASSERT_TRUE(line.ok());
  for (const ConfigKey& key : config_keys()) EXPECT_THAT(line->text, HasSubstr("--" + key.name));
}

TEST(ConfigTest, AProgramOfItsOwnIsCalledByItsNameAndNotAfdgd) {
  const auto told = [](std::vector<const char*> arguments) {
    const auto line = read_command_line(static_cast<int>(arguments.size()), arguments.data());
    return line.ok() ? line->text : line.error().text();
  };
  for (const std::string& text : {told({"/opt/bin/my_server", "--help"}), told({"my_server", "--version"}),
                                  told({"my_server", "verify"}), told({"my_server", "--dev", "--lanes", "x"}),
                                  told({"my_server", "--no-such-flag"})}) {
    EXPECT_THAT(text, HasSubstr("my_server")) << text;
    EXPECT_EQ(text.find("/opt/bin"), std::string::npos) << text;
    EXPECT_EQ(text.find("afdgd"), std::string::npos) << text;
  }
  EXPECT_THAT(told({"", "--version"}), HasSubstr("afdgd "));
}

/// The table of docs/configuration.md. AFDG_WRITE_DOCS=1 writes it anew.
std::string table() {
  std::string text = "| key | standard | what |\n|---|---|---|\n";
  for (const ConfigKey& key : config_keys()) {
    const std::string standard = key.get(Config());
    text += "| `" + key.name + "` | " + (standard.empty() ? "" : "`" + standard + "` ") + "| " + key.help +
            " |\n";
  }
  return text;
}

TEST(ConfigTest, ThePageOfTheKeysIsFresh) {
  const std::string file = std::string(AFDG_SOURCE_DIR) + "/docs/configuration.md";
  std::string page;
  {
    std::ifstream in(file);
    page.assign(std::istreambuf_iterator<char>(in), {});
  }
  if (::getenv("AFDG_WRITE_DOCS") != nullptr) {
    const std::size_t from = page.find("| key |"), end = page.find("\n\n", from);
    ASSERT_NE(from, std::string::npos);
    page.replace(from, end + 1 - from, table());
    std::ofstream(file, std::ios::trunc) << page;
  }
  EXPECT_THAT(page, HasSubstr(table())) << "run AFDG_WRITE_DOCS=1 server_test --gtest_filter='ConfigTest.*'";
}

}  // namespace
}  // namespace afdg::server
